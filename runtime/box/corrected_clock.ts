import type { Cancel, Clock, WallQuality } from "../../hal/mod.ts";

/**
 * A box's clock, set right by its district: as long as the kernel says that nothing disciplines the
 * wall clock, the district's signed time is believed instead. A gate box without a battery clock
 * would otherwise judge schedules by 1970. The system's clock itself is left alone.
 */
export class CorrectedClock implements Clock {
  readonly #clock: Clock;
  #correctionMs = 0;

  /** Wraps `clock`, at first without a correction. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes the district's time: it is `districtWallMs` now. */
  correct(districtWallMs: number): void {
    this.#correctionMs = Math.round(districtWallMs) - this.#clock.wallMs();
  }

  /** Monotonic time of the clock underneath. */
  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  /** Wall time, corrected unless the kernel's own is disciplined. */
  wallMs(): number {
    const wallMs = this.#clock.wallMs();
    return this.#clock.wallQuality() === "synchronised" ? wallMs : wallMs + this.#correctionMs;
  }

  /** Quality of the clock underneath: a corrected time is still not a disciplined one. */
  wallQuality(): WallQuality {
    return this.#clock.wallQuality();
  }

  /** See {@link Clock.sleep}. */
  sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    return this.#clock.sleep(delayMs, signal);
  }

  /** See {@link Clock.schedule}. */
  schedule(delayMs: number, callback: () => void): Cancel {
    return this.#clock.schedule(delayMs, callback);
  }
}
