/**
 * How long one reader's reply is waited for. The standard gives it 200 ms and readers take three; on a
 * disturbed line each lost frame would cost everybody the difference.
 *
 * @module
 */

/** Replies that are timed before anything is concluded from them. */
const LEARNED_AFTER = 32;
/** Never less: USB adapters and a busy box hold replies back for this long. */
const PATIENCE_MS_MIN = 60;
/** How far over the slowest reply of late is still waited. */
const TIMES_SLOWEST = 3;
const OVER_MS = 40;
/** How much of the slowest reply is remembered from one to the next. */
const MEMORY = 0.99;

/** The patience with one reader. */
export class Patience {
  #timed = 0;
  #slowestMs = 0;

  /** It began to answer so long after the question's last bit. */
  answered(delayMs: number): void {
    this.#timed++;
    this.#slowestMs = Math.max(delayMs, this.#slowestMs * MEMORY);
  }

  /** It answered when nobody waited any more: it is given all its time again. */
  late(): void {
    this.#timed = 0;
    this.#slowestMs = 0;
  }

  /** How long to wait after `misses` turns without reply; from the third on twice as long each time, up to `most`. */
  waitMs(misses: number, most: number): number {
    if (this.#timed < LEARNED_AFTER) return most;
    const usualMs = Math.max(PATIENCE_MS_MIN, TIMES_SLOWEST * this.#slowestMs + OVER_MS);
    return Math.min(usualMs * 2 ** Math.max(misses - 1, 0), most);
  }
}
