import type { BatonClock } from "./messages.ts";

/** A baton's clock beside the box's, measured at one moment. */
export interface Comparison {
  readonly baton: BatonClock;
  /** The box's wall time at that moment, in ms since 1970. */
  readonly wallMs: number;
}

/**
 * When a read was made, by the box's clock. A quartz runs too fast or too slow at a steady rate, so the
 * offset is taken to have grown evenly from nothing, when the clock was set, to what was measured. Where
 * that time is not known the whole offset is taken for each read.
 *
 * Worst case: the rate changes with temperature, by some 2 s a day between a pocket and a frost; a clock
 * that is set each day is off by a second at most.
 */
export function correctedMs(atMs: number, { baton, wallMs }: Comparison): number {
  const offsetMs = wallMs - baton.nowMs;
  if (baton.setMs === undefined) return Math.round(atMs + offsetMs);
  const runMs = baton.nowMs - baton.setMs;
  // Set later than now: the clock was tampered with, and what was measured is all that is known.
  if (runMs <= 0) return Math.round(atMs + offsetMs);
  const share = (atMs - baton.setMs) / runMs;
  return Math.round(atMs + offsetMs * Math.min(Math.max(share, 0), 1));
}
