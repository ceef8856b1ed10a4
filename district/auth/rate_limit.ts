/** Allows `attemptsMax` within `spanMs` for each key; memory is bounded. */
export class RateLimit {
  readonly #attemptsMax: number;
  readonly #spanMs: number;
  readonly #keysMax: number;
  readonly #attempts = new Map<string, { count: number; endsMs: number }>();

  /** `keysMax` bounds the memory: beyond it, the key that was quiet the longest is forgotten. */
  constructor(attemptsMax: number, spanMs: number, keysMax: number = 10_000) {
    this.#attemptsMax = attemptsMax;
    this.#spanMs = spanMs;
    this.#keysMax = keysMax;
  }

  /** Counts an attempt; how long to wait instead, in ms, when there were too many; otherwise 0. */
  attempt(key: string, nowMs: number): number {
    let entry = this.#attempts.get(key);
    if (entry === undefined || entry.endsMs <= nowMs) {
      entry = { count: 0, endsMs: nowMs + this.#spanMs };
    }
    this.#attempts.delete(key);
    this.#attempts.set(key, entry);
    if (this.#attempts.size > this.#keysMax) {
      this.#attempts.delete(this.#attempts.keys().next().value!);
    }
    if (entry.count >= this.#attemptsMax) return entry.endsMs - nowMs;
    entry.count++;
    return 0;
  }

  /** Takes an attempt back that turned out to be right. */
  forgive(key: string): void {
    const entry = this.#attempts.get(key);
    if (entry !== undefined && entry.count > 0) entry.count--;
  }
}
