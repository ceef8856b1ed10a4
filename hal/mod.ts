/**
 * Contracts for the outside world: what drivers and the runtime may know of clocks, serial lines
 * and GPIO. `hal/linux` fulfils them on a box, `hal/sim` in tests and the demo.
 *
 * @module
 */
export * from "./clock.ts";
export * from "./crc16.ts";
export * from "./error.ts";
export * from "./gpio.ts";
export * from "./serial.ts";
