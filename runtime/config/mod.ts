/**
 * `box.yaml`: its schema and its reader.
 *
 * @module
 */
export * from "./parse.ts";
export * from "./schema.ts";
