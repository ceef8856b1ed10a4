/**
 * What a box may install: TUF metadata, verified, kept atomically, with a time floor; and the signed
 * assignment that says which of it this box is to install.
 *
 * @module
 */
export { type Assignment, ASSIGNMENT_BYTES_MAX, type TrustedTarget } from "./assignment.ts";
export { TrustError, type TrustErrorKind } from "./errors.ts";
export type { RepositorySource } from "./fetcher.ts";
export { TimeFloor } from "./time_floor.ts";
export { type TrustedView, type TrustOptions, UpdateTrust } from "./trust.ts";
