/**
 * Configuration of boxes as a payload.
 *
 * @module
 */
export { configBackEnd, type ConfigBackEndOptions, configHash } from "./back_end.ts";
export { bundleLine, CONFIG_BYTES_MAX } from "./bundle.ts";
