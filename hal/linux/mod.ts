/**
 * The hardware of a Linux machine, by FFI to libc. Needs an unscoped `--allow-ffi`, except for
 * {@link processClock}.
 *
 * @module
 */
export { linuxAnalogHost, type LinuxAnalogOptions } from "./analog.ts";
export { linuxClock, processClock } from "./clock.ts";
export { type GpioGuard, linuxGpioHost } from "./gpio.ts";
export {
  type HidLibrary,
  linuxHidHost,
  type LinuxHidOptions,
  type ListedHid,
  type OpenHid,
} from "./hid.ts";
export { type InventoryOptions, linuxInventory } from "./inventory.ts";
export { type LinuxHosts, linuxHosts } from "./hosts.ts";
export { boardLed } from "./led.ts";
export { linuxMachine } from "./machine.ts";
export {
  GuardClient,
  type GuardOptions,
  HEARTBEAT_MS_MAX,
  HEARTBEAT_MS_MIN,
  startGuard,
} from "./guard/mod.ts";
export { openPtyPair, type PtyPair } from "./pty.ts";
export { linuxOneWireHost, type LinuxOneWireOptions } from "./one_wire.ts";
export { linuxSerialHost } from "./serial.ts";
export { linuxWatchdogHost } from "./watchdog.ts";
export { linuxConnectUnix } from "./unix_stream.ts";
