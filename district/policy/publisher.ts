import type { Clock } from "../../hal/mod.ts";
import { faultFields, type Log } from "../log.ts";
import type { PeopleStore, PolicyCompiler } from "../store/contract.ts";

/** What publishing needs, and whom it tells. */
export interface PublisherHost {
  readonly store: PeopleStore;
  readonly compiler: PolicyCompiler;
  readonly clock: Clock;
  readonly log: Log;
  /** Stored and to be fetched. */
  readonly onPublished: (version: number) => void;
}

/** A compilation that failed is tried again after this, since boxes wait for it. */
const RETRY_MS = 30_000;

/**
 * Compiles what changed, one at a time: changes that come meanwhile go into the next one, which
 * carries the newest version; versions between are never made.
 */
export class Publisher implements AsyncDisposable {
  readonly #host: PublisherHost;
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;
  #cancelRetry: () => void = () => {};

  /** Idle until {@link Publisher.publish}. */
  constructor(host: PublisherHost) {
    this.#host = host;
  }

  /** Says that something may have changed. Returns at once. */
  publish(): void {
    if (this.#closed) return;
    this.#again = true;
    this.#running ??= this.#run().finally(() => this.#running = undefined);
  }

  /** Resolves when everything said so far is published, or has failed. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Gives up what is under way; it is taken up again at the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#cancelRetry();
    await this.#host.compiler[Symbol.asyncDispose]();
    await this.settled();
  }

  async #run(): Promise<void> {
    const { store, compiler, clock, log, onPublished } = this.#host;
    while (this.#again && !this.#closed) {
      this.#again = false;
      try {
        if (await store.wantedVersion() <= await store.policyVersion()) continue;
        const startedMs = clock.monotonicMs();
        const policy = await compiler.compile();
        await store.putPolicy(policy);
        log.info("policy published", {
          version: policy.version,
          bytes: policy.document.length,
          tookMs: Math.round(clock.monotonicMs() - startedMs),
        });
        onPublished(policy.version);
      } catch (error) {
        if (this.#closed) return;
        log.error("no policy could be published; boxes keep the last one", faultFields(error));
        this.#cancelRetry();
        this.#cancelRetry = clock.schedule(RETRY_MS, () => this.publish());
      }
    }
  }
}
