/** Numbers that are the same for the same seed (mulberry32), for tests that print theirs. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From `GATEHOUSE_SEED`, or a new one. */
  static seeded(): { seed: number; random: Random } {
    const given = Deno.env.get("GATEHOUSE_SEED");
    const seed = given === undefined
      ? crypto.getRandomValues(new Uint32Array(1))[0]!
      : Number(given);
    return { seed, random: new Random(seed) };
  }

  /** A whole number from 0 to under `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  /** So many bytes. */
  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  /** One of `items`. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}
