/**
 * The journal: every event of the box in SQLite, durable before it is acknowledged, chained, in
 * lanes, and kept going whatever becomes of its file.
 *
 * @module
 */
export * from "./contract.ts";
export { DiskReserve } from "./disk_reserve.ts";
export { type JournalOptions, LANE_QUOTAS, openJournal } from "./journal.ts";
export type { LaneQuotas } from "./protocol.ts";
export { JournalReader, type LaneVerdict, type StoredEvent } from "./reader.ts";
