/**
 * Stand-ins for tests of sync: a journal in memory, and a district in memory behind a real TLS port.
 *
 * @module
 */
export * from "./certificates.ts";
export * from "./fake_district.ts";
export * from "./memory_journal.ts";
export * from "./sync_rig.ts";
