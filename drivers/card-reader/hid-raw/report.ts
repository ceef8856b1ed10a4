import { type CardNumber, cardOf, cardOfBytes } from "../../card_number.ts";
import type { HidRawOptions } from "./mod.ts";

/** What one report means. */
export type RawReport =
  | { readonly kind: "card"; readonly card: CardNumber }
  /** Of another kind, or one that says that no card is there. */
  | { readonly kind: "none" }
  | { readonly kind: "refused"; readonly why: "short" | "length" | "range" };

/** Takes `bytes`, as they came, apart as `options` say. */
export function readReport(bytes: Uint8Array, options: HidRawOptions): RawReport {
  const { reportId, startsWith = [], offset, lengthOffset, lengthUnit, bits } = options;
  if (reportId !== undefined && bytes[0] !== reportId) return { kind: "none" };
  const body = reportId === undefined ? bytes : bytes.subarray(1);
  if (startsWith.some((byte, index) => body[index] !== byte)) return { kind: "none" };
  let length = options.length ?? 0;
  let counted: number | undefined;
  if (lengthOffset !== undefined) {
    const told = body[lengthOffset];
    if (told === undefined) return { kind: "refused", why: "short" };
    length = lengthUnit === "bytes" ? told : Math.ceil(told / 8);
    if (lengthUnit === "bits") counted = told;
    if (length > NUMBER_BYTES_MAX) return { kind: "refused", why: "length" };
  }
  if (body.length < offset + length) return { kind: "refused", why: "short" };
  const number = body.slice(offset, offset + length);
  if (options.byteOrder === "little") number.reverse();
  // Zeros, or a length of nothing: no card is there.
  if (number.every((byte) => byte === 0)) return { kind: "none" };
  const wanted = bits ?? counted;
  if (wanted === undefined) return { kind: "card", card: cardOfBytes(number) };
  const card = cardOf(BigInt(`0x${number.toHex()}`), wanted);
  return card === undefined ? { kind: "refused", why: "range" } : { kind: "card", card };
}

/** A card's number has at most 255 bits. */
export const NUMBER_BYTES_MAX = 31;
