/**
 * Card numbers as people have them, and as readers give them.
 *
 * @module
 */
import type { CardNumber } from "../../sync/wire/mod.ts";

/** Largest facility code of the 26-bit format. */
export const FACILITY_MAX = 255;
/** Largest card number of the 26-bit format. */
export const CARD_NUMBER_MAX = 65_535;

/**
 * The 26 bits of format H10301: even parity over the first half, 8 bits of facility, 16 bits of
 * number, odd parity over the second half (SIA AC-01-1996.10, section 5).
 *
 * @throws RangeError beyond {@link FACILITY_MAX} or {@link CARD_NUMBER_MAX}
 */
export function h10301(facility: number, number: number): CardNumber {
  const within = (value: number, max: number) =>
    Number.isInteger(value) && value >= 0 && value <= max;
  if (!within(facility, FACILITY_MAX) || !within(number, CARD_NUMBER_MAX)) {
    throw new RangeError("H10301 has a facility of 0–255 and a number of 0–65535");
  }
  const data = (facility << 16) | number;
  const even = parity(data >> 12);
  const odd = parity(data & 0xfff) ^ 1;
  return { bits: 26, hex: hexOf(BigInt(even * 2 ** 25 + data * 2 + odd), 26) };
}

/** 1 when the count of ones is odd. */
function parity(value: number): number {
  let odd = 0;
  for (let rest = value; rest !== 0; rest >>>= 1) odd ^= rest & 1;
  return odd;
}

/** `value` right-aligned in ceil(bits / 8) bytes, in lower-case hex. */
export function hexOf(value: bigint, bits: number): string {
  return value.toString(16).padStart(Math.ceil(bits / 8) * 2, "0");
}
