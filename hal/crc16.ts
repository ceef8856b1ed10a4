/** CRC-16, polynomial 0x1021, high bit first: one entry for each value of the top byte. */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc;
});

/**
 * The CRC of OSDP frames (IEC 60839-11-5, annex on CRC): polynomial 0x1021, initial value 0x1D0F, no
 * reflection, no final inversion. Sent low byte first.
 *
 * ```ts
 * crc16(Uint8Array.of(0x53, 0x00, 0x09, 0x00, 0x04, 0x61, 0x00)); // 0x66c0
 * ```
 *
 * @param start first byte that counts
 * @param end the byte after the last that counts
 */
export function crc16(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  let crc = 0x1d0f;
  for (let i = start; i < end; i++) {
    crc = ((crc << 8) & 0xffff) ^ TABLE[(crc >> 8) ^ bytes[i]!]!;
  }
  return crc;
}
