/**
 * OBID i-scan frames: length, address, control byte, status and data, CRC-16 low byte first; longer ones
 * begin with 02 and a length of two bytes (FEIG ID ISC.MR/PR101 system manual, section 2.2).
 *
 * @module
 */
import { crc16Reflected, HalError } from "../../../hal/mod.ts";
import type { FrameFinder } from "../../serial_questions.ts";

/** Every reader answers to it. */
const ANY_ADDRESS = 0xff;
const LONG = 0x02;
/** Standard frames have 6 to 255 bytes. */
const SHORT_BYTES_MIN = 6;
/** Some thousand tags; a pad sees some dozens. */
const LONG_BYTES_MAX = 4_096;
const LONG_BYTES_MIN = 8;

/** Control bytes. */
export const CONTROL = { rfReset: 0x69, setOutput: 0x71, host: 0xb0 } as const;
/** Status bytes (annex "Index of Status Bytes"). */
export const STATUS = { ok: 0x00, noTransponder: 0x01, rfWarning: 0x84, moreData: 0x94 } as const;

/** An answer. */
export interface ObidAnswer {
  readonly control: number;
  readonly status: number;
  readonly data: Uint8Array;
}

/** Makes a question. */
export function encodeQuestion(control: number, ...data: number[]): Uint8Array {
  const frame = Uint8Array.of(data.length + 5, ANY_ADDRESS, control, ...data, 0, 0);
  new DataView(frame.buffer).setUint16(
    frame.length - 2,
    crc16Reflected(frame, 0, frame.length - 2),
    true,
  );
  return frame;
}

/** Finds answers; holds back one frame at most. */
export class ObidFinder implements FrameFinder<ObidAnswer> {
  #buffer: number[] = [];

  push(bytes: Uint8Array, sink: (answer: ObidAnswer) => void): void {
    for (const byte of bytes) {
      this.#buffer.push(byte);
      while (this.#buffer.length > 0 && this.#look(sink)) { /* until more is needed */ }
    }
  }

  reset(): void {
    this.#buffer = [];
  }

  /** Takes something out of the buffer, or returns false when more is needed. */
  #look(sink: (answer: ObidAnswer) => void): boolean {
    const [first, high, low] = this.#buffer;
    const long = first === LONG;
    if (long && low === undefined) return false;
    const length = long ? high! * 256 + low! : first!;
    const sound = long
      ? length >= LONG_BYTES_MIN && length <= LONG_BYTES_MAX
      : length >= SHORT_BYTES_MIN;
    if (!sound) return this.#drop(1);
    if (this.#buffer.length < length) return false;
    const frame = Uint8Array.from(this.#buffer.slice(0, length));
    const crc = frame[length - 2]! | (frame[length - 1]! << 8);
    // There is no mark of a beginning: any byte may have been taken for a length.
    if (crc16Reflected(frame, 0, length - 2) !== crc) return this.#drop(1);
    this.#drop(length);
    const at = long ? 4 : 2;
    sink({ control: frame[at]!, status: frame[at + 1]!, data: frame.slice(at + 2, length - 2) });
    return true;
  }

  #drop(count: number): true {
    this.#buffer.splice(0, count);
    return true;
  }
}

const TAG_BYTES = 10;
/** ISO/IEC 15693-3 §4.1: each UID begins so. */
const UID_START = 0xe0;

/** UIDs of an inventory's answer, 8 bytes each, E0 first. Tags of other kinds are left out. @throws `HalError` `protocol`. */
export function parseInventory(data: Uint8Array): Uint8Array[] {
  const count = data[0];
  if (count === undefined || data.length !== 1 + count * TAG_BYTES) {
    throw new HalError("protocol", `an inventory of ${count} tags came in ${data.length} bytes`);
  }
  // Type, DSFID, UID.
  return Array.from({ length: count }, (_, index) => {
    const at = 1 + index * TAG_BYTES + 2;
    return data.slice(at, at + 8);
  }).filter((uid) => uid[0] === UID_START);
}
