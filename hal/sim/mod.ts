/**
 * Simulated hardware: a clock that tests step, serial lines, GPIO, HID and converters in memory, recorded
 * conversations. Pseudo-terminals, which need the kernel, are in `hal/linux`.
 *
 * @module
 */
export * from "./absent.ts";
export * from "./ds2480b.ts";
export * from "./em4100_reader.ts";
export * from "./hid_keyboard.ts";
export * from "./id_card_module.ts";
export * from "./iso14443_module.ts";
export * from "./memory_serial_line.ts";
export * from "./obid_pad.ts";
export * from "./qr_scanner.ts";
export * from "./memory_stream.ts";
export * from "./pcscd.ts";
export * from "./virtual_clock.ts";
export * from "./virtual_gpio.ts";
export * from "./serial_trace.ts";
export * from "./device_playback.ts";
export * from "./device_trace.ts";
export * from "./serial_baton.ts";
export * from "./virtual_analog.ts";
export * from "./virtual_hid.ts";
export * from "./rs485_line.ts";
export * from "./uart_line.ts";
