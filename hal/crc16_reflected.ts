/** CRC-16, polynomial 0x1021 reflected, low bit first: one entry for each value of the low byte. */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >> 1 : (crc >> 1) ^ 0x8408;
  return crc;
});

/**
 * CRC-16/MCRF4XX: polynomial 0x1021 reflected (0x8408), initial value 0xFFFF, no final inversion; that
 * of FEIG's OBID frames and of the Gatehouse baton protocol.
 *
 * ```ts
 * crc16Reflected(new TextEncoder().encode("123456789")); // 0x6f91
 * ```
 *
 * @param start first byte that counts
 * @param end the byte after the last that counts
 */
export function crc16Reflected(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
): number {
  let crc = 0xffff;
  for (let at = start; at < end; at++) crc = (crc >> 8) ^ TABLE[(crc ^ bytes[at]!) & 0xff]!;
  return crc;
}
