/**
 * Frames of EM4100 readers: STX, the tag's five bytes as ten hex digits, their XOR as two, ETX; the
 * ID-12LA family puts CR LF before ETX (ID Innovations ID-12LA datasheet, "ASCII output"), RDM6300
 * modules do not.
 *
 * @module
 */

const STX = 0x02;
const ETX = 0x03;
/** Twelve digits, CR and LF. */
const BODY_BYTES_MAX = 14;
const BODY = /^([0-9A-Fa-f]{10})([0-9A-Fa-f]{2})(?:\r\n)?$/;

/** What stood between STX and ETX. */
export type Em4100Frame =
  | { readonly kind: "tag"; readonly tag: Uint8Array }
  /** `shape`: something else than digits, or too much; `checksum`: the XOR is another. */
  | { readonly kind: "refused"; readonly why: "shape" | "checksum" };

/** Finds frames in a stream of bytes; holds back 14 bytes at most. */
export class Em4100Finder {
  #body: number[] | undefined;

  /** See {@link import("../../serial_questions.ts").FrameFinder.push}. */
  push(bytes: Uint8Array, sink: (frame: Em4100Frame) => void): void {
    for (const byte of bytes) {
      if (byte === STX) {
        if (this.#body !== undefined && this.#body.length > 0) {
          sink({ kind: "refused", why: "shape" });
        }
        this.#body = [];
      } else if (this.#body === undefined) continue;
      else if (byte === ETX) {
        const frame = readBody(this.#body);
        this.#body = undefined;
        sink(frame);
      } else if (this.#body.length < BODY_BYTES_MAX) this.#body.push(byte);
      else {
        this.#body = undefined;
        sink({ kind: "refused", why: "shape" });
      }
    }
  }

  /** Forgets a frame that has begun. */
  reset(): void {
    this.#body = undefined;
  }
}

function readBody(body: readonly number[]): Em4100Frame {
  const [, digits, check] = BODY.exec(String.fromCharCode(...body)) ?? [];
  if (digits === undefined || check === undefined) return { kind: "refused", why: "shape" };
  const tag = Uint8Array.fromHex(digits);
  const xor = tag.reduce((sum, byte) => sum ^ byte, 0);
  if (xor !== Number.parseInt(check, 16)) return { kind: "refused", why: "checksum" };
  return { kind: "tag", tag };
}

/** How a tag becomes a card number. */
export type Em4100Format = "em4100" | "wiegand-26" | "wiegand-34";

/** Each of them. */
export const EM4100_FORMATS: readonly Em4100Format[] = ["em4100", "wiegand-26", "wiegand-34"];

/**
 * The card number of a tag of five bytes, left-aligned as `ReaderEvent` has it: all 40 bits, or what a
 * Wiegand reader makes of the same tag (its last 24 or 32 bits between an even and an odd parity bit),
 * so that one enrolment serves both kinds.
 */
export function cardOfTag(
  tag: Uint8Array,
  format: Em4100Format,
): { readonly bits: number; readonly data: Uint8Array } {
  if (format === "em4100") return { bits: 40, data: tag };
  const length = format === "wiegand-26" ? 24 : 32;
  const number = BigInt(`0x${tag.toHex()}`) & ((1n << BigInt(length)) - 1n);
  const middle = number.toString(2).padStart(length, "0");
  const ones = (text: string) => text.replaceAll("0", "").length;
  const even = ones(middle.slice(0, length / 2)) % 2;
  const odd = 1 - ones(middle.slice(length / 2)) % 2;
  const bits = length + 2;
  const padded = `${even}${middle}${odd}`.padEnd(Math.ceil(bits / 8) * 8, "0");
  const data = Uint8Array.from(padded.match(/.{8}/g)!, (byte) => Number.parseInt(byte, 2));
  return { bits, data };
}
