import type { ReaderEvent } from "./contract.ts";

/** A card number as {@link ReaderEvent} carries it. */
export type CardNumber = Pick<Extract<ReaderEvent, { kind: "card" }>, "bits" | "data">;

/** Longest card number that a {@link ReaderEvent} carries, in bits. */
export const CARD_BITS_MAX = 255;

/**
 * The card whose number of `bits` bits is `value`, or `undefined` when it does not fit.
 *
 * @throws RangeError for `bits` outside 1 to 255.
 */
export function cardOf(value: bigint, bits: number): CardNumber | undefined {
  if (!(Number.isInteger(bits) && bits >= 1 && bits <= CARD_BITS_MAX)) {
    throw new RangeError(`a card of ${bits} bits`);
  }
  if (value < 0n || value >> BigInt(bits) !== 0n) return undefined;
  const bytes = Math.ceil(bits / 8);
  const hex = (value << BigInt(bytes * 8 - bits)).toString(16).padStart(bytes * 2, "0");
  return { bits, data: Uint8Array.fromHex(hex) };
}

/** A number of whole bytes, most significant first, as a card. */
export function cardOfBytes(bytes: Uint8Array): CardNumber {
  return { bits: bytes.length * 8, data: bytes.slice() };
}

/** `value` of `bits` bits (a multiple of 8) with its bytes in the opposite order. */
export function swapBytes(value: bigint, bits: number): bigint {
  const hex = value.toString(16).padStart(bits / 4, "0");
  return BigInt(`0x${Uint8Array.fromHex(hex).reverse().toHex()}`);
}

/**
 * The 26 bits that a Wiegand reader sends for 24 bits of facility and number (H10301): even parity
 * over the first 12, odd over the last 12.
 */
export function h10301(value: bigint): CardNumber | undefined {
  if (value < 0n || value >> 24n !== 0n) return undefined;
  const ones = (half: bigint) => half.toString(2).replaceAll("0", "").length;
  const even = BigInt(ones(value >> 12n) & 1);
  const odd = BigInt(~ones(value & 0xfffn) & 1);
  return cardOf(even << 25n | value << 1n | odd, 26);
}
