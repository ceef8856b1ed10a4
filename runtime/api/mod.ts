/**
 * The box's local HTTP API.
 *
 * @module
 */
export * from "./server.ts";
