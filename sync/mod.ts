/**
 * The box's side of the link to its district: enrolment, upload, policy and commands. What both
 * ends share is in `sync/wire`.
 *
 * ```ts
 * const identity = await loadIdentity(dataDir);
 * if (identity !== undefined) {
 *   await using sync = startSync({ identity, journal, clock, log, … }, signal);
 * }
 * ```
 *
 * @module
 */
export { readBody } from "./bytes.ts";
export { DistrictClient } from "./client.ts";
export * from "./contract.ts";
export * from "./enrol.ts";
export * from "./errors.ts";
export { type BoxIdentity, type DistrictIdentity, loadIdentity } from "./identity_store.ts";
export { probeDistrict } from "./probe.ts";
export * from "./sync.ts";
export { TimeScale } from "./time_scale.ts";
