/**
 * An input on a GPIO line: a door contact, an exit button, a fire panel's dry contact.
 *
 * @module
 */
import * as v from "valibot";
import {
  type Cancel,
  type Clock,
  type GpioHost,
  type GpioLine,
  type GpioSettings,
  HalError,
} from "../../../hal/mod.ts";
import {
  defineDriver,
  type DeviceHost,
  type DriverLog,
  type InputDriver,
  type InputLine,
} from "../../contract.ts";
import { ActiveLowSchema, GpioChipSchema, GpioLineSchema } from "../../gpio_schema.ts";

/** Options of {@link gpioInput}. */
const GpioInputSchema = v.strictObject({
  chip: GpioChipSchema,
  line: GpioLineSchema,
  activeLow: ActiveLowSchema,
  /** Pull of the pin; a dry contact to ground wants `pull-up` with `activeLow: true`. */
  bias: v.optional(
    v.picklist(
      ["as-is", "disabled", "pull-up", "pull-down"],
      "expected as-is, disabled, pull-up or pull-down",
    ),
    "as-is",
  ),
  /** A level counts when it held this long. Contacts bounce for 5 to 20 ms. */
  debounceMs: v.optional(
    v.pipe(
      v.number("expected 0 to 1000 ms"),
      v.integer("expected 0 to 1000 ms"),
      v.minValue(0, "expected 0 to 1000 ms"),
      v.maxValue(1_000, "expected 0 to 1000 ms"),
    ),
    30,
  ),
});

/** Options of {@link gpioInput}, parsed. */
export interface GpioInputOptions {
  readonly chip: string;
  readonly line: number;
  readonly activeLow: boolean;
  readonly bias: "as-is" | "disabled" | "pull-up" | "pull-down";
  /** A level counts when it held this long, in ms. */
  readonly debounceMs: number;
}

/** Wait before a vanished chip is asked for again: doubles from the first to the second. */
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 30_000;

/**
 * Follows one GPIO line. Lost edges are counted in the log and the level is read again, so that a
 * burst never leaves a wrong level standing. While the chip is gone the level is `undefined`.
 */
export const gpioInput: InputDriver<GpioInputOptions> = defineDriver({
  id: "gpio",
  kind: "input",
  bus: "gpio",
  reference: "Linux GPIO character device v2 (Documentation/userspace-api/gpio/chardev.rst)",
  optionsSchema: GpioInputSchema,
  parseOptions: (raw: unknown): GpioInputOptions => v.parse(GpioInputSchema, raw),
  open: async (host: DeviceHost, options: GpioInputOptions, signal) => {
    const settings: GpioSettings = { ...options, direction: "input" };
    return new GpioInput(host, settings, await host.gpio.request(settings, signal), signal);
  },
});

class GpioInput implements InputLine, AsyncDisposable {
  readonly #clock: Clock;
  readonly #log: DriverLog;
  readonly #gpio: GpioHost;
  readonly #settings: GpioSettings;
  readonly #listeners = new Set<(active: boolean | undefined, atMonotonicMs: number) => void>();
  readonly #closing = new AbortController();
  readonly #following: Promise<void>;
  #active: boolean | undefined;
  /** Whether it was said that the input is lost. */
  #lost = false;

  constructor(host: DeviceHost, settings: GpioSettings, line: GpioLine, signal: AbortSignal) {
    this.#clock = host.clock;
    this.#log = host.log;
    this.#gpio = host.gpio;
    this.#settings = settings;
    this.#active = levelOf(line);
    const end = AbortSignal.any([signal, this.#closing.signal]);
    this.#following = this.#follow(line, end);
  }

  active(): boolean | undefined {
    return this.#active;
  }

  /** A bare line cannot tell a broken wire from an open contact. */
  fault(): undefined {
    return undefined;
  }

  onChange(listener: (active: boolean | undefined, atMonotonicMs: number) => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#following;
  }

  async #follow(first: GpioLine, end: AbortSignal): Promise<void> {
    let line: GpioLine | undefined = first;
    let retryMs = RETRY_MS_MIN;
    while (!end.aborted) {
      try {
        line ??= await this.#gpio.request(this.#settings, end);
        retryMs = RETRY_MS_MIN;
        await this.#followLine(line, end);
      } catch (error) {
        if (end.aborted) break;
        if (!this.#lost) {
          this.#lost = true;
          this.#log("error", "an input is lost; its line is asked for again", {
            cause: String(error),
          });
        }
        this.#change(undefined, this.#clock.monotonicMs());
      }
      await line?.[Symbol.asyncDispose]();
      line = undefined;
      await this.#clock.sleep(retryMs, end).catch(() => {});
      retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
    }
    await line?.[Symbol.asyncDispose]();
  }

  async #followLine(line: GpioLine, end: AbortSignal): Promise<void> {
    this.#found(levelOf(line), this.#clock.monotonicMs());
    let expected = 1;
    for await (const { active, atMonotonicMs, sequence } of line.edges(end)) {
      if (end.aborted) return;
      const lost = sequence - expected;
      expected = sequence + 1;
      if (lost === 0) {
        this.#found(active, atMonotonicMs);
        continue;
      }
      this.#log("warn", "edges of an input were lost; its level is read again", { lost });
      this.#change(line.read(), this.#clock.monotonicMs());
    }
  }

  #found(active: boolean | undefined, atMonotonicMs: number): void {
    if (this.#lost && active !== undefined) {
      this.#lost = false;
      this.#log("info", "an input is back");
    }
    this.#change(active, atMonotonicMs);
  }

  #change(active: boolean | undefined, atMonotonicMs: number): void {
    if (active === this.#active) return;
    this.#active = active;
    for (const listener of [...this.#listeners]) listener(active, atMonotonicMs);
  }
}

/** The level now; `undefined` on an expander that does not answer yet, whose first edge tells it. */
function levelOf(line: GpioLine): boolean | undefined {
  try {
    return line.read();
  } catch (error) {
    if (error instanceof HalError && error.kind === "disconnected") return undefined;
    throw error;
  }
}
