/**
 * Configuration of boxes as a payload.
 *
 * @module
 */
export { ConfigBackEnd, type ConfigBackEndOptions, type RunningConfig } from "./back_end.ts";
export { bundleLine } from "./bundle.ts";
export { CONFIG_BYTES_MAX } from "./note.ts";
