/**
 * A temperature by a DS18B20 on the kernel's 1-Wire bus.
 *
 * @module
 */
import * as v from "valibot";
import { type Cancel, crc8, HalError } from "../../../hal/mod.ts";
import { defineDriver, type DeviceHost, type Sensor, type SensorDriver } from "../../contract.ts";

const deviceExpected = "expected a device such as 28-0316a2791ba4, as in /sys/bus/w1/devices";
const everyExpected = "expected 2000 to 600000 ms";

const Ds18b20Schema = v.strictObject({
  /** Family and serial number, as the kernel names it. */
  device: v.pipe(v.string(deviceExpected), v.regex(/^28-[0-9a-f]{12}$/, deviceExpected)),
  /** How often it measures. */
  measureEveryMs: v.optional(
    v.pipe(
      v.number(everyExpected),
      v.integer("expected whole ms"),
      v.minValue(2_000, everyExpected),
      v.maxValue(600_000, everyExpected),
    ),
    10_000,
  ),
});

/** Options of {@link ds18b20}, parsed. */
export interface Ds18b20Options {
  readonly device: string;
  readonly measureEveryMs: number;
}

/** What the chip says when it has not measured yet: 85 °C (datasheet, "Temperature register"). */
const POWER_ON_CELSIUS = 85;
/** A room is never so near to that from one measurement to the next. */
const POWER_ON_DISTANCE = 10;
const CELSIUS_MIN = -55;
const CELSIUS_MAX = 125;

/** Degrees Celsius. One that does not answer is unknown, and asked on. */
export const ds18b20: SensorDriver<Ds18b20Options> = defineDriver({
  id: "ds18b20",
  kind: "sensor",
  bus: "one-wire",
  reference: "Maxim DS18B20 datasheet 19-7487; Linux w1_therm",
  optionsSchema: Ds18b20Schema,
  parseOptions: (raw: unknown): Ds18b20Options => v.parse(Ds18b20Schema, raw),
  open: (host: DeviceHost, options: Ds18b20Options, signal) => {
    signal.throwIfAborted();
    return Promise.resolve(new Ds18b20(host, options, signal));
  },
});

class Ds18b20 implements Sensor, AsyncDisposable {
  readonly unit = "Cel";
  readonly #host: DeviceHost;
  readonly #options: Ds18b20Options;
  readonly #listeners = new Set<(value: number | undefined, atMonotonicMs: number) => void>();
  readonly #closing = new AbortController();
  readonly #measuring: Promise<void>;
  #value: number | undefined;
  #told = false;

  constructor(host: DeviceHost, options: Ds18b20Options, signal: AbortSignal) {
    this.#host = host;
    this.#options = options;
    this.#measuring = this.#measure(AbortSignal.any([signal, this.#closing.signal]));
  }

  value(): number | undefined {
    return this.#value;
  }

  onReading(listener: (value: number | undefined, atMonotonicMs: number) => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#measuring;
  }

  async #measure(end: AbortSignal): Promise<void> {
    const { oneWire, clock, log } = this.#host;
    const rom = romOf(this.#options.device);
    while (!end.aborted) {
      try {
        if (oneWire.temperature === undefined) {
          throw new HalError("unsupported", "this machine has no 1-Wire thermometers");
        }
        this.#take(await oneWire.temperature(rom, end));
        this.#told = false;
      } catch (cause) {
        if (end.aborted) return;
        if (!this.#told) {
          log("error", "a thermometer does not answer; check its wires and the overlay w1-gpio", {
            device: this.#options.device,
            cause: (cause as Error).message,
          });
        }
        this.#told = true;
        this.#tell(undefined);
      }
      await clock.sleep(this.#options.measureEveryMs, end).catch(() => {});
    }
  }

  #take(celsius: number): void {
    if (!(celsius >= CELSIUS_MIN && celsius <= CELSIUS_MAX)) {
      throw new HalError("protocol", `${celsius} °C cannot be`);
    }
    // A dip of its supply made it forget what it had measured.
    const jumped = Math.abs((this.#value ?? 0) - POWER_ON_CELSIUS) > POWER_ON_DISTANCE;
    if (celsius === POWER_ON_CELSIUS && jumped) return;
    this.#tell(Math.round(celsius * 10) / 10);
  }

  #tell(value: number | undefined): void {
    if (value === undefined && this.#value === undefined) return;
    this.#value = value;
    const atMs = this.#host.clock.monotonicMs();
    for (const listener of [...this.#listeners]) listener(value, atMs);
  }
}

/** `28-0316a2791ba4` as the HAL names devices: CRC, serial number, family. */
function romOf(device: string): string {
  const [family, serial] = device.split("-") as [string, string];
  const low = Uint8Array.fromHex(serial + family).reverse();
  return crc8(low).toString(16).padStart(2, "0") + serial + family;
}
