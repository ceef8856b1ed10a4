/** Times on the line that the bus and a search share (IEC 60839-11-5 §5.3). */

/** Start, eight data bits, stop. */
export const BITS_A_CHARACTER = 10;
/** Silence that must stand before sending, in characters. */
export const QUIET_CHARACTERS = 2;
/** Gap within a frame: nominally 20 ms, but USB adapters show up to 110 ms. */
export const INTER_CHARACTER_MS = 150;
