/**
 * Lines of text from a scanner, and the card numbers that they stand for.
 *
 * @module
 */

const CR = 0x0d;
const LF = 0x0a;
/** Scanners write at most so much of a code that could still be taken; longer lines are skipped. */
export const LINE_BYTES_MAX = 128;
/** A card number has 255 bits at most. */
export const TEXT_BYTES_MAX = 31;

/** A line, or that one was too long. */
export type ScannedLine =
  | { readonly kind: "line"; readonly bytes: Uint8Array }
  | { readonly kind: "too-long" };

/** Finds lines that end in CR, LF or both; holds back {@link LINE_BYTES_MAX} bytes at most. */
export class LineFinder {
  #line: number[] = [];
  #skipping = false;

  /** See {@link import("../../serial_questions.ts").FrameFinder.push}. */
  push(bytes: Uint8Array, sink: (line: ScannedLine) => void): void {
    for (const byte of bytes) {
      if (byte === CR || byte === LF) {
        const line = this.#line;
        const skipping = this.#skipping;
        this.reset();
        if (skipping) sink({ kind: "too-long" });
        else if (line.length > 0) sink({ kind: "line", bytes: Uint8Array.from(line) });
      } else if (this.#line.length < LINE_BYTES_MAX) this.#line.push(byte);
      else this.#skipping = true;
    }
  }

  /** Forgets a line that has begun. */
  reset(): void {
    this.#line = [];
    this.#skipping = false;
  }
}

/** What a code's text means. */
export type QrNumber = "text" | "decimal" | "hex";

/** How a line becomes a card number. */
export interface QrRules {
  /** What the scanner puts before each code. */
  readonly prefix: string;
  /** What it puts behind each code, before the line's end. */
  readonly suffix: string;
  readonly number: QrNumber;
  /** Length of the card number that digits stand for; text has 8 for each byte. */
  readonly bits: number;
  /** Shortest text in bytes. */
  readonly textBytesMin: number;
}

/** A card number, or why the line is none. */
export type QrReading =
  | { readonly kind: "card"; readonly bits: number; readonly data: Uint8Array }
  | { readonly kind: "refused"; readonly why: "frame" | "length" | "characters" };

/** Reads one line. */
export function readLine(line: Uint8Array, rules: QrRules): QrReading {
  const refused = (why: "frame" | "length" | "characters") => ({ kind: "refused", why }) as const;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(line);
  } catch {
    return refused("characters");
  }
  const { prefix, suffix } = rules;
  if (text.length < prefix.length + suffix.length) return refused("frame");
  if (!text.startsWith(prefix) || !text.endsWith(suffix)) return refused("frame");
  const code = text.slice(prefix.length, text.length - suffix.length);
  switch (rules.number) {
    case "text": {
      // A control character is no part of a printed code, but of a line that is out of step.
      // deno-lint-ignore no-control-regex -- that is what is looked for
      if (/[\u0000-\u001f\u007f]/.test(code)) return refused("characters");
      const data = new TextEncoder().encode(code);
      if (data.length < rules.textBytesMin || data.length > TEXT_BYTES_MAX) {
        return refused("length");
      }
      return { kind: "card", bits: data.length * 8, data };
    }
    case "decimal":
      if (!/^[0-9]+$/.test(code)) return refused("characters");
      return numberOf(BigInt(code), rules.bits) ?? refused("length");
    case "hex":
      if (!/^[0-9A-Fa-f]+$/.test(code)) return refused("characters");
      return numberOf(BigInt(`0x${code}`), rules.bits) ?? refused("length");
    default:
      return rules.number satisfies never;
  }
}

function numberOf(value: bigint, bits: number): QrReading | undefined {
  if (value >> BigInt(bits) !== 0n) return undefined;
  const bytes = Math.ceil(bits / 8);
  const aligned = value << BigInt(bytes * 8 - bits);
  const data = Uint8Array.fromHex(aligned.toString(16).padStart(bytes * 2, "0"));
  return { kind: "card", bits, data };
}
