/**
 * What keeps a box up to date: asks the district, verifies, and has each kind of payload installed.
 *
 * @module
 */
export { type BoxHealth, HealthGate, type HealthGateOptions } from "./health_gate.ts";
export { type Payload, Updater, type UpdaterOptions } from "./updater.ts";
