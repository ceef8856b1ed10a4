/**
 * 125 kHz readers that write each EM4100 tag as ASCII on a serial line.
 *
 * @module
 */
import * as v from "valibot";
import { defineDriver, type ReaderBusDriver } from "../../contract.ts";
import { type FeedbackLine, FeedbackLineSchema } from "../../feedback_lines.ts";
import { openPlainReader } from "../../plain_reader.ts";
import { readAll } from "../../serial_link.ts";
import { cardOfTag, EM4100_FORMATS, Em4100Finder, type Em4100Format } from "./frame.ts";

export type { FeedbackLine } from "../../feedback_lines.ts";
export type { Em4100Format } from "./frame.ts";

/** At 9600 baud a frame takes 17 ms; one that stood still for so long does not go on. */
const STALE_MS = 1_000;

const Schema = v.strictObject({
  /** How a tag becomes a card number. */
  format: v.optional(
    v.picklist(EM4100_FORMATS, `expected ${EM4100_FORMATS.join(", ")}`),
    "em4100",
  ),
  /** A tag that was not read for this long has gone; before that it is the same presentation. */
  absentMs: v.optional(
    v.pipe(
      v.number("expected 100 to 60000 ms"),
      v.integer("expected whole ms"),
      v.minValue(100, "expected 100 to 60000 ms"),
      v.maxValue(60_000, "expected 100 to 60000 ms"),
    ),
    1_500,
  ),
  /** Line that lights the reader's green LED. */
  led: v.optional(FeedbackLineSchema),
  /** Line that sounds the reader's buzzer. */
  buzzer: v.optional(FeedbackLineSchema),
});

/** Options of one reader. */
export interface Em4100Options {
  readonly format: Em4100Format;
  readonly absentMs: number;
  readonly led?: FeedbackLine | undefined;
  readonly buzzer?: FeedbackLine | undefined;
}

/** Readers of the ID-12LA and RDM6300 kind, 9600 8N1, one-way. */
export const em4100Ascii: ReaderBusDriver<Em4100Options> = defineDriver({
  id: "em4100-ascii",
  kind: "card-reader",
  bus: "serial",
  reference: "ID Innovations ID-12LA datasheet, ASCII output; RDM6300 specification",
  serialDefaults: { baudRate: 9600 },
  devicesMax: 1,
  optionsSchema: Schema,
  parseOptions: (raw: unknown): Em4100Options => v.parse(Schema, raw),
  open: (host, [options], signal) =>
    openPlainReader(
      host,
      {
        what: "an EM4100 reader",
        oneWay: true,
        serve: (reader, port, end) => {
          const finder = new Em4100Finder();
          let lastMs = 0;
          return readAll(port, ({ bytes, receivedMonotonicMs }) => {
            if (receivedMonotonicMs - lastMs > STALE_MS) finder.reset();
            lastMs = receivedMonotonicMs;
            finder.push(bytes, (frame) => {
              if (frame.kind === "refused") {
                return reader.limited.warn(ADVICE[frame.why]);
              }
              const { bits, data } = cardOfTag(frame.tag, options!.format);
              reader.card(bits, data, options!.absentMs, receivedMonotonicMs);
            });
          }, end);
        },
      },
      options!,
      signal,
    ),
});

const ADVICE = {
  shape: "what the reader sent is no tag; check the baud rate, 9600 as a rule, and the wires",
  checksum: "a tag's checksum does not hold; look for noise, and keep the antenna off metal",
} as const;
