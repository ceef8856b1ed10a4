/**
 * A reader's own relays and contacts.
 *
 * @module
 */
import type { Cancel } from "../../../hal/mod.ts";
import type { InputLine, OutputLine } from "../../contract.ts";
import { type ListenerFault, Listeners } from "../../listeners.ts";

export { type ListenerFault, Listeners } from "../../listeners.ts";

/** What an output is to be told. */
export interface OutputOrder {
  readonly active: boolean;
  /** When a timed order falls back; `undefined` for one that stays. */
  readonly revertAtMs: number | undefined;
  readonly orderedMs: number;
}

/** One relay of a reader. */
export class OsdpOutput implements OutputLine {
  readonly #order: (active: boolean, revertAfterMs: number | undefined) => void;
  readonly #driven: Listeners<[boolean, number]>;
  #commanded: boolean | undefined;
  /** The permanent state that the reader was last told, `undefined` when it may have forgotten. */
  permanent: boolean | undefined;
  /** The last order, kept to restore the state of a reader that comes back. */
  lastOrder: OutputOrder | undefined;

  /** `order` puts the order into the reader's queue. */
  constructor(
    order: (active: boolean, revertAfterMs: number | undefined) => void,
    fault: ListenerFault,
  ) {
    this.#order = order;
    this.#driven = new Listeners(fault);
  }

  set(active: boolean, options?: { readonly revertAfterMs?: number }): void {
    const revertAfterMs = options?.revertAfterMs;
    if (revertAfterMs !== undefined && !(revertAfterMs > 0)) {
      throw new RangeError(`revertAfterMs ${revertAfterMs}: expected more than 0 ms`);
    }
    this.#commanded = active;
    this.#order(active, active ? revertAfterMs : undefined);
  }

  commanded(): boolean | undefined {
    return this.#commanded;
  }

  onDriven(listener: (active: boolean, atMonotonicMs: number) => void): Cancel {
    return this.#driven.add(listener);
  }

  /** Says that the order was handed to the line. */
  driven(active: boolean, atMonotonicMs: number): void {
    this.#driven.emit(active, atMonotonicMs);
  }
}

/** One contact of a reader. */
export class OsdpInput implements InputLine {
  readonly #changed: Listeners<[boolean | undefined, number]>;
  #active: boolean | undefined;

  /** Makes an input whose level is not known yet. */
  constructor(fault: ListenerFault) {
    this.#changed = new Listeners(fault);
  }

  active(): boolean | undefined {
    return this.#active;
  }

  /** ISTATR tells levels only. */
  fault(): undefined {
    return undefined;
  }

  onChange(listener: (active: boolean | undefined, atMonotonicMs: number) => void): Cancel {
    return this.#changed.add(listener);
  }

  /** Takes the level that the reader reported. */
  update(active: boolean | undefined, atMonotonicMs: number): void {
    if (active === this.#active) return;
    this.#active = active;
    this.#changed.emit(active, atMonotonicMs);
  }
}
