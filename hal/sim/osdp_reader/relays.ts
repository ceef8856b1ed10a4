import type { Cancel, Clock } from "../../mod.ts";

interface Relay {
  permanent: boolean;
  timed: { readonly active: boolean; readonly cancel: Cancel } | undefined;
  shown: boolean;
}

/** The relays of a simulated reader: a permanent state each, and a timed one above it (§6, OUT). */
export class RelayBank {
  /** Called when a relay switches. */
  readonly listeners: Set<(index: number, active: boolean, atMonotonicMs: number) => void> =
    new Set();
  readonly #clock: Clock;
  readonly #relays: readonly Relay[];

  /** Makes `size` relays, all off. */
  constructor(size: number, clock: Clock) {
    this.#clock = clock;
    this.#relays = Array.from({ length: size }, () => ({
      permanent: false,
      timed: undefined,
      shown: false,
    }));
  }

  /** How many there are. */
  get size(): number {
    return this.#relays.length;
  }

  /** Whether relay `index` is on. */
  active(index: number): boolean {
    return this.#relays[index]?.shown ?? false;
  }

  /** All of them as OSTATR tells it. */
  states(): number[] {
    return this.#relays.map((relay) => Number(relay.shown));
  }

  /** Carries out the records of OUT, all or none. `false`: one names what is not there. */
  obey(data: Uint8Array): boolean {
    for (let at = 0; at < data.length; at += 4) {
      if (this.#relays[data[at]!] === undefined || data[at + 1]! > 6) return false;
    }
    for (let at = 0; at < data.length; at += 4) {
      const index = data[at]!;
      const relay = this.#relays[index]!;
      const control = data[at + 1]!;
      const timerMs = (data[at + 2]! + 256 * data[at + 3]!) * 100;
      if (control === 1 || control === 2 || control >= 5) {
        relay.timed?.cancel();
        relay.timed = undefined;
      }
      if (control >= 1 && control <= 4) relay.permanent = control === 2 || control === 4;
      if (control < 5) continue;
      // A timer of 0 means for ever.
      const cancel = timerMs === 0 ? () => {} : this.#clock.schedule(timerMs, () => {
        relay.timed = undefined;
        this.#settle(index, relay);
      });
      relay.timed = { active: control === 5, cancel };
    }
    for (const [index, relay] of this.#relays.entries()) this.#settle(index, relay);
    return true;
  }

  /** Power is lost: all drop. */
  release(): void {
    this.stop();
    for (const [index, relay] of this.#relays.entries()) {
      relay.timed = undefined;
      relay.permanent = false;
      this.#settle(index, relay);
    }
  }

  /** Ends what runs by itself. */
  stop(): void {
    for (const relay of this.#relays) relay.timed?.cancel();
  }

  #settle(index: number, relay: Relay): void {
    const active = relay.timed?.active ?? relay.permanent;
    if (active === relay.shown) return;
    relay.shown = active;
    const atMs = this.#clock.monotonicMs();
    for (const listener of this.listeners) listener(index, active, atMs);
  }
}
