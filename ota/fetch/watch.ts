import type { Clock } from "../../hal/mod.ts";
import { TrustError } from "../trust/errors.ts";

/** A byte must come this often; a link that is slower than this carries no update either. */
const STALL_MS_MAX = 20_000;

/** Ends a fetch that stalls, or takes longer than it may. */
export class Watch implements Disposable {
  readonly #what: string;
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  readonly #cancelWhole: () => void;
  /** Aborted with the reason when the fetch has to end. */
  readonly signal: AbortSignal;

  /** Watches the fetch of `what`, which may last `wholeMs` in all if that is given. */
  constructor(what: string, clock: Clock, signal: AbortSignal, wholeMs?: number) {
    this.#what = what;
    this.#clock = clock;
    this.signal = AbortSignal.any([signal, this.#abort.signal]);
    this.#cancelWhole = wholeMs === undefined
      ? () => {}
      : clock.schedule(wholeMs, () => this.#end(wholeMs));
  }

  /** `promise`, or the reason why it was not waited for any longer. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    const cancel = this.#clock.schedule(STALL_MS_MAX, () => this.#end(STALL_MS_MAX));
    const ended = Promise.withResolvers<never>();
    const end = () => ended.reject(this.signal.reason);
    this.signal.addEventListener("abort", end);
    try {
      this.signal.throwIfAborted();
      return await Promise.race([promise, ended.promise]);
    } finally {
      cancel();
      this.signal.removeEventListener("abort", end);
      promise.catch(() => {});
    }
  }

  #end(afterMs: number): void {
    this.#abort.abort(
      new TrustError("too-slow", `${this.#what}: too slow, given up after ${afterMs / 1000} s`),
    );
  }

  /** Stops watching. */
  [Symbol.dispose](): void {
    this.#cancelWhole();
  }
}
