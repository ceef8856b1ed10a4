import type { LiveMessage } from "../api/types.ts";
import type { Cancel } from "../../hal/mod.ts";

/** Messages that wait for one client; at 300 bytes each, under a megabyte a slow browser. */
export const LIVE_QUEUE_MAX = 2_000;

/** One listener's queue. */
export class LiveQueue {
  readonly #queueMax: number;
  #messages: LiveMessage[] = [];
  #wake: () => void = () => {};
  #closed = false;

  /** Holds at most `queueMax`; beyond it all are dropped for one `resync`. */
  constructor(queueMax: number = LIVE_QUEUE_MAX) {
    this.#queueMax = queueMax;
  }

  /** Adds messages. Whoever falls behind is told to read anew: memory stays bounded. */
  push(messages: readonly LiveMessage[]): void {
    if (this.#closed) return;
    if (this.#messages.length + messages.length > this.#queueMax) {
      this.#messages = [{ kind: "resync" }];
    } else this.#messages.push(...messages);
    this.#wake();
  }

  /** Drops what waits, and takes no more. */
  close(): void {
    this.#closed = true;
    this.#messages = [];
    this.#wake();
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Takes what waits, at once. */
  take(): readonly LiveMessage[] {
    const messages = this.#messages;
    this.#messages = [];
    return messages;
  }

  /** Whether something waits. */
  get waiting(): boolean {
    return this.#messages.length > 0;
  }

  /** Resolves at the next message, nudge or close; for one caller at a time. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#wake = resolve);
  }

  /** Wakes whoever waits in {@link LiveQueue.next}, with nothing new. */
  nudge(): void {
    this.#wake();
  }
}

/** Hands messages to whoever listens. */
export class LiveHub {
  /** By queue, whose it is. */
  readonly #queues = new Map<LiveQueue, string>();

  /** How many listen: with none, nothing needs to be made for them. */
  get listeners(): number {
    return this.#queues.size;
  }

  /** Adds a listener until cancelled, or until {@link LiveHub.end} of its `owner`. */
  listen(queue: LiveQueue, owner: string = ""): Cancel {
    this.#queues.set(queue, owner);
    return () => {
      this.#queues.delete(queue);
      queue.close();
    };
  }

  /** Hands messages to all. */
  publish(messages: readonly LiveMessage[]): void {
    if (messages.length === 0) return;
    for (const queue of this.#queues.keys()) queue.push(messages);
  }

  /** Ends the listeners of an owner, at once. */
  end(owner: string): void {
    for (const [queue, whose] of this.#queues) if (whose === owner) queue.close();
  }

  /** Ends every listener. */
  close(): void {
    for (const queue of this.#queues.keys()) queue.close();
    this.#queues.clear();
  }
}
