/**
 * Wiegand readers and keypads on two GPIO lines (SIA AC-01-1996.10), with LED and buzzer lines
 * where they are wired.
 *
 * @module
 */
import * as v from "valibot";
import { defineDriver, type ReaderDriver } from "../../contract.ts";
import { type FeedbackLine, FeedbackLineSchema } from "../../feedback_lines.ts";
import { GpioChipSchema, GpioLineSchema } from "../../gpio_schema.ts";
import { CARD_BITS_MIN, FRAME_BITS_MAX, KEY_BITS, type WiegandFormat } from "./frame.ts";
import { WiegandReader } from "./reader.ts";

export type { FeedbackLine } from "../../feedback_lines.ts";
export { readFrame, type WiegandFormat, type WiegandFrame, type WiegandPulse } from "./frame.ts";

const BITS_EXPECTED = `expected lengths of ${CARD_BITS_MIN} to ${FRAME_BITS_MAX} bits, and ${
  KEY_BITS.join(" or ")
} for keys, as in [26, 34]`;
const isLength = (bits: number) =>
  KEY_BITS.includes(bits) ||
  (Number.isInteger(bits) && bits >= CARD_BITS_MIN && bits <= FRAME_BITS_MAX);

const WiegandSchema = v.strictObject({
  /** Chip of both data lines. */
  chip: GpioChipSchema,
  /** Line of D0 (green wire): a pulse is a 0. */
  data0: GpioLineSchema,
  /** Line of D1 (white wire): a pulse is a 1. */
  data1: GpioLineSchema,
  /** Pull of the data lines. Readers have open collectors; most boards need the pull-up. */
  bias: v.optional(
    v.picklist(["as-is", "pull-up"], "expected as-is or pull-up"),
    "pull-up",
  ),
  /** Silence that ends a frame. Bits come 0.2 to 20 ms apart, nearly always 2 ms. */
  frameGapMs: v.optional(
    v.pipe(
      v.number("expected 5 to 100 ms"),
      v.integer("expected whole ms"),
      v.minValue(5, "expected 5 to 100 ms"),
      v.maxValue(100, "expected 5 to 100 ms"),
    ),
    20,
  ),
  /** Whether frames of 26, 34 and 37 bits must pass their parity check. */
  parity: v.optional(v.picklist(["check", "ignore"], "expected check or ignore"), "check"),
  /** Lengths of the frames that the reader sends; a burst of another length is no card. */
  bits: v.optional(
    v.pipe(
      v.array(v.pipe(v.number(BITS_EXPECTED), v.check(isLength, BITS_EXPECTED)), BITS_EXPECTED),
      v.nonEmpty(BITS_EXPECTED),
    ),
  ),
  /** Line that lights the reader's green LED. */
  led: v.optional(FeedbackLineSchema),
  /** Line that sounds the reader's buzzer. */
  buzzer: v.optional(FeedbackLineSchema),
});

/** Options of one reader. */
export interface WiegandOptions extends WiegandFormat {
  readonly chip: string;
  readonly data0: number;
  readonly data1: number;
  readonly bias: "as-is" | "pull-up";
  readonly frameGapMs: number;
  readonly led?: FeedbackLine | undefined;
  readonly buzzer?: FeedbackLine | undefined;
}

/**
 * Wiegand reader on two GPIO lines: cards of 16 to 128 bits, keys of 4 and 8 bits. One-way: that it
 * is there shows only when a card is read.
 */
export const wiegand: ReaderDriver<WiegandOptions> = defineDriver({
  id: "wiegand",
  kind: "card-reader",
  bus: "gpio",
  reference: "SIA AC-01-1996.10 (Wiegand interface)",
  optionsSchema: WiegandSchema,
  parseOptions: (raw: unknown): WiegandOptions => v.parse(WiegandSchema, raw),
  open: (host, options: WiegandOptions, signal) => WiegandReader.open(host, options, signal),
});
