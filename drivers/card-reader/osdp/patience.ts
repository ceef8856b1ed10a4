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

/** Missed replies, and silence, after which a reader no longer gets its turn like the others: a disturbed line is not its fault. */
const MISSES_MAX = 3;
const SILENT_MS_MAX = 1_500;

/** The patience with one reader. */
export class Patience {
  #misses = 0;
  #timed = 0;
  #slowestMs = 0;

  /** Turns in a row that it did not answer. */
  get misses(): number {
    return this.#misses;
  }

  /** It did not answer. */
  missed(): void {
    this.#misses++;
  }

  /** It answered, or the line is a new one. */
  heard(): void {
    this.#misses = 0;
  }

  /** Whether it has stopped answering, having been silent for so long. */
  failing(silentMs: number): boolean {
    return this.#misses >= MISSES_MAX && silentMs >= SILENT_MS_MAX;
  }

  /** It began to answer so long after the question's last bit. */
  answered(delayMs: number): void {
    this.#timed++;
    this.#slowestMs = Math.max(delayMs, this.#slowestMs * MEMORY);
  }

  /** How long to wait for the next reply: from the third miss on twice as long each time, up to `most`. */
  waitMs(most: number): number {
    if (this.#timed < LEARNED_AFTER) return most;
    const usualMs = Math.max(PATIENCE_MS_MIN, TIMES_SLOWEST * this.#slowestMs + OVER_MS);
    return Math.min(usualMs * 2 ** Math.max(this.#misses - 1, 0), most);
  }
}
