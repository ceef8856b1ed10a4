/** Undoes a subscription or a scheduled call. Calling it twice does nothing more. */
export type Cancel = () => void;

/**
 * How far the wall clock can be trusted, best first. The position is the number on the wire.
 *
 * - `synchronised`: the kernel says that a time source disciplines it
 * - `corrected`: nothing disciplines it, but the district's time was known and added; good to about a second
 * - `unsynchronised`: it free-runs since boot, and may be years off (no battery clock)
 */
export const WALL_QUALITIES = [
  "synchronised",
  "corrected",
  "unsynchronised",
] as const;

/** One of {@link WALL_QUALITIES}. */
export type WallQuality = typeof WALL_QUALITIES[number];

/**
 * The two clocks of a box. Holds, debounces and time-outs use the monotonic one, records the wall
 * one; nothing is ever ordered by wall time.
 */
export interface Clock {
  /** Milliseconds of `CLOCK_MONOTONIC`, with a fraction; never steps, origin is the system's boot. */
  monotonicMs(): number;
  /** Milliseconds since 1970-01-01T00:00:00Z, an integer; may step. */
  wallMs(): number;
  /** How far {@link Clock.wallMs} can be trusted now. */
  wallQuality(): WallQuality;
  /**
   * Resolves after `delayMs` of monotonic time.
   *
   * @throws the signal's reason as soon as `signal` is aborted.
   */
  sleep(delayMs: number, signal: AbortSignal): Promise<void>;
  /** Calls `callback` once after `delayMs` of monotonic time, unless cancelled before. */
  schedule(delayMs: number, callback: () => void): Cancel;
}
