import type { AnalogHost } from "../analog.ts";
import { HalError } from "../error.ts";
import type { GpioHost } from "../gpio.ts";
import type { HidHost } from "../hid.ts";
import type { OneWireHost } from "../one_wire.ts";

const absent = (what: string) => Promise.reject(new HalError("not-found", `there is no ${what}`));

/** A machine with no hardware at all: whatever is asked for is `not-found`. */
export const ABSENT: {
  readonly gpio: GpioHost;
  readonly analog: AnalogHost;
  readonly hid: HidHost;
  readonly oneWire: OneWireHost;
  readonly connectUnix: (path: string) => Promise<never>;
} = {
  gpio: { request: ({ chip }) => absent(`GPIO chip ${chip}`) },
  analog: { request: ({ chip }) => absent(`converter ${chip}`) },
  hid: { list: () => Promise.resolve([]), open: () => absent("HID device") },
  oneWire: { search: (bus) => absent(`1-Wire bus ${bus}`) },
  connectUnix: (path) => absent(`socket ${path}`),
};
