/**
 * The journal: every event, durable before it counts, chained, in lanes.
 *
 * @module
 */
export * from "./contract.ts";
export { type JournalOptions, openJournal } from "./journal.ts";
export { type LaneQuota, QUOTAS } from "./quotas.ts";
export { JournalReader, type LaneVerdict, type StoredEvent } from "./reader.ts";
