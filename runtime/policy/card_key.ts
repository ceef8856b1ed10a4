/**
 * Card numbers as bytes that compare equal exactly when the cards are the same: the length in bits,
 * then the value right-aligned. `26 bits 00…1` and `34 bits 00…1` are different cards.
 *
 * @module
 */
import type { CardNumber } from "../../sync/wire/mod.ts";

/** The longest key: one byte of length and 255 bits. */
export const CARD_KEY_BYTES_MAX = 33;

/**
 * The key of a card as a reader gave it: `bits` bits, the first in the high bit of `data[0]`
 * (OSDP RAW, IEC 60839-11-5 §7.10).
 *
 * @throws RangeError when `data` is shorter than `bits` says.
 */
export function cardKeyFromRead(bits: number, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = Math.ceil(bits / 8);
  if (bits < 1 || bits > 255 || data.length < bytes) {
    throw new RangeError(`card of ${bits} bits in ${data.length} bytes`);
  }
  const key = new Uint8Array(1 + bytes);
  key[0] = bits;
  const shift = bytes * 8 - bits;
  let carry = 0;
  for (let index = 0; index < bytes; index++) {
    const byte = data[index]!;
    key[index + 1] = (carry | (byte >> shift)) & 0xff;
    carry = byte << (8 - shift);
  }
  return key;
}

/**
 * The key of a card number as policy writes it.
 *
 * @throws RangeError when the value has more bits than the number says, or another length.
 */
export function cardKeyFromNumber(number: CardNumber): Uint8Array<ArrayBuffer> {
  const bytes = Math.ceil(number.bits / 8);
  if (number.hex.length !== bytes * 2) {
    throw new RangeError(`a card of ${number.bits} bits needs ${bytes * 2} hex digits`);
  }
  const key = new Uint8Array(1 + bytes);
  key[0] = number.bits;
  for (let index = 0; index < bytes; index++) {
    key[index + 1] = Number.parseInt(number.hex.slice(index * 2, index * 2 + 2), 16);
  }
  const spare = bytes * 8 - number.bits;
  if (key[1]! >> (8 - spare) !== 0) {
    throw new RangeError(`value ${number.hex} has more than ${number.bits} bits`);
  }
  return key;
}

/** The number that a key stands for, as it is written in policy and shown to people. */
export function cardNumberOf(key: Uint8Array): CardNumber {
  let hex = "";
  for (let index = 1; index < key.length; index++) hex += key[index]!.toString(16).padStart(2, "0");
  return { bits: key[0]!, hex };
}

/** A well-spread 32-bit hash of a key (FNV-1a with MurmurHash3's finaliser). */
export function hashCardKey(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let index = from; index < to; index++) {
    hash = Math.imul(hash ^ bytes[index]!, 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
