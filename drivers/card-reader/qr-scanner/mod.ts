/**
 * Scanners of QR and bar codes on a serial line.
 *
 * @module
 */
import * as v from "valibot";
import { defineDriver, type ReaderBusDriver } from "../../contract.ts";
import { type FeedbackLine, FeedbackLineSchema } from "../../feedback_lines.ts";
import { openPlainReader } from "../../plain_reader.ts";
import { readAll } from "../../serial_link.ts";
import { LineFinder, type QrReading, type QrRules, readLine } from "./text.ts";

export type { FeedbackLine } from "../../feedback_lines.ts";
export type { QrNumber, QrRules } from "./text.ts";

/** A line takes 134 ms at 9600 baud; one that stood still for so long does not go on. */
const STALE_MS = 1_000;

const whole = (least: number, most: number, unit: string) =>
  v.pipe(
    v.number(`expected ${least} to ${most} ${unit}`),
    v.integer(`expected whole ${unit}`),
    v.minValue(least, `expected ${least} to ${most} ${unit}`),
    v.maxValue(most, `expected ${least} to ${most} ${unit}`),
  );

const affix = v.optional(
  v.pipe(v.string("expected text"), v.maxLength(16, "expected at most 16 characters")),
  "",
);

const Schema = v.strictObject({
  /** What the scanner is set to put before each code. */
  prefix: affix,
  /** What it is set to put behind each code, before the line's end. */
  suffix: affix,
  /** What a code means: its text as it is, or a card's number in digits. */
  number: v.optional(
    v.picklist(["text", "decimal", "hex"], "expected text, decimal or hex"),
    "text",
  ),
  /** Length of the card number that digits stand for. */
  bits: v.optional(whole(16, 248, "bits"), 64),
  /** Shortest text. Longer than any card's number, so that no printed code is taken for a card. */
  textBytesMin: v.optional(whole(1, 31, "bytes"), 17),
  /** A code that was not read for this long has gone; before that it is the same presentation. */
  absentMs: v.optional(whole(100, 60_000, "ms"), 3_000),
  /** Line that lights a green LED. */
  led: v.optional(FeedbackLineSchema),
  /** Line that sounds a buzzer. */
  buzzer: v.optional(FeedbackLineSchema),
});

/** Options of one scanner. */
export interface QrScannerOptions extends QrRules {
  readonly absentMs: number;
  readonly led?: FeedbackLine | undefined;
  readonly buzzer?: FeedbackLine | undefined;
}

const ADVICE: Readonly<Record<Extract<QrReading, { kind: "refused" }>["why"], string>> = {
  frame: "a code came without the prefix or suffix of box.yaml; set the scanner or box.yaml alike",
  length: "a code is too short or too long to be a card; see textBytesMin and bits",
  characters: "a code has other characters than box.yaml allows; see number, and the baud rate",
};

/** Serial 2D scanners that end each code with CR, LF or both; 9600 8N1, one-way. */
export const qrScanner: ReaderBusDriver<QrScannerOptions> = defineDriver({
  id: "qr-scanner",
  kind: "card-reader",
  bus: "serial",
  reference: "Newland NLS-FM430 user guide, serial output with CR suffix; ISO/IEC 18004 (QR code)",
  serialDefaults: { baudRate: 9600 },
  devicesMax: 1,
  optionsSchema: Schema,
  parseOptions: (raw: unknown): QrScannerOptions => v.parse(Schema, raw),
  open: (host, [options], signal) =>
    openPlainReader(
      host,
      {
        what: "a QR scanner",
        oneWay: true,
        serve: (reader, port, end) => {
          const finder = new LineFinder();
          let lastMs = 0;
          return readAll(port, ({ bytes, receivedMonotonicMs }) => {
            if (receivedMonotonicMs - lastMs > STALE_MS) finder.reset();
            lastMs = receivedMonotonicMs;
            finder.push(bytes, (line) => {
              if (line.kind === "too-long") return reader.limited.warn(ADVICE.length);
              const reading = readLine(line.bytes, options!);
              if (reading.kind === "refused") return reader.limited.warn(ADVICE[reading.why]);
              reader.card(reading.bits, reading.data, options!.absentMs, receivedMonotonicMs);
            });
          }, end);
        },
      },
      options!,
      signal,
    ),
});
