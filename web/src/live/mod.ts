/**
 * What the district says, kept up to date.
 *
 * @module
 */
export * from "./alarms.ts";
export * from "./context.ts";
export * from "./store.ts";
