/**
 * What readers of iButtons have in common, on whatever bus the contact is.
 *
 * @module
 */
import * as v from "valibot";
import { crc8 } from "../hal/mod.ts";
import type { PlainReader } from "./plain_reader.ts";

const family = v.pipe(
  v.string('expected a family as two hex digits in quotes, such as "01"'),
  v.regex(/^[0-9a-fA-F]{2}$/, 'expected a family as two hex digits in quotes, such as "01"'),
  v.toLowerCase(),
);

/** Options of a contact, to be put into a driver's own. */
export const IBUTTON_ENTRIES = {
  /** What counts as a button. Default: every family but 09 and 89, the chips in adapters themselves. */
  families: v.optional(v.pipe(v.array(family), v.minLength(1), v.maxLength(32))),
  /** The whole code as it is printed (64 bits), or the serial number in it (48 bits). */
  number: v.optional(v.picklist(["rom", "serial"], "expected rom or serial"), "rom"),
  /** How often the contact is looked at. */
  pollMs: v.optional(
    v.pipe(
      v.number("expected 50 to 1000 ms"),
      v.integer("expected whole ms"),
      v.minValue(50, "expected 50 to 1000 ms"),
      v.maxValue(1_000, "expected 50 to 1000 ms"),
    ),
    150,
  ),
  /** A button that was not seen for this long has gone; before that it is the same touch. */
  absentMs: v.optional(
    v.pipe(
      v.number("expected 100 to 60000 ms"),
      v.integer("expected whole ms"),
      v.minValue(100, "expected 100 to 60000 ms"),
      v.maxValue(60_000, "expected 100 to 60000 ms"),
    ),
    1_000,
  ),
} as const;

/** Parsed options of a contact. */
export interface IbuttonOptions {
  readonly families?: readonly string[] | undefined;
  readonly number: "rom" | "serial";
  readonly pollMs: number;
  readonly absentMs: number;
}

/** Serial numbers of adapters' own chips (DS2502). */
const ADAPTER_FAMILIES: readonly string[] = ["09", "89"];

/**
 * Tells `reader` of the button with ROM code `code`: 16 hex digits as printed, CRC first. One of
 * another family, or whose CRC does not hold, is passed over.
 *
 * @returns whether the CRC holds.
 */
export function presentButton(
  reader: PlainReader,
  code: string,
  options: IbuttonOptions,
  receivedMonotonicMs: number,
): boolean {
  if (!isRomCode(code)) return false;
  const family = code.slice(14);
  const { families, number, absentMs } = options;
  if (families === undefined ? ADAPTER_FAMILIES.includes(family) : !families.includes(family)) {
    return true;
  }
  const digits = number === "rom" ? code : code.slice(2, 14);
  reader.card(digits.length * 4, Uint8Array.fromHex(digits), absentMs, receivedMonotonicMs);
  return true;
}

/** Whether `code` is a ROM code with a good CRC. All zeros have one too: that is a shorted contact. */
function isRomCode(code: string): boolean {
  if (!/^[0-9a-f]{16}$/.test(code) || /^0+$/.test(code)) return false;
  return crc8(Uint8Array.fromHex(code).reverse()) === 0;
}
