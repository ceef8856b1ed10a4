/**
 * Frames of resident identity card modules (SAM_V): AA AA AA 96 69, length of what follows in two bytes,
 * command and parameter or three bytes of status, data, XOR from the length on (GA 450-2013 and the
 * makers' SAM_V communication protocol).
 *
 * @module
 */
import { HalError } from "../../../hal/mod.ts";
import type { FrameFinder } from "../../serial_questions.ts";

const PREAMBLE = [0xaa, 0xaa, 0xaa, 0x96, 0x69] as const;
const LENGTH_BYTES = 2;
/** Status and checksum. */
const BODY_BYTES_MIN = 4;
/** Text, photo and two fingerprints are 2,321 bytes as a frame; no answer is longer. */
const BODY_BYTES_MAX = 2_400;

/** An answer of the module. */
export interface SamAnswer {
  /** What the card said (ISO/IEC 7816-4 SW1 SW2), 0 where it was not asked. */
  readonly card: number;
  /** What the module itself says. */
  readonly status: number;
  /** The receiver wipes it: there may be somebody's data in it. */
  readonly data: Uint8Array;
}

/** Makes a question of command, parameter and data. */
export function encodeQuestion(...body: number[]): Uint8Array {
  const length = body.length + 1;
  const checked = [length >> 8, length & 0xff, ...body];
  return Uint8Array.of(...PREAMBLE, ...checked, checked.reduce((sum, byte) => sum ^ byte, 0));
}

/** Finds answers; holds back one frame at most, and wipes what it does not need any more. */
export class SamFinder implements FrameFinder<SamAnswer> {
  readonly #buffer = new Uint8Array(PREAMBLE.length + LENGTH_BYTES + BODY_BYTES_MAX);
  #used = 0;

  push(bytes: Uint8Array, sink: (answer: SamAnswer) => void): void {
    for (const byte of bytes) {
      this.#buffer[this.#used++] = byte;
      while (this.#used > 0 && this.#look(sink)) { /* until more is needed */ }
    }
  }

  reset(): void {
    this.#buffer.fill(0);
    this.#used = 0;
  }

  #look(sink: (answer: SamAnswer) => void): boolean {
    const buffer = this.#buffer;
    const known = Math.min(this.#used, PREAMBLE.length);
    for (let at = 0; at < known; at++) if (buffer[at] !== PREAMBLE[at]) return this.#drop(1);
    const head = PREAMBLE.length + LENGTH_BYTES;
    if (this.#used < head) return false;
    const length = buffer[5]! * 256 + buffer[6]!;
    if (length < BODY_BYTES_MIN || length > BODY_BYTES_MAX) return this.#drop(1);
    const end = head + length;
    if (this.#used < end) return false;
    let sum = 0;
    for (let at = PREAMBLE.length; at < end; at++) sum ^= buffer[at]!;
    if (sum !== 0) return this.#drop(1);
    const answer = {
      card: buffer[head]! * 256 + buffer[head + 1]!,
      status: buffer[head + 2]!,
      data: buffer.slice(head + 3, end - 1),
    };
    this.#drop(end);
    sink(answer);
    return true;
  }

  #drop(count: number): true {
    let from = count;
    while (from < this.#used && this.#buffer[from] !== PREAMBLE[0]) from++;
    this.#buffer.copyWithin(0, from, this.#used);
    this.#buffer.fill(0, this.#used - from, this.#used);
    this.#used -= from;
    return true;
  }
}

/** What the module says of itself (SAM_V communication protocol, table of SW3). */
export const STATUS = { done: 0x90, found: 0x9f, noCard: 0x80, notSelected: 0x81 } as const;

/** The same for an installer. */
export const STATUS_ADVICE: ReadonlyMap<number, string> = new Map([
  [0x10, "it found our checksum wrong; look for noise on the wires"],
  [0x11, "it found our length wrong; look for noise on the wires"],
  [0x21, "it does not know the command; see uidCommand"],
  [0x24, "it does not know what is wrong"],
  [0x31, "the card does not trust it; try another card"],
  [0x32, "it does not trust the card; it may be forged"],
  [0x33, "what the card holds does not check; it may be forged"],
  [0x40, "the card is of another kind"],
  [0x41, "reading failed; hold the card still"],
  [0x47, "the card gave no random number; hold the card still"],
  [0x60, "its self-test failed; have it replaced"],
  [0x66, "it was not authorised by its maker; have it replaced"],
  [0x91, "the card has no such data"],
]);

const NUMBER_BYTES = 16;

/** The module's number in the usual form, such as `05.03-20210101-12345678-0123456789`. @throws `HalError` `protocol`. */
export function moduleNumber(data: Uint8Array): string {
  if (data.length !== NUMBER_BYTES) {
    throw new HalError("protocol", `a module's number of ${data.length} bytes`);
  }
  const view = new DataView(data.buffer, data.byteOffset);
  const two = (at: number) => String(view.getUint16(at, true)).padStart(2, "0");
  const four = (at: number) => String(view.getUint32(at, true));
  const last = [8, 12].map((at) => four(at).padStart(10, "0"));
  return `${two(0)}.${two(2)}-${four(4)}-${last.join("-")}`;
}

/** Where the number stands in the text part (GA/T 490): after name, sex, nationality, birthday and address, in UTF-16. */
const ID_NUMBER_AT = 122;
const ID_NUMBER_CHARACTERS = 18;
const TEXT_BYTES = 256;
/** GB 11643, ISO 7064 MOD 11-2: weights of the 17 digits, and check characters by remainder. */
const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2] as const;
const CHECKS = "10X98765432";

/**
 * The citizen's number in the answer to "read fixed information", as 18 ASCII bytes which the caller
 * wipes. Nothing else of the answer is looked at.
 *
 * @throws `HalError` `protocol` when there is none, or its check digit is wrong.
 */
export function citizenNumber(data: Uint8Array): Uint8Array {
  const textBytes = (data[0] ?? 0) * 256 + (data[1] ?? 0);
  if (textBytes !== TEXT_BYTES || data.length < 4 + TEXT_BYTES) {
    throw new HalError("protocol", "the module's answer has no text of 256 bytes");
  }
  const number = new Uint8Array(ID_NUMBER_CHARACTERS);
  let sum = 0;
  for (let at = 0; at < ID_NUMBER_CHARACTERS; at++) {
    const [low, high] = [data[4 + ID_NUMBER_AT + at * 2]!, data[4 + ID_NUMBER_AT + at * 2 + 1]!];
    const last = at === ID_NUMBER_CHARACTERS - 1;
    const digit = low >= 0x30 && low <= 0x39;
    const check = last && String.fromCharCode(low) === CHECKS[sum % 11];
    if (high !== 0 || (last ? !check : !digit)) {
      number.fill(0);
      throw new HalError("protocol", "the card's number is none; it may be of another kind");
    }
    if (!last) sum += (low - 0x30) * WEIGHTS[at]!;
    number[at] = low;
  }
  return number;
}
