/** What waits to be asked about; more than an installer can answer is let go, oldest first. */
const WAITING_MAX = 256;

/** A queue with one taker. */
export class Queue<T> {
  readonly #items: T[] = [];
  #wake: (() => void) | undefined;

  /** Puts one in. */
  push(item: T): void {
    this.#items.push(item);
    if (this.#items.length > WAITING_MAX) this.#items.shift();
    this.#wake?.();
  }

  /** Takes the next one, if there is one. */
  shift(): T | undefined {
    return this.#items.shift();
  }

  /** Resolves when there is one to take. @throws the signal's reason. */
  async ready(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#items.length > 0) return;
      await new Promise<void>((resolve) => {
        const wake = () => {
          signal.removeEventListener("abort", wake);
          this.#wake = undefined;
          resolve();
        };
        this.#wake = wake;
        signal.addEventListener("abort", wake);
      });
    }
  }
}
