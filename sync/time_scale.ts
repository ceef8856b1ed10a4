import type { Clock } from "../hal/mod.ts";

/**
 * The district's time as the box knows it, carried on by the monotonic clock: steps of the box's own
 * wall clock change nothing. Before the district was heard of, it is the box's wall time.
 */
export class TimeScale {
  readonly #clock: Clock;
  readonly #listener: (districtWallMs: number) => void;
  #anchor: { readonly districtMs: number; readonly monotonicMs: number } | undefined;
  #uncertaintyMs = Infinity;

  /** `listener` is told the district's present time whenever it was learned better. */
  constructor(clock: Clock, listener: (districtWallMs: number) => void) {
    this.#clock = clock;
    this.#listener = listener;
  }

  /** Whether the district's time is known. */
  get known(): boolean {
    return this.#anchor !== undefined;
  }

  /** The district's time now, ms since 1970. */
  nowMs(): number {
    const anchor = this.#anchor;
    if (anchor === undefined) return this.#clock.wallMs();
    return Math.round(anchor.districtMs + this.#clock.monotonicMs() - anchor.monotonicMs);
  }

  /** How far the box's wall clock is ahead of the district's, in ms. */
  wallErrorMs(): number {
    return this.#clock.wallMs() - this.nowMs();
  }

  /**
   * Takes a signed time of the district: it was somewhere in `districtMs … + resolutionMs` at some
   * moment between `sentMonotonicMs` and now. A worse knowledge than the present one is only taken
   * where the two contradict each other.
   */
  learn(districtMs: number, resolutionMs: number, sentMonotonicMs: number): void {
    const receivedMs = this.#clock.monotonicMs();
    const uncertaintyMs = (receivedMs - sentMonotonicMs + resolutionMs) / 2;
    const estimateMs = districtMs + resolutionMs / 2;
    const middleMs = (receivedMs + sentMonotonicMs) / 2;
    const anchor = this.#anchor;
    if (anchor !== undefined) {
      const differenceMs = Math.abs(
        anchor.districtMs + middleMs - anchor.monotonicMs - estimateMs,
      );
      // Quartz drifts by 100 ppm at worst; what was known grows old.
      const knownMs = this.#uncertaintyMs + (middleMs - anchor.monotonicMs) * 1e-4;
      if (uncertaintyMs >= knownMs && differenceMs <= uncertaintyMs + knownMs) return;
    }
    this.#anchor = { districtMs: estimateMs, monotonicMs: middleMs };
    this.#uncertaintyMs = uncertaintyMs;
    this.#listener(this.nowMs());
  }
}
