/**
 * A sensor whose value follows from a voltage: samples of a converter, averaged, through a formula.
 *
 * @module
 */
import type { AnalogLine, Cancel, Clock } from "../hal/mod.ts";
import type { DeviceHost, DriverLog, Sensor } from "./contract.ts";

/** Which converter, and what its samples mean. */
export interface AnalogSensorSettings {
  readonly chip: string;
  readonly channel: number;
  /** See {@link import("../hal/mod.ts").AnalogSettings.referenceMv}. */
  readonly referenceMv?: number | undefined;
  /** UCUM unit of the value. */
  readonly unit: string;
  /** Samples of so long make one value. */
  readonly averageMs: number;
  /** The value of a sample (0 to 1 of full scale); `undefined` for one that the sensor cannot give: a broken wire. */
  readonly valueOf: (ratio: number) => number | undefined;
}

/** One such sensor. Disposal lets its channel go. */
export class AnalogSensor implements Sensor, AsyncDisposable {
  readonly #clock: Clock;
  readonly #log: DriverLog;
  readonly #settings: AnalogSensorSettings;
  readonly #line: AnalogLine;
  readonly #listeners = new Set<(value: number | undefined, atMonotonicMs: number) => void>();
  readonly #stop: Cancel;
  #sum = 0;
  #count = 0;
  #due: Cancel | undefined;
  #value: number | undefined;
  #forget: Cancel | undefined;
  #disposal: Promise<void> | undefined;

  private constructor(host: DeviceHost, settings: AnalogSensorSettings, line: AnalogLine) {
    this.#clock = host.clock;
    this.#log = host.log;
    this.#settings = settings;
    this.#line = line;
    this.#stop = line.onSample((ratio) => this.#sampled(ratio));
    const first = line.read();
    if (first !== undefined) this.#sampled(first);
  }

  /** Takes the channel. @throws `HalError` of the converter. */
  static async open(
    host: DeviceHost,
    settings: AnalogSensorSettings,
    signal: AbortSignal,
  ): Promise<AnalogSensor> {
    const { chip, channel, referenceMv } = settings;
    const reference = referenceMv === undefined ? {} : { referenceMv };
    const line = await host.analog.request({ chip, channel, ...reference }, signal);
    const sensor = new AnalogSensor(host, settings, line);
    sensor.#endOn(signal);
    return sensor;
  }

  /** See {@link Sensor.unit}. */
  get unit(): string {
    return this.#settings.unit;
  }

  /** See {@link Sensor.value}. */
  value(): number | undefined {
    return this.#value;
  }

  /** See {@link Sensor.onReading}. */
  onReading(listener: (value: number | undefined, atMonotonicMs: number) => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposal ??= (async () => {
      this.#stop();
      this.#due?.();
      this.#listeners.clear();
      this.#forget?.();
      await this.#line[Symbol.asyncDispose]();
    })();
  }

  #endOn(signal: AbortSignal): void {
    const end = () => void this[Symbol.asyncDispose]();
    if (signal.aborted) return end();
    signal.addEventListener("abort", end, { once: true });
    this.#forget = () => signal.removeEventListener("abort", end);
  }

  #sampled(ratio: number | undefined): void {
    if (ratio === undefined) {
      this.#due?.();
      this.#due = undefined;
      return this.#tell(undefined, "the converter of a sensor is lost");
    }
    this.#sum += ratio;
    this.#count++;
    this.#due ??= this.#clock.schedule(this.#settings.averageMs, () => {
      this.#due = undefined;
      const value = this.#settings.valueOf(this.#sum / this.#count);
      this.#tell(value, "a sensor measures nothing that can be; check its wires and its resistor");
    });
  }

  #tell(value: number | undefined, why: string): void {
    this.#sum = 0;
    this.#count = 0;
    if (value === undefined && this.#value === undefined) return;
    if (value === undefined) this.#log("error", why);
    this.#value = value;
    const atMs = this.#clock.monotonicMs();
    for (const listener of [...this.#listeners]) listener(value, atMs);
  }
}

/**
 * Resistance of a sensor in a divider with one fixed resistor, from the sample at their joint;
 * `undefined` at either end of the range, where a wire is broken or short.
 *
 * @param side where the sensor is: between the joint and `ground`, or the `supply`
 */
export function dividedOhms(
  ratio: number,
  fixedOhms: number,
  side: "ground" | "supply",
): number | undefined {
  if (ratio < ENDS || ratio > 1 - ENDS) return undefined;
  return side === "ground" ? fixedOhms * ratio / (1 - ratio) : fixedOhms * (1 - ratio) / ratio;
}

/** So near to an end of the range no sensor comes, and a 10-bit converter still tells it: 5 of 1,023 steps. */
const ENDS = 0.005;
