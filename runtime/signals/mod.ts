/**
 * Sirens and beacons that follow alarms: a pure state machine and the controller that carries it out.
 *
 * @module
 */
export * from "./controller.ts";
export * from "./machine.ts";
