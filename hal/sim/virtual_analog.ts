import type { AnalogHost, AnalogLine, AnalogSettings } from "../analog.ts";
import type { Cancel, Clock } from "../clock.ts";
import { HalError } from "../error.ts";

/** Converters that are not there: every channel exists, and samples when a test says so. */
export class VirtualAnalog implements AnalogHost {
  readonly #clock: Clock;
  readonly #ratios = new Map<string, number | undefined>();
  readonly #held = new Map<string, VirtualAnalogLine>();

  /** Stamps samples by `clock`. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One sample of a channel, as a share of the reference; `undefined`: its converter is lost. */
  sample(chip: string, channel: number, ratio: number | undefined): void {
    const key = `${chip}\n${channel}`;
    this.#ratios.set(key, ratio);
    this.#held.get(key)?.take(ratio, this.#clock.monotonicMs());
  }

  /** See {@link AnalogHost.request}; a channel is held by one at a time. */
  request(settings: AnalogSettings, signal: AbortSignal): Promise<AnalogLine> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      const key = `${settings.chip}\n${settings.channel}`;
      if (this.#held.has(key)) {
        throw new HalError("busy", `channel ${settings.channel} of ${settings.chip}: it is held`);
      }
      const line = new VirtualAnalogLine(
        settings,
        this.#ratios.get(key),
        () => void this.#held.delete(key),
      );
      this.#held.set(key, line);
      resolve(line);
    });
  }
}

class VirtualAnalogLine implements AnalogLine {
  readonly settings: AnalogSettings;
  readonly #onClose: () => void;
  readonly #listeners = new Set<(ratio: number | undefined, atMonotonicMs: number) => void>();
  #ratio: number | undefined;
  #closed = false;

  constructor(settings: AnalogSettings, ratio: number | undefined, onClose: () => void) {
    this.settings = settings;
    this.#ratio = ratio;
    this.#onClose = onClose;
  }

  read(): number | undefined {
    return this.#ratio;
  }

  onSample(listener: (ratio: number | undefined, atMonotonicMs: number) => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  take(ratio: number | undefined, atMonotonicMs: number): void {
    this.#ratio = ratio;
    for (const listener of [...this.#listeners]) listener(ratio, atMonotonicMs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) this.#onClose();
    this.#closed = true;
    this.#listeners.clear();
    return Promise.resolve();
  }
}
