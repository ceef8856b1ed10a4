/**
 * An output on a GPIO line: a relay board, a siren, a strike's transistor.
 *
 * @module
 */
import * as v from "valibot";
import type { Cancel, Clock, GpioLine } from "../../../hal/mod.ts";
import {
  defineDriver,
  type DriverLog,
  type OutputDriver,
  type OutputLine,
} from "../../contract.ts";
import { ActiveLowSchema, GpioChipSchema, GpioLineSchema } from "../../gpio_schema.ts";

/** Options of {@link gpioOutput}. */
const GpioOutputSchema = v.strictObject({
  chip: GpioChipSchema,
  line: GpioLineSchema,
  activeLow: ActiveLowSchema,
  /** How the coil is left before the box first drives it, and when the box stops. */
  safe: v.optional(
    v.picklist(["released", "energised"], "expected released or energised"),
    "released",
  ),
});

/** Options of {@link gpioOutput}, parsed. */
export interface GpioOutputOptions {
  readonly chip: string;
  readonly line: number;
  readonly activeLow: boolean;
  /** State of the coil before the box first drives it, and when the box stops. */
  readonly safe: "released" | "energised";
}

/**
 * Drives one GPIO line. It is in its safe state from the request on and again on disposal; what a
 * killed process leaves is up to the chip. `revertAfterMs` has no effect: a bare line cannot revert
 * by itself.
 */
export const gpioOutput: OutputDriver<GpioOutputOptions> = defineDriver({
  id: "gpio",
  kind: "output",
  bus: "gpio",
  reference: "Linux GPIO character device v2 (Documentation/userspace-api/gpio/chardev.rst)",
  optionsSchema: GpioOutputSchema,
  parseOptions: (raw: unknown): GpioOutputOptions => v.parse(GpioOutputSchema, raw),
  open: async ({ clock, gpio, log }, options: GpioOutputOptions, signal) => {
    const { chip, line, activeLow, safe } = options;
    const initial = safe === "energised";
    const settings = { chip, line, activeLow, direction: "output", initial } as const;
    return new GpioOutput(await gpio.request(settings, signal), initial, clock, log);
  },
});

class GpioOutput implements OutputLine, AsyncDisposable {
  readonly #line: GpioLine;
  readonly #safe: boolean;
  readonly #clock: Clock;
  readonly #log: DriverLog;
  readonly #listeners = new Set<(active: boolean, atMonotonicMs: number) => void>();
  #commanded: boolean | undefined;
  #disposal: Promise<void> | undefined;

  constructor(line: GpioLine, safe: boolean, clock: Clock, log: DriverLog) {
    this.#line = line;
    this.#safe = safe;
    this.#clock = clock;
    this.#log = log;
  }

  set(active: boolean): void {
    if (this.#disposal !== undefined) {
      this.#log("warn", "an output was driven after it was closed", { active });
      return;
    }
    this.#commanded = active;
    if (!this.#drive(active)) return;
    const atMs = this.#clock.monotonicMs();
    for (const listener of [...this.#listeners]) listener(active, atMs);
  }

  commanded(): boolean | undefined {
    return this.#commanded;
  }

  onDriven(listener: (active: boolean, atMonotonicMs: number) => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposal ??= (async () => {
      this.#drive(this.#safe);
      await this.#line[Symbol.asyncDispose]();
    })();
  }

  /** A chip that is gone is logged, not thrown: the other doors of the box go on. */
  #drive(active: boolean): boolean {
    try {
      this.#line.write(active);
      return true;
    } catch (error) {
      this.#log("error", "an output could not be driven", { active, cause: String(error) });
      return false;
    }
  }
}
