/** `bits` bits of `data` (first bit in the high bit of byte 0) as right-aligned hex, as policy and events have it. */
export function cardHex(bits: number, data: Uint8Array): string {
  return cardValue(bits, data).toString(16).padStart(Math.ceil(bits / 8) * 2, "0");
}

/**
 * The number that is printed on most cards of this length: 26 bits as `facility,number` (H10301), 34
 * and 37 bits without their parity bits, 32 and less as a decimal; longer ones as hex.
 */
export function printedNumber(bits: number, data: Uint8Array): string {
  const value = cardValue(bits, data);
  const inner = (value >> 1n) & ((1n << BigInt(Math.max(bits - 2, 0))) - 1n);
  switch (bits) {
    case 26:
      return `${inner >> 16n},${String(inner & 0xffffn).padStart(5, "0")}`;
    case 34:
    case 37:
      return String(inner);
    default:
      return bits <= 32 ? String(value) : cardHex(bits, data);
  }
}

function cardValue(bits: number, data: Uint8Array): bigint {
  const bytes = Math.ceil(bits / 8);
  let value = 0n;
  for (const byte of data.subarray(0, bytes)) value = value << 8n | BigInt(byte);
  return value >> BigInt(bytes * 8 - bits);
}
