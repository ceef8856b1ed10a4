import type { Cancel } from "../hal/mod.ts";

/** Called for a listener that threw; a fault in one must not stop the device. */
export type ListenerFault = (cause: unknown) => void;

/** Listeners that are called in order, each shielded from the others. */
export class Listeners<A extends readonly unknown[]> {
  readonly #listeners = new Set<(...args: A) => void>();
  readonly #fault: ListenerFault;

  /** Makes an empty set; `fault` hears of listeners that throw. */
  constructor(fault: ListenerFault) {
    this.#fault = fault;
  }

  /** Subscribes. Each call is a subscription of its own, even of the same function. */
  add(listener: (...args: A) => void): Cancel {
    const own = (...args: A) => listener(...args);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** Calls each. */
  emit(...args: A): void {
    for (const listener of this.#listeners) {
      try {
        listener(...args);
      } catch (cause) {
        this.#fault(cause);
      }
    }
  }
}
