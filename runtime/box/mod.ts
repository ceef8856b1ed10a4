/**
 * The box process's parts.
 *
 * @module
 */
export * from "./baton_marks.ts";
export * from "./box.ts";
export * from "./corrected_clock.ts";
export { deviceFaults } from "./device_faults.ts";
export * from "./door_modes.ts";
export * from "./emergency_latches.ts";
export * from "./metrics.ts";
export { FirmwareCourier } from "./reader_firmware.ts";
export { recordPlugs } from "./record_plugs.ts";
export type { BatonStore } from "./record_devices.ts";
export type { Latches } from "./safety.ts";
