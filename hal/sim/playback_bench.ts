import type { AnalogHost } from "../analog.ts";
import type { Clock } from "../clock.ts";
import { HalError } from "../error.ts";
import type { GpioHost } from "../gpio.ts";
import type { HidHost, HidIdentity } from "../hid.ts";
import type { OneWireHost } from "../one_wire.ts";
import type { DeviceHappening } from "./device_trace.ts";
import { VirtualAnalog } from "./virtual_analog.ts";
import { VirtualGpio } from "./virtual_gpio.ts";
import { VirtualHid } from "./virtual_hid.ts";

/** What a played device hangs on, apart from byte lines: its hosts, and who holds what of them. */
export class PlaybackBench {
  /** The device's lines; others exist as well, and rest low. */
  readonly gpio: GpioHost;
  readonly analog: AnalogHost;
  readonly hid: HidHost;
  readonly oneWire: OneWireHost;
  readonly #virtualGpio: VirtualGpio;
  readonly #virtualAnalog: VirtualAnalog;
  readonly #virtualHid: VirtualHid;
  readonly #codes = new Map<string, readonly string[]>();
  readonly #temperatures = new Map<string, number | undefined>();
  readonly #held = new Set<string>();
  #identity: HidIdentity | undefined;
  #opened = 0;
  #present = true;

  /** A bench with nothing on it; `onDeed` is told what the box does to a line or HID device. */
  constructor(clock: Clock, onDeed: (what: DeviceHappening) => void) {
    this.#virtualGpio = new VirtualGpio(clock);
    this.#virtualGpio.onDriven((chip, line, high) => onDeed({ on: "gpio", chip, line, high }));
    this.#virtualAnalog = new VirtualAnalog(clock);
    this.#virtualHid = new VirtualHid(
      clock,
      (_, bytes) => onDeed({ on: "hid", bytes: [...bytes] }),
    );
    this.gpio = {
      request: async (settings, signal) => {
        this.mustBePresent(`GPIO chip ${settings.chip}`);
        const line = await this.#virtualGpio.request(settings, signal);
        return this.track(`GPIO line ${settings.line} of ${settings.chip}`, line);
      },
    };
    this.analog = {
      request: async (settings, signal) => {
        this.mustBePresent(`converter ${settings.chip}`);
        const line = await this.#virtualAnalog.request(settings, signal);
        return this.track(`channel ${settings.channel} of ${settings.chip}`, line);
      },
    };
    this.hid = {
      list: (signal) => this.#virtualHid.list(signal),
      open: async (settings, signal) =>
        this.track("HID device", await this.#virtualHid.open(settings, signal)),
    };
    this.oneWire = {
      search: (bus, signal) =>
        new Promise((resolve) => {
          signal.throwIfAborted();
          this.mustBePresent(`1-Wire bus ${bus}`);
          if (!this.#codes.has(bus)) throw new HalError("not-found", `there is no bus ${bus}`);
          resolve(this.#codes.get(bus)!);
        }),
      temperature: (rom, signal) =>
        new Promise((resolve) => {
          signal.throwIfAborted();
          this.mustBePresent(`1-Wire thermometer ${rom}`);
          const celsius = this.#temperatures.get(rom);
          if (celsius === undefined) throw new HalError("io", `${rom} does not answer`);
          resolve(celsius);
        }),
    };
  }

  /** Whether the device is plugged. */
  get present(): boolean {
    return this.#present;
  }

  /** What was opened and not disposed of. */
  held(): readonly string[] {
    return [...this.#held];
  }

  /** How often something was opened. */
  opened(): number {
    return this.#opened;
  }

  /** @throws `HalError` `not-found` while the device is pulled. */
  mustBePresent(what: string): void {
    if (!this.#present) throw new HalError("not-found", `there is no ${what}`);
  }

  /** Notes that `item` is held until it is disposed of. */
  track<T extends AsyncDisposable>(what: string, item: T): T {
    const name = `${what} (opened ${++this.#opened})`;
    this.#held.add(name);
    const dispose = item[Symbol.asyncDispose].bind(item);
    Object.defineProperty(item, Symbol.asyncDispose, {
      value: () => {
        this.#held.delete(name);
        return dispose();
      },
    });
    return item;
  }

  /** Takes the device away, of which `happenings` name the lines. */
  unplug(happenings: readonly DeviceHappening[]): void {
    this.#present = false;
    for (const what of happenings) {
      if (what.on === "gpio") this.#virtualGpio.unplug(what.chip);
      if (what.on === "analog") this.#virtualAnalog.sample(what.chip, what.channel, undefined);
    }
    if (this.#identity !== undefined) this.#virtualHid.unplug(this.#identity.path);
  }

  /** Gives it back; its state is yet to be {@link PlaybackBench.act}ed. */
  plug(): void {
    this.#present = true;
  }

  /** Makes a happening true. Bytes of a line or socket are not for here. */
  act(what: DeviceHappening): void {
    switch (what.on) {
      case "serial":
      case "socket":
        break;
      case "hid":
        if (this.#identity === undefined) break;
        this.#virtualHid.report(this.#identity.path, Uint8Array.from(what.bytes as number[]));
        break;
      case "hid-plug":
        this.#identity = what.identity;
        this.#virtualHid.plug(what.identity);
        break;
      case "hid-unplug":
        if (this.#identity !== undefined) this.#virtualHid.unplug(this.#identity.path);
        break;
      case "gpio":
        this.#virtualGpio.setLevel(what.chip, what.line, what.high);
        break;
      case "analog":
        this.#virtualAnalog.sample(what.chip, what.channel, what.ratio);
        break;
      case "one-wire":
        this.#codes.set(what.bus, what.codes);
        break;
      case "one-wire-temperature":
        this.#temperatures.set(what.rom, what.celsius);
        break;
      default:
        what satisfies never;
    }
  }

  /** Something senseless where `what` happened once; `random(n)` gives 0 to n - 1. */
  babble(what: DeviceHappening, random: (n: number) => number): void {
    if (what.on === "gpio") this.#virtualGpio.setLevel(what.chip, what.line, random(2) === 1);
    if (what.on === "analog") this.#virtualAnalog.sample(what.chip, what.channel, random(65) / 64);
    if (what.on === "one-wire") {
      const code = () => Array.from({ length: 16 }, () => random(16).toString(16)).join("");
      this.#codes.set(what.bus, Array.from({ length: random(100) }, code));
    }
    if (what.on === "one-wire-temperature") {
      this.#temperatures.set(what.rom, random(4) === 0 ? undefined : random(400) - 100);
    }
    if (what.on === "hid" && this.#identity !== undefined) {
      const bytes = Uint8Array.from({ length: 1 + random(64) }, () => random(256));
      this.#virtualHid.report(this.#identity.path, bytes);
    }
  }
}
