/**
 * Frames of the Gatehouse baton protocol (docs/reference/baton-protocol.md §2): A5 5A, length of the
 * body in two bytes, body, CRC-16/MCRF4XX over length and body in two. Numbers are big-endian.
 *
 * @module
 */
import { crc16Reflected } from "../../../hal/mod.ts";

const START = [0xa5, 0x5a] as const;
/** §2: a body holds 64 reads with the longest tags. */
export const BODY_BYTES_MAX = 2_048;
const HEAD_BYTES = 4;
const CRC_BYTES = 2;

/** Makes a frame. */
export function encodeFrame(body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HEAD_BYTES + body.length + CRC_BYTES);
  const view = new DataView(frame.buffer);
  frame.set(START);
  view.setUint16(2, body.length);
  frame.set(body, HEAD_BYTES);
  view.setUint16(HEAD_BYTES + body.length, crc16Reflected(frame, 2, HEAD_BYTES + body.length));
  return frame;
}

/** Finds frames in a stream of bytes; holds back one frame at most, and drops what is none. */
export class BatonFinder {
  #buffer = new Uint8Array(HEAD_BYTES + BODY_BYTES_MAX + CRC_BYTES);
  #used = 0;

  /** Takes bytes as they come and gives the body of each sound frame to `sink`. */
  push(bytes: Uint8Array, sink: (body: Uint8Array) => void): void {
    for (const byte of bytes) {
      this.#buffer[this.#used++] = byte;
      this.#advance(sink);
    }
  }

  /** Forgets a frame that has begun. */
  reset(): void {
    this.#used = 0;
  }

  #advance(sink: (body: Uint8Array) => void): void {
    while (this.#used > 0) {
      const missing = this.#look(sink);
      if (missing) return;
    }
  }

  /** Whether more bytes are needed; otherwise something was taken out of the buffer. */
  #look(sink: (body: Uint8Array) => void): boolean {
    const buffer = this.#buffer;
    if (buffer[0] !== START[0]) return this.#drop(1);
    if (this.#used < 2) return true;
    if (buffer[1] !== START[1]) return this.#drop(1);
    if (this.#used < HEAD_BYTES) return true;
    const length = (buffer[2]! << 8) | buffer[3]!;
    if (length === 0 || length > BODY_BYTES_MAX) return this.#drop(1);
    const end = HEAD_BYTES + length;
    if (this.#used < end + CRC_BYTES) return true;
    const crc = (buffer[end]! << 8) | buffer[end + 1]!;
    // A frame may begin within what only looked like one.
    if (crc16Reflected(buffer, 2, end) !== crc) return this.#drop(1);
    const body = buffer.slice(HEAD_BYTES, end);
    this.#drop(end + CRC_BYTES);
    sink(body);
    return false;
  }

  #drop(count: number): false {
    // To the next byte that can begin a frame at once, so that garbage costs its length and no more.
    let from = count;
    while (from < this.#used && this.#buffer[from] !== START[0]) from++;
    this.#buffer.copyWithin(0, from, this.#used);
    this.#used -= from;
    return false;
  }
}
