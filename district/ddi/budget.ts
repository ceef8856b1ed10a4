import type { Clock } from "../../hal/mod.ts";
import { Refusal } from "./refusal.ts";

/** A client gives a line up that brings nothing for 20 s; half of it is left to the network. */
const SILENCE_MS_MAX = 10_000;
/** Who finds no room asks again after this. */
const AGAIN_S = 60;

/**
 * What all downloads of updates together may take of the district's line, shared evenly: each waits
 * for its turn with every chunk. As many go at once as each still gets a chunk before its client
 * gives up; others are told to come back.
 */
export class Budget {
  readonly #bytesPerSecond: number;
  readonly #clock: Clock;
  #dueMs = 0;
  #open = 0;

  /** Allows `bytesPerSecond` bytes a second. */
  constructor(bytesPerSecond: number, clock: Clock) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
  }

  /**
   * Room for a download in chunks of `chunkBytes`, until it is given back.
   *
   * @throws {@link Refusal} 503, with `retry-after`, when there is none.
   */
  enter(chunkBytes: number): Disposable {
    const most = Math.max(
      1,
      Math.floor(this.#bytesPerSecond * SILENCE_MS_MAX / 1_000 / chunkBytes),
    );
    if (this.#open >= most) {
      throw new Refusal(503, "the budget for updates is used up; come back later", {
        "retry-after": String(AGAIN_S),
      });
    }
    this.#open++;
    let left = false;
    return {
      [Symbol.dispose]: () => {
        if (!left) this.#open--;
        left = true;
      },
    };
  }

  /** Resolves when `bytes` may be sent. */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const dueMs = Math.max(this.#dueMs, nowMs);
    this.#dueMs = dueMs + bytes / this.#bytesPerSecond * 1_000;
    if (dueMs > nowMs) await this.#clock.sleep(dueMs - nowMs, signal);
  }
}
