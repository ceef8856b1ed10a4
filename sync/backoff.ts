import type { Clock } from "../hal/mod.ts";

/** What a {@link Backoff} needs. */
export interface BackoffOptions {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Upper end of the first wait. */
  readonly baseMs: number;
  /** Upper end of any wait. */
  readonly capMs: number;
}

/** No server's `Retry-After` may silence a box for longer: an hour. */
const RETRY_AFTER_MS_MAX = 3600_000;

/**
 * Back-off with full jitter, shared by callers that talk to the same server: a storm of boxes that
 * all lost it at once spreads over the whole wait instead of returning at once.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #waiting = new Set<() => void>();
  #failures = 0;
  #countedMs = -Infinity;
  #notBeforeMs = -Infinity;

  /** Starts without a wait. */
  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /**
   * Notes a failure of a call that began at `startedMs` (monotonic). Calls that were under way
   * together count as one.
   */
  failed(startedMs: number, retryAfterMs = 0): void {
    if (startedMs < this.#countedMs) return;
    const { clock, random, baseMs, capMs } = this.#options;
    this.#countedMs = clock.monotonicMs();
    const ceilingMs = Math.min(capMs, baseMs * 2 ** Math.min(this.#failures, 30));
    this.#failures++;
    this.#notBeforeMs = this.#countedMs + Math.min(retryAfterMs, RETRY_AFTER_MS_MAX) +
      random() * ceilingMs;
  }

  /** Notes a success: nobody waits any longer. */
  succeeded(): void {
    this.#failures = 0;
    this.#notBeforeMs = -Infinity;
    for (const wake of [...this.#waiting]) wake();
  }

  /** Resolves when the next try is due. @throws the signal's reason as soon as it is aborted. */
  async wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { clock } = this.#options;
    for (;;) {
      const restMs = this.#notBeforeMs - clock.monotonicMs();
      if (!(restMs > 0)) return;
      await new Promise<void>((resolve) => {
        const done = () => {
          cancel();
          this.#waiting.delete(done);
          signal.removeEventListener("abort", done);
          resolve();
        };
        const cancel = clock.schedule(restMs, done);
        this.#waiting.add(done);
        signal.addEventListener("abort", done, { once: true });
      });
      signal.throwIfAborted();
    }
  }
}

/** Wakes one waiter; a call without a waiter is kept for the next one. */
export class Wakeup {
  #pending = false;
  #resolve: (() => void) | undefined;

  /** Wakes, or spares the next wait. */
  notify(): void {
    this.#pending = true;
    this.#resolve?.();
  }

  /** Resolves after the next {@link Wakeup.notify} since the last wait. @throws the signal's reason. */
  async wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#pending) {
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
      this.#resolve = undefined;
      signal.throwIfAborted();
    }
    this.#pending = false;
  }
}
