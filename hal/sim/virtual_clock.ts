import { setImmediate } from "node:timers";
import type { Cancel, Clock, WallQuality } from "../clock.ts";

/** How a {@link VirtualClock} starts. */
export interface VirtualClockOptions {
  /** Wall time at the start. Default 2026-09-01T00:00:00Z. */
  readonly wallMs?: number;
  /** Monotonic time at the start, as if the machine had booted that long ago. Default 0. */
  readonly monotonicMs?: number;
  /** Default `synchronised`. */
  readonly wallQuality?: WallQuality;
}

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A test in which more fires than this has a timer that arms itself without end. */
const TIMERS_MAX = 1_000_000;

/**
 * Time that stands still until a test moves it. Timers fire one by one by due time, then in the
 * order in which they were set; between two of them every promise that can settle has settled, so a
 * run is the same each time. Real input and output is not waited for.
 *
 * ```ts
 * const clock = new VirtualClock();
 * const slept = clock.sleep(50, signal);
 * await clock.advance(50);
 * await slept;
 * ```
 */
export class VirtualClock implements Clock {
  #nowMs: number;
  #wallOffsetMs: number;
  #quality: WallQuality;
  #order = 0;
  #advancing = false;
  /** A binary heap, soonest first: whole-system tests hold thousands of timers. */
  readonly #timers: Timer[] = [];
  readonly #cancelled = new WeakSet<Timer>();
  #live = 0;

  /** Starts at `options`. */
  constructor(options: VirtualClockOptions = {}) {
    this.#nowMs = options.monotonicMs ?? 0;
    this.#wallOffsetMs = (options.wallMs ?? Date.UTC(2026, 8, 1)) - this.#nowMs;
    this.#quality = options.wallQuality ?? "synchronised";
  }

  /** Virtual monotonic time. */
  monotonicMs(): number {
    return this.#nowMs;
  }

  /** Virtual wall time. */
  wallMs(): number {
    return Math.floor(this.#nowMs + this.#wallOffsetMs);
  }

  /** As set by the constructor or {@link VirtualClock.setWallQuality}. */
  wallQuality(): WallQuality {
    return this.#quality;
  }

  /** See {@link Clock.sleep}. */
  sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = () => {
        cancel();
        reject(signal.reason);
      };
      const cancel = this.schedule(delayMs, () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** See {@link Clock.schedule}. */
  schedule(delayMs: number, callback: () => void): Cancel {
    if (Number.isNaN(delayMs)) throw new RangeError("schedule: the delay is not a number");
    const timer = {
      dueMs: this.#nowMs + Math.max(delayMs, 0),
      order: this.#order++,
      callback,
    };
    this.#push(timer);
    this.#live++;
    return () => {
      if (this.#cancelled.has(timer)) return;
      this.#cancelled.add(timer);
      this.#live--;
    };
  }

  /** Timers that have not fired and are not cancelled. */
  pendingTimers(): number {
    return this.#live;
  }

  /** Moves time on by `ms`, firing what falls due. Rejects with what a callback throws. */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new RangeError(`advance: ${ms} ms`);
    await this.#run(this.#nowMs + ms);
  }

  /**
   * Moves time on from timer to timer until none is left.
   *
   * @throws Error when timers are left after `withinMs` (default a day): something ticks for ever.
   */
  async runUntilIdle(withinMs = 86_400_000): Promise<void> {
    const limitMs = this.#nowMs + withinMs;
    await this.#settle();
    for (let due = this.#next(); due !== undefined; due = this.#next()) {
      if (due.dueMs > limitMs) {
        throw new Error(`runUntilIdle: ${this.#live} timers are left after ${withinMs} ms`);
      }
      await this.#run(due.dueMs);
    }
  }

  /** Steps the wall clock alone, as a time server does; monotonic time goes on. */
  stepWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** Changes what {@link VirtualClock.wallQuality} says. */
  setWallQuality(quality: WallQuality): void {
    this.#quality = quality;
  }

  async #run(untilMs: number): Promise<void> {
    if (this.#advancing) throw new Error("the clock is being moved already; await that first");
    this.#advancing = true;
    try {
      await this.#settle();
      for (let fired = 0;; fired++) {
        const timer = this.#next();
        if (timer === undefined || timer.dueMs > untilMs) break;
        if (fired >= TIMERS_MAX) throw new Error(`more than ${TIMERS_MAX} timers fired`);
        this.#pop();
        this.#cancelled.add(timer);
        this.#live--;
        this.#nowMs = timer.dueMs;
        timer.callback();
        await this.#settle();
      }
      this.#nowMs = Math.max(this.#nowMs, untilMs);
    } finally {
      this.#advancing = false;
    }
  }

  /** All microtasks run before the next turn of the event loop. */
  #settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  #next(): Timer | undefined {
    while (this.#timers[0] !== undefined && this.#cancelled.has(this.#timers[0])) this.#pop();
    return this.#timers[0];
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!sooner(timer, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#timers;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && sooner(heap[child + 1]!, heap[child]!)) child++;
      if (!sooner(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function sooner(a: Timer, b: Timer): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}
