import type { Clock } from "../../hal/mod.ts";
import type { Log } from "../log.ts";
import type { RolloutStore } from "../store/rollout_contract.ts";

/** A limit is hours; a minute more or less is none. */
const LOOK_EVERY_MS = 60_000;

/** Counts targets as failed that have told nothing for longer than their rollout waits, until disposal. */
export class SilenceWatch implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  /** Looks at once, then each minute. */
  constructor(rollouts: RolloutStore, clock: Clock, log: Log) {
    this.#running = this.#run(rollouts, clock, log);
  }

  async #run(rollouts: RolloutStore, clock: Clock, log: Log): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const count = await rollouts.giveUpSilent(clock.wallMs());
        if (count > 0) log.warn("updates were given up: nothing was heard of them", { count });
      } catch (cause) {
        log.error("rollouts cannot be looked at", { cause: String(cause) });
      }
      await clock.sleep(LOOK_EVERY_MS, signal).catch(() => {});
    }
  }

  /** Stops looking. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
