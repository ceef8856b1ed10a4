import type { Clock } from "../../hal/mod.ts";
import { openPtyPair, type PtyPair } from "../../hal/linux/mod.ts";
import { type SimulatedOsdpLine, simulateOsdpReaders } from "../../hal/sim/osdp_reader/mod.ts";
import type { BusConfig, ResolvedReader } from "../config/mod.ts";

/**
 * The buses of `kind: simulated`: each a pseudo-terminal with simulated OSDP readers on its far
 * end, so that all of the box but the cable is at work.
 */
export class SimulatedBuses implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  readonly #pairs: PtyPair[] = [];
  readonly #readers = new Map<string, { line: SimulatedOsdpLine; address: number }>();

  /** Makes none yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether there is any simulated reader. */
  get any(): boolean {
    return this.#readers.size > 0;
  }

  /** Puts `readers` on a new line and returns the path to open it by. */
  add(_bus: BusConfig, readers: readonly ResolvedReader[]): string {
    const pair = openPtyPair(this.#clock);
    this.#pairs.push(pair);
    const optionsOf = (reader: ResolvedReader) =>
      reader.options as { readonly address: number; readonly key?: string };
    const addressOf = (reader: ResolvedReader) => optionsOf(reader).address;
    const line = simulateOsdpReaders(
      pair.port,
      this.#clock,
      readers.map((reader) => {
        const { address, key } = optionsOf(reader);
        return key === undefined ? { address } : { address, key: Uint8Array.fromHex(key) };
      }),
      this.#stop.signal,
    );
    for (const reader of readers) {
      this.#readers.set(reader.id, { line, address: addressOf(reader) });
    }
    return pair.path;
  }

  /** Presents a card of `bits` bits with value `hex` (right-aligned) to `reader`; false when there is none. */
  tap(reader: string, bits: number, hex: string): boolean {
    const simulated = this.#readers.get(reader);
    if (simulated === undefined) return false;
    simulated.line.reader(simulated.address).present(bits, leftAligned(bits, hex));
    return true;
  }

  /** Pulls every plug. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const pair of this.#pairs) await pair[Symbol.asyncDispose]();
  }
}

/** The value's `bits` bits as readers send them: the first in the high bit of byte 0. */
function leftAligned(bits: number, hex: string): Uint8Array {
  const bytes = hex.length / 2;
  const shifted = BigInt(`0x${hex}`) << BigInt(bytes * 8 - bits);
  const digits = shifted.toString(16).padStart(bytes * 2, "0");
  return Uint8Array.from(
    { length: bytes },
    (_, index) => Number.parseInt(digits.slice(index * 2, index * 2 + 2), 16),
  );
}
