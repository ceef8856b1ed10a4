/**
 * The application as a payload: its bundle, its slots, and how it is installed.
 *
 * @module
 */
export { AppBackEnd, type AppBackEndOptions } from "./back_end.ts";
export { type Bundle, packBundle, packDelta } from "./bundle.ts";
export { AppSlots, STARTS_MAX } from "./slots.ts";
export { SYSTEM_TOOLS, type Tools } from "./tools.ts";
