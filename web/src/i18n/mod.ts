/**
 * Languages, messages, dates and spans.
 *
 * @module
 */
export type { Messages } from "./en.ts";
export * from "./format.ts";
export * from "./language.tsx";
export * from "./parts.ts";
