/**
 * An input whose wires are supervised by end-of-line resistors: an alarm contact, a fire panel's
 * contact, an emergency button.
 *
 * @module
 */
import * as v from "valibot";
import type { AnalogLine, Cancel, Clock } from "../../../hal/mod.ts";
import { AnalogChipSchema, ChannelSchema, OhmsSchema } from "../../analog_schema.ts";
import {
  defineDriver,
  type DeviceHost,
  type DriverLog,
  type InputDriver,
  type InputFault,
  type InputLine,
} from "../../contract.ts";
import { type LoopLevel, loopLevels, type LoopState, stateOf } from "./levels.ts";

export { type LoopCircuit, type LoopLevel, loopLevels, type LoopState, stateOf } from "./levels.ts";

const share = (min: number, max: number) => {
  const expected = `expected a share of ${min} to ${max}`;
  return v.pipe(v.number(expected), v.minValue(min, expected), v.maxValue(max, expected));
};

const SupervisedSchema = v.pipe(
  v.strictObject({
    chip: AnalogChipSchema,
    channel: ChannelSchema,
    /** What the contact is at rest. */
    contact: v.picklist(
      ["normally-open", "normally-closed"],
      "expected normally-open or normally-closed: what the contact is while all is well",
    ),
    /** Resistor from the supply to the input. */
    pullUpOhms: OhmsSchema,
    /** End-of-line resistor in series with the contact. */
    seriesOhms: v.optional(OhmsSchema),
    /** End-of-line resistor across the contact. */
    parallelOhms: v.optional(OhmsSchema),
    /** How far resistors, wire and supply are off together. */
    tolerance: v.optional(share(0.01, 0.3), 0.1),
    /** Supply of the pull-up as a share of the converter's reference. */
    supplyRatio: v.optional(share(0.2, 2), 1),
    /** How far beyond a border a sample must be, as a share of full scale. */
    hysteresis: v.optional(share(0, 0.05), 0.01),
    /** A state counts when it held this long. */
    debounceMs: v.optional(
      v.pipe(
        v.number("expected 0 to 5000 ms"),
        v.integer("expected whole ms"),
        v.minValue(0, "expected 0 to 5000 ms"),
        v.maxValue(5_000, "expected 0 to 5000 ms"),
      ),
      200,
    ),
    /** What the input says while a wire is broken or short. */
    whenFault: v.optional(
      v.picklist(["unknown", "active"], "expected unknown or active"),
      "unknown",
    ),
  }),
  v.check(
    ({ seriesOhms, parallelOhms }) => seriesOhms !== undefined || parallelOhms !== undefined,
    "expected seriesOhms, parallelOhms or both: the end-of-line resistors",
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    try {
      loopLevels(dataset.value);
    } catch (cause) {
      addIssue({ message: (cause as Error).message });
    }
  }),
);

/** Options of {@link supervisedInput}, parsed. */
export interface SupervisedOptions {
  readonly chip: string;
  readonly channel: number;
  readonly contact: "normally-open" | "normally-closed";
  readonly pullUpOhms: number;
  readonly seriesOhms?: number | undefined;
  readonly parallelOhms?: number | undefined;
  readonly tolerance: number;
  readonly supplyRatio: number;
  readonly hysteresis: number;
  readonly debounceMs: number;
  readonly whenFault: "unknown" | "active";
}

/**
 * Reads a loop by a converter: active when the contact is not as at rest, with a fault when its wire
 * is broken or short. A fault is no alarm: it makes the level unknown, unless `whenFault` says
 * otherwise.
 */
export const supervisedInput: InputDriver<SupervisedOptions> = defineDriver({
  id: "supervised",
  kind: "input",
  bus: "analog",
  reference: "EN 50131-1:2006 (monitoring of interconnections)",
  optionsSchema: SupervisedSchema,
  parseOptions: (raw: unknown): SupervisedOptions => v.parse(SupervisedSchema, raw),
  open: async (host: DeviceHost, options: SupervisedOptions, signal) => {
    const { chip, channel } = options;
    const line = await host.analog.request({ chip, channel }, signal);
    return new SupervisedInput(host, options, line, signal);
  },
});

class SupervisedInput implements InputLine, AsyncDisposable {
  readonly #clock: Clock;
  readonly #log: DriverLog;
  readonly #options: SupervisedOptions;
  readonly #line: AnalogLine;
  readonly #levels: readonly LoopLevel[];
  readonly #listeners = new Set<(active: boolean | undefined, atMonotonicMs: number) => void>();
  readonly #stop: Cancel;
  #state: LoopState | undefined;
  /** What must hold before it counts. */
  #candidate: LoopState | undefined;
  #debouncing: Cancel | undefined;

  readonly #forget: Cancel;
  #disposal: Promise<void> | undefined;

  constructor(
    host: DeviceHost,
    options: SupervisedOptions,
    line: AnalogLine,
    signal: AbortSignal,
  ) {
    this.#clock = host.clock;
    this.#log = host.log;
    this.#options = options;
    this.#line = line;
    this.#levels = loopLevels(options);
    const ratio = line.read();
    if (ratio !== undefined) this.#state = stateOf(this.#levels, ratio, undefined, 0);
    this.#stop = line.onSample((sample, atMs) => this.#sampled(sample, atMs));
    const end = () => void this[Symbol.asyncDispose]();
    signal.addEventListener("abort", end, { once: true });
    this.#forget = () => signal.removeEventListener("abort", end);
  }

  active(): boolean | undefined {
    switch (this.#state) {
      case undefined:
        return undefined;
      case "resting":
        return false;
      case "operated":
        return true;
      case "open":
      case "short":
        return this.#options.whenFault === "active" ? true : undefined;
      default:
        return this.#state satisfies never;
    }
  }

  fault(): InputFault | undefined {
    return this.#state === "open" || this.#state === "short" ? this.#state : undefined;
  }

  onChange(listener: (active: boolean | undefined, atMonotonicMs: number) => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposal ??= (async () => {
      this.#stop();
      this.#cancel();
      this.#forget();
      await this.#line[Symbol.asyncDispose]();
    })();
  }

  #sampled(ratio: number | undefined, atMs: number): void {
    if (ratio === undefined) {
      if (this.#state !== undefined) this.#log("error", "the converter of an input is lost");
      return this.#settle(undefined, atMs);
    }
    const { hysteresis, debounceMs } = this.#options;
    const before = this.#candidate ?? this.#state;
    const state = stateOf(this.#levels, ratio, before, hysteresis);
    if (this.#state === undefined || debounceMs === 0) return this.#settle(state, atMs);
    if (state === before) return;
    this.#cancel();
    if (state === this.#state) return;
    this.#candidate = state;
    this.#debouncing = this.#clock.schedule(debounceMs, () => {
      this.#settle(state, this.#clock.monotonicMs());
    });
  }

  #settle(state: LoopState | undefined, atMs: number): void {
    this.#cancel();
    if (state === this.#state) return;
    this.#state = state;
    const active = this.active();
    for (const listener of [...this.#listeners]) listener(active, atMs);
  }

  #cancel(): void {
    this.#debouncing?.();
    this.#debouncing = undefined;
    this.#candidate = undefined;
  }
}
