/**
 * Pads and antennas for ISO 15693 tags, as in libraries, with FEIG's OBID i-scan protocol.
 *
 * @module
 */
import * as v from "valibot";
import { defineDriver, type ReaderBusDriver } from "../../contract.ts";
import { type FeedbackLine, FeedbackLineSchema } from "../../feedback_lines.ts";
import { openPlainReader } from "../../plain_reader.ts";
import { msSchema } from "../../polled_reader.ts";
import { servePad } from "./serve.ts";

export type { FeedbackLine } from "../../feedback_lines.ts";

const Schema = v.strictObject({
  /** Wait between two inventories. */
  pollMs: v.optional(msSchema(20, 2_000), 100),
  /** How long an answer may take; an inventory of a full pad takes some 300 ms. */
  replyMs: v.optional(msSchema(50, 5_000), 1_000),
  /** A tag that was not seen for this long has gone; before that it is the same presentation. */
  absentMs: v.optional(msSchema(100, 60_000), 1_500),
  /** Whether the pad's own LEDs and beeper are driven. */
  signals: v.optional(v.boolean("expected true or false"), true),
  /** Line that lights a green LED. */
  led: v.optional(FeedbackLineSchema),
  /** Line that sounds a buzzer. */
  buzzer: v.optional(FeedbackLineSchema),
});

/** Options of one pad. */
export interface Iso15693Options {
  readonly pollMs: number;
  readonly replyMs: number;
  readonly absentMs: number;
  readonly signals: boolean;
  readonly led?: FeedbackLine | undefined;
  readonly buzzer?: FeedbackLine | undefined;
}

/** FEIG OBID i-scan readers, 38400 8E1. */
export const iso15693Pad: ReaderBusDriver<Iso15693Options> = defineDriver({
  id: "iso15693-pad",
  kind: "card-reader",
  bus: "serial",
  reference:
    "FEIG OBID i-scan system manual ID ISC.MR/PR/PRH101 (H60301-3e), sections 2, 5 and 6.1; ISO/IEC 15693-3",
  serialDefaults: { baudRate: 38_400, parity: "even" },
  devicesMax: 1,
  optionsSchema: Schema,
  parseOptions: (raw: unknown): Iso15693Options => v.parse(Schema, raw),
  open: (host, [options], signal) =>
    openPlainReader(
      host,
      {
        what: "an ISO 15693 pad",
        oneWay: false,
        serve: (reader, port, end) => servePad(reader, port, host.clock, options!, end),
      },
      options!,
      signal,
    ),
});
