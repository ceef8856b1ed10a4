/**
 * The district's API as the console calls it.
 *
 * @module
 */
export * from "./client.ts";
export * from "./fault.ts";
export type * from "./types.ts";
