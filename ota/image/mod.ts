/**
 * The system image as a payload: two slots on the card, installed by RAUC, tried once by the boot
 * loader, kept when it is well.
 *
 * @module
 */
export { ImageBackEnd, type ImageBackEndOptions, TRIES_MAX } from "./back_end.ts";
export { type BundleSource, serveBundle, type ServedBundle } from "./bundle_server.ts";
export { readTail, TAIL_LENGTH_BYTES } from "./tail.ts";
export { type SlotName, SYSTEM_RAUC, type SystemRauc, type SystemStatus } from "./rauc.ts";
