/**
 * Wiegand frames: a bit is a short pulse on one of two lines, a frame ends with silence
 * (SIA AC-01-1996.10: pulses of 20–100 µs, 0.2–20 ms apart).
 *
 * @module
 */

/** One pulse. */
export interface WiegandPulse {
  /** 0 came on D0, 1 on D1. */
  readonly bit: 0 | 1;
  /** When it began, monotonic ms. */
  readonly atMs: number;
  /** Edges of its line just before it were lost: what it is in is not whole. */
  readonly lostBefore?: number;
}

/** What a burst of pulses was. */
export type WiegandFrame =
  | {
    readonly kind: "card";
    readonly bits: number;
    /** First bit in the high bit of byte 0, as `ReaderEvent` has it. */
    readonly data: Uint8Array;
  }
  | { readonly kind: "key"; readonly key: string }
  | {
    /**
     * - `length`: too few or too many pulses, or a number that no reader sends
     * - `unlisted`: not one of the lengths that this reader is known to send
     * - `glitch`: pulses closer than any reader sends them, or on both lines at once
     * - `parity`: the frame's own check does not hold
     * - `swapped`: it does not hold, but would if D0 and D1 were exchanged
     */
    readonly kind: "refused";
    readonly why: "length" | "unlisted" | "glitch" | "parity" | "swapped";
    readonly pulses: number;
  };

type RefusedFrame = Extract<WiegandFrame, { kind: "refused" }>;

/** Shortest card number; shorter bursts are keys or noise. */
export const CARD_BITS_MIN = 16;
/** Longest card number of the field's readers (FASC-N has 75, some send 128). */
export const FRAME_BITS_MAX = 128;
/** SIA AC-01: pulses begin at least 0.2 ms apart; half of it allows for the kernel's stamps. */
const SPACING_MS_MIN = 0.1;

/** Lengths of a key: its code, alone or behind its complement. */
export const KEY_BITS: readonly number[] = [4, 8];
/** Keys by their code, 4 bits. */
const KEYS = "0123456789*#";

/** Groups of bits of which the first must have even and the second odd parity, by frame length. */
const PARITY: ReadonlyMap<number, readonly [even: [number, number], odd: [number, number]]> =
  new Map([
    // H10301: bits 0–12 and 13–25.
    [26, [[0, 13], [13, 26]]],
    [34, [[0, 17], [17, 34]]],
    // H10302 and H10304: the middle bit is in both.
    [37, [[0, 19], [18, 37]]],
  ]);

function parityHolds(bits: readonly number[]): boolean {
  const groups = PARITY.get(bits.length);
  if (groups === undefined) return true;
  const [even, odd] = groups.map(([from, to]) =>
    bits.slice(from, to).reduce((sum, bit) => sum + bit, 0) % 2
  );
  return even === 0 && odd === 1;
}

/** What a reader is known to send. */
export interface WiegandFormat {
  /** `check` looks at frames of 26, 34 and 37 bits. */
  readonly parity: "check" | "ignore";
  /** Lengths of its frames; without them every length is read. */
  readonly bits?: readonly number[] | undefined;
}

/** Reads the pulses of one burst, in order of time. */
export function readFrame(
  pulses: readonly WiegandPulse[],
  { parity, bits: lengths }: WiegandFormat,
): WiegandFrame {
  const refused = (why: RefusedFrame["why"]) =>
    ({ kind: "refused", why, pulses: pulses.length }) as const;
  if (pulses.length > FRAME_BITS_MAX) return refused("length");
  if (lengths?.includes(pulses.length) === false) return refused("unlisted");
  for (let index = 1; index < pulses.length; index++) {
    if (pulses[index]!.atMs - pulses[index - 1]!.atMs < SPACING_MS_MIN) return refused("glitch");
  }
  const bits = pulses.map((pulse) => pulse.bit as number);
  const value = () => bits.reduce((sum, bit) => sum * 2 + bit, 0);
  if (bits.length === 4) {
    const key = KEYS[value()];
    return key === undefined ? refused("length") : { kind: "key", key };
  }
  if (bits.length === 8) {
    // The key's code behind its complement.
    const [high, low] = [value() >> 4, value() & 0xf];
    const key = high === (~low & 0xf) ? KEYS[low] : undefined;
    return key === undefined ? refused("parity") : { kind: "key", key };
  }
  if (bits.length < CARD_BITS_MIN) return refused("length");
  if (parity === "check" && !parityHolds(bits)) {
    return refused(parityHolds(bits.map((bit) => 1 - bit)) ? "swapped" : "parity");
  }
  const data = new Uint8Array(Math.ceil(bits.length / 8));
  for (const [index, bit] of bits.entries()) data[index >> 3]! |= bit << (7 - (index & 7));
  return { kind: "card", bits: bits.length, data };
}
