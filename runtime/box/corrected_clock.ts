import type { Cancel, Clock, WallQuality } from "../../hal/mod.ts";

/**
 * A box's clock, set right by its district: as long as the kernel says that nothing disciplines the
 * wall clock, the district's signed time is believed instead. A gate box without a battery clock
 * would otherwise judge schedules by 1970. The system's clock itself is left alone.
 */
export class CorrectedClock implements Clock {
  /** The clock underneath. */
  readonly uncorrected: Clock;
  #correctionMs: number | undefined;

  /** Wraps `clock`, at first without a correction. */
  constructor(clock: Clock) {
    this.uncorrected = clock;
  }

  /** Takes the district's time: it is `districtWallMs` now. */
  correct(districtWallMs: number): void {
    this.#correctionMs = Math.round(districtWallMs) - this.uncorrected.wallMs();
  }

  /** Monotonic time of the clock underneath. */
  monotonicMs(): number {
    return this.uncorrected.monotonicMs();
  }

  /** Wall time, corrected unless the kernel's own is disciplined. */
  wallMs(): number {
    const correctionMs = this.wallQuality() === "corrected" ? this.#correctionMs! : 0;
    return this.uncorrected.wallMs() + correctionMs;
  }

  /** Quality of the clock underneath, or `corrected` once the district's time is known. */
  wallQuality(): WallQuality {
    const quality = this.uncorrected.wallQuality();
    return quality !== "synchronised" && this.#correctionMs !== undefined ? "corrected" : quality;
  }

  /** See {@link Clock.sleep}. */
  sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    return this.uncorrected.sleep(delayMs, signal);
  }

  /** See {@link Clock.schedule}. */
  schedule(delayMs: number, callback: () => void): Cancel {
    return this.uncorrected.schedule(delayMs, callback);
  }
}
