/** CRC-8, polynomial x^8 + x^5 + x^4 + 1, low bit first: one entry for each value of the register. */
const TABLE = Uint8Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >> 1 : (crc >> 1) ^ 0x8c;
  return crc;
});

/**
 * The CRC of 1-Wire ROM codes (Maxim application note 27): initial value 0, low bit first. Over a
 * whole ROM code, its CRC included, it is 0.
 *
 * ```ts
 * crc8(Uint8Array.of(0x02, 0x1c, 0xb8, 0x01, 0x00, 0x00, 0x00)); // 0xa2
 * ```
 */
export function crc8(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = TABLE[crc ^ byte]!;
  return crc;
}
