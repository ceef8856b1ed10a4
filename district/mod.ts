/**
 * The district: enrols boxes, takes their events, sends them policy and commands, and shows all of
 * it to operators.
 *
 * @module
 */
export type { PasswordCost } from "./auth/password.ts";
export * from "./district.ts";
export * from "./errors.ts";
export * from "./log.ts";
export * from "./store/contract.ts";
export type * from "./api/types.ts";
