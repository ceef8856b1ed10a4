/**
 * Card readers that type: USB HID keyboards in the boot protocol (USB HID 1.11, appendix B.1).
 *
 * @module
 */
import * as v from "valibot";
import { CARD_BITS_MAX } from "../../card_number.ts";
import { defineDriver, type ReaderDriver } from "../../contract.ts";
import { UsbIdSchema, UsbInterfaceSchema, UsbSerialSchema } from "../../hid_schema.ts";
import { openHidKeyboard } from "./reader.ts";

/** Longest that may stand around a number. */
const FIX_CHARACTERS_MAX = 8;

const fix = v.optional(
  v.pipe(
    v.string("expected text, in quotes"),
    v.maxLength(FIX_CHARACTERS_MAX, `expected at most ${FIX_CHARACTERS_MAX} characters`),
  ),
  "",
);

const HidKeyboardSchema = v.pipe(
  v.strictObject({
    /** As `lsusb` shows them: VENDOR:PRODUCT. */
    vendorId: UsbIdSchema,
    productId: UsbIdSchema,
    /** Tells two readers of one model apart. */
    serialNumber: UsbSerialSchema,
    /** Where a reader has several keyboards. */
    interfaceNumber: UsbInterfaceSchema,
    /** The first byte of each report, where the reader numbers its reports. */
    reportId: v.optional(
      v.pipe(
        v.number("expected 1 to 255"),
        v.integer("expected 1 to 255"),
        v.minValue(1, "expected 1 to 255"),
        v.maxValue(255, "expected 1 to 255"),
      ),
    ),
    /** What is typed: one number, or facility (8 bits) and number (16) with a sign between. */
    format: v.optional(
      v.picklist(["decimal", "hex", "facility"], "expected decimal, hex or facility"),
      "decimal",
    ),
    /** Length of the number. Default 32; for hex, as many as its digits make. */
    bits: v.optional(
      v.pipe(
        v.number(`expected 1 to ${CARD_BITS_MAX} bits`),
        v.integer("expected whole bits"),
        v.minValue(1, `expected 1 to ${CARD_BITS_MAX} bits`),
        v.maxValue(CARD_BITS_MAX, `expected 1 to ${CARD_BITS_MAX} bits`),
      ),
    ),
    /** Whether the number's first byte is its highest; readers differ in how they turn a UID into one. */
    byteOrder: v.optional(v.picklist(["big", "little"], "expected big or little"), "big"),
    /** As which card it is known: the number itself, or the 26 bits of a Wiegand reader. */
    as: v.optional(v.picklist(["number", "h10301"], "expected number or h10301"), "number"),
    /** What stands before and after the number. */
    prefix: fix,
    suffix: fix,
    /** The key that ends a number; with none, silence does. */
    terminator: v.optional(
      v.picklist(["enter", "tab", "none"], "expected enter, tab or none"),
      "enter",
    ),
    /** Longest silence within one number, in ms. */
    keyGapMs: v.optional(
      v.pipe(
        v.number("expected 20 to 5000 ms"),
        v.integer("expected whole ms"),
        v.minValue(20, "expected 20 to 5000 ms"),
        v.maxValue(5_000, "expected 20 to 5000 ms"),
      ),
      300,
    ),
    /** The keyboard that it pretends to be. */
    layout: v.optional(v.picklist(["us", "fr"], "expected us or fr"), "us"),
  }),
  v.forward(
    v.check(
      ({ byteOrder, bits, format }) =>
        byteOrder === "big" || (bits ?? (format === "facility" ? 24 : 32)) % 8 === 0,
      "byteOrder: little takes whole bytes; expected a multiple of 8",
    ),
    ["bits"],
  ),
  v.forward(
    v.check(
      ({ as, bits, format }) => as === "number" || bits === 24 || format === "facility",
      "a card of as: h10301 has 24 bits of facility and number; write bits: 24",
    ),
    ["bits"],
  ),
  v.transform((options) => ({
    ...options,
    bits: options.bits ?? (options.format === "facility" ? 24 : undefined),
  })),
);

/** Options of one reader. */
export interface HidKeyboardOptions {
  readonly vendorId: number;
  readonly productId: number;
  readonly serialNumber?: string | undefined;
  readonly interfaceNumber?: number | undefined;
  readonly reportId?: number | undefined;
  readonly format: "decimal" | "hex" | "facility";
  /** `undefined`: 32, or what the hex digits make. */
  readonly bits?: number | undefined;
  readonly byteOrder: "big" | "little";
  readonly as: "number" | "h10301";
  readonly prefix: string;
  readonly suffix: string;
  readonly terminator: "enter" | "tab" | "none";
  readonly keyGapMs: number;
  readonly layout: "us" | "fr";
}

/**
 * A USB reader that types each card's number as a keyboard would. It is taken away from the console:
 * what it types appears nowhere else. One-way, and in the clear: whoever can plug in a keyboard with
 * the same ids can present any card.
 */
export const hidKeyboard: ReaderDriver<HidKeyboardOptions> = defineDriver({
  id: "hid-keyboard",
  kind: "card-reader",
  bus: "hid",
  reference: "USB HID 1.11, appendix B.1 (boot keyboard); HID Usage Tables 1.12, chapter 10",
  optionsSchema: HidKeyboardSchema,
  parseOptions: (raw: unknown): HidKeyboardOptions => v.parse(HidKeyboardSchema, raw),
  open: (host, options: HidKeyboardOptions, signal) => openHidKeyboard(host, options, signal),
});
