/**
 * Contracts for the outside world: what drivers and the runtime may know of clocks, serial lines,
 * GPIO, HID, analog inputs, 1-Wire and watchdogs. `hal/linux` fulfils them on a box, `hal/sim` in
 * tests and the demo.
 *
 * @module
 */
export * from "./analog.ts";
export * from "./byte_stream.ts";
export * from "./clock.ts";
export * from "./crc16.ts";
export * from "./crc8.ts";
export * from "./crc16_reflected.ts";
export * from "./durable_file.ts";
export * from "./error.ts";
export * from "./gpio.ts";
export * from "./hid.ts";
export * from "./inventory.ts";
export * from "./led.ts";
export * from "./machine.ts";
export * from "./one_wire.ts";
export * from "./serial.ts";
export * from "./watchdog.ts";
