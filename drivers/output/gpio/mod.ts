/**
 * An output on a GPIO line: a relay board, a siren, a strike's transistor.
 *
 * @module
 */
import * as v from "valibot";
import type { Cancel, GpioLine, GpioSettings } from "../../../hal/mod.ts";
import {
  defineDriver,
  type DeviceHost,
  type OutputDriver,
  type OutputLine,
} from "../../contract.ts";
import {
  ActiveLowSchema,
  GpioChipSchema,
  GpioLineSchema,
  levelOf,
  type SafeState,
  safeStateOf,
  SafeStateSchema,
} from "../../gpio_schema.ts";

/** Options of {@link gpioOutput}. */
const GpioOutputSchema = v.strictObject({
  chip: GpioChipSchema,
  line: GpioLineSchema,
  activeLow: ActiveLowSchema,
  /** How the coil is left before the box first drives it, when the box stops, and when it dies. */
  safe: SafeStateSchema,
});

/** Options of {@link gpioOutput}, parsed. */
export interface GpioOutputOptions {
  readonly chip: string;
  readonly line: number;
  readonly activeLow: boolean;
  /** State of the coil before the box first drives it, when the box stops, and when it dies. */
  readonly safe: SafeState;
}

/** Wait before a vanished chip is asked for again: doubles from the first to the second. */
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 30_000;

/**
 * Drives one GPIO line. It is `onBoot` from the request on and `onExit` on disposal. `onCrash` is the
 * host's to apply when this process is dead: on a box its guard does; without one, what a killed
 * process leaves is up to the chip. A chip that vanishes is asked for again, and the line then driven
 * to what was last commanded. `revertAfterMs` has an effect on expanders that can count: a bare line
 * cannot revert by itself.
 */
export const gpioOutput: OutputDriver<GpioOutputOptions> = defineDriver({
  id: "gpio",
  kind: "output",
  bus: "gpio",
  reference: "Linux GPIO character device v2 (Documentation/userspace-api/gpio/chardev.rst)",
  optionsSchema: GpioOutputSchema,
  parseOptions: (raw: unknown): GpioOutputOptions => {
    const { safe, ...line } = v.parse(GpioOutputSchema, raw);
    return { ...line, safe: safeStateOf(safe) };
  },
  open: async (host: DeviceHost, options: GpioOutputOptions, signal) => {
    const { chip, line, activeLow, safe } = options;
    const settings = {
      ...{ chip, line, activeLow, direction: "output" as const },
      ...{ initial: levelOf(safe.onBoot), onCrash: levelOf(safe.onCrash) },
    };
    const onExit = levelOf(safe.onExit);
    return new GpioOutput(
      host,
      settings,
      onExit,
      await host.gpio.request(settings, signal),
      signal,
    );
  },
});

class GpioOutput implements OutputLine, AsyncDisposable {
  readonly #host: DeviceHost;
  readonly #settings: GpioSettings & { readonly initial: boolean };
  readonly #onExit: boolean;
  readonly #listeners = new Set<(active: boolean, atMonotonicMs: number) => void>();
  readonly #closing = new AbortController();
  readonly #end: AbortSignal;
  /** `undefined` while the chip is gone. */
  #line: GpioLine | undefined;
  #returning: Promise<void> = Promise.resolve();
  #commanded: boolean | undefined;
  #disposal: Promise<void> | undefined;

  constructor(
    host: DeviceHost,
    settings: GpioSettings & { readonly initial: boolean },
    onExit: boolean,
    line: GpioLine,
    signal: AbortSignal,
  ) {
    this.#host = host;
    this.#settings = settings;
    this.#onExit = onExit;
    this.#line = line;
    line.onDriven?.((active, atMs) => {
      // Its start in the safe state is no order.
      if (this.#commanded !== undefined && this.#disposal === undefined) this.#tell(active, atMs);
    });
    this.#end = AbortSignal.any([signal, this.#closing.signal]);
  }

  set(active: boolean, { revertAfterMs }: { readonly revertAfterMs?: number } = {}): void {
    if (this.#disposal !== undefined) {
      this.#host.log("warn", "an output was driven after it was closed", { active });
      return;
    }
    this.#commanded = active;
    this.#drive(active, revertAfterMs);
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
      this.#closing.abort();
      await this.#returning;
      this.#drive(this.#onExit);
      await this.#line?.[Symbol.asyncDispose]();
    })();
  }

  #tell(active: boolean, atMs: number): void {
    for (const listener of [...this.#listeners]) listener(active, atMs);
  }

  /** A chip that is gone is logged, not thrown: the other doors of the box go on. */
  #drive(active: boolean, revertAfterMs?: number): void {
    if (this.#line === undefined) return;
    try {
      if (revertAfterMs === undefined || this.#line.writeFor === undefined) {
        this.#line.write(active);
      } else this.#line.writeFor(active, revertAfterMs);
      // An expander says so itself, when it has done it.
      if (this.#line.onDriven === undefined && this.#disposal === undefined) {
        this.#tell(active, this.#host.clock.monotonicMs());
      }
    } catch (error) {
      const cause = String(error);
      this.#host.log("error", "an output could not be driven; its line is asked for again", {
        active,
        cause,
      });
      if (this.#disposal === undefined) this.#returning = this.#askAgain(this.#line);
    }
  }

  async #askAgain(lost: GpioLine): Promise<void> {
    this.#line = undefined;
    await lost[Symbol.asyncDispose]();
    const { clock, gpio, log } = this.#host;
    for (let retryMs = RETRY_MS_MIN; !this.#end.aborted;) {
      await clock.sleep(retryMs, this.#end).catch(() => {});
      retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
      if (this.#end.aborted) return;
      const initial = this.#commanded ?? this.#settings.initial;
      try {
        this.#line = await gpio.request({ ...this.#settings, initial }, this.#end);
      } catch {
        continue;
      }
      log("info", "an output is back", { active: initial });
      // It may have been commanded while the line was being requested.
      const commanded = this.#commanded ?? initial;
      if (commanded === initial) this.#tell(commanded, clock.monotonicMs());
      else this.#drive(commanded);
      return;
    }
  }
}
