/**
 * Resident identity cards at modules with the public serial protocol (SAM_V).
 *
 * @module
 */
import * as v from "valibot";
import { defineDriver, type ReaderBusDriver } from "../../contract.ts";
import { type FeedbackLine, FeedbackLineSchema } from "../../feedback_lines.ts";
import { openPlainReader } from "../../plain_reader.ts";
import { msSchema } from "../../polled_reader.ts";
import { encodeQuestion } from "./frame.ts";
import { type CardReference, serveIdCards } from "./serve.ts";

export type { FeedbackLine } from "../../feedback_lines.ts";
export type { CardReference } from "./serve.ts";

const hex = (bytesMin: number, bytesMax: number, what: string) =>
  v.pipe(
    v.string(what),
    // A message that quoted it would put a mistyped key into a log.
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return;
      const { length } = dataset.value;
      const good = /^(?:[0-9a-f]{2})*$/i.test(dataset.value) &&
        length >= bytesMin * 2 && length <= bytesMax * 2;
      if (!good) addIssue({ message: what, received: "something else" });
    }),
  );

const Schema = v.strictObject({
  /** What a card is known by: its chip's UID, or a keyed hash of the citizen's number. */
  reference: v.picklist(["uid", "number"], "expected uid or number"),
  /** With `uid`: the module's own command for it, as command, parameter and data, without length and checksum. */
  uidCommand: v.exactOptional(
    hex(2, 64, "expected the module's command for the UID, 2 to 64 bytes as hex, in quotes"),
  ),
  /** With `number`: the key of the hash, the same at every gate of a district. A secret. */
  key: v.exactOptional(hex(16, 64, "expected a key of 32 to 128 hex digits, in quotes")),
  /** Wait between two questions. */
  pollMs: v.optional(msSchema(100, 5_000), 300),
  /** How long an answer may take, but for reading a card. */
  replyMs: v.optional(msSchema(100, 5_000), 1_000),
  /** A card that was not read for this long has gone; before that it is the same presentation. */
  absentMs: v.optional(msSchema(500, 60_000), 3_000),
  /** Line that lights a green LED. */
  led: v.optional(FeedbackLineSchema),
  /** Line that sounds a buzzer. */
  buzzer: v.optional(FeedbackLineSchema),
});

/** Each reference with what it needs, and not with what only the other one does. */
const CompleteSchema = v.pipe(
  Schema,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { reference, ...rest } = dataset.value;
    const wanted = reference === "uid" ? "uidCommand" : "key";
    const other = reference === "uid" ? "key" : "uidCommand";
    const at = (key: "uidCommand" | "key") =>
      [{ type: "object", origin: "value", input: {}, key, value: undefined }] as const;
    if (rest[wanted] === undefined) {
      addIssue({
        message: `reference: ${reference} needs ${wanted}`,
        received: "none",
        path: [...at(wanted)],
      });
    }
    if (rest[other] !== undefined) {
      addIssue({
        message: `reference: ${reference} has no ${other}; remove it`,
        received: "something",
        path: [...at(other)],
      });
    }
  }),
);

/** Options of one module. */
export interface IdCardOptions {
  readonly reference: CardReference;
  readonly pollMs: number;
  readonly replyMs: number;
  readonly absentMs: number;
  readonly led?: FeedbackLine | undefined;
  readonly buzzer?: FeedbackLine | undefined;
}

/** Parses one module's options. @throws a `ValiError` naming the field. */
function parseOptions(raw: unknown): IdCardOptions {
  const options = v.parse(CompleteSchema, withoutBareKey(raw));
  const { pollMs, replyMs, absentMs, led, buzzer } = options;
  const reference: CardReference = options.reference === "uid"
    ? { by: "uid", command: encodeQuestion(...Uint8Array.fromHex(options.uidCommand!)) }
    : { by: "number", key: Uint8Array.fromHex(options.key!) };
  return { reference, pollMs, replyMs, absentMs, led, buzzer };
}

/** A key that YAML took for a number would be quoted in the message about it. */
function withoutBareKey(raw: unknown): unknown {
  if (typeof raw !== "object" || raw === null || !("key" in raw)) return raw;
  return typeof raw.key === "string" ? raw : { ...raw, key: null };
}

/** Modules after GA 450, 115200 8N1: a stable reference of the card, and nothing else of what is in it. */
export const idCard: ReaderBusDriver<IdCardOptions> = defineDriver({
  id: "id-card",
  kind: "card-reader",
  bus: "serial",
  reference: "GA 450-2013; SAM_V communication protocol (UART), tables 3, 4 and 9; GB 11643-1999",
  serialDefaults: { baudRate: 115_200 },
  devicesMax: 1,
  optionsSchema: Schema,
  parseOptions,
  open: (host, [options], signal) =>
    openPlainReader(
      host,
      {
        what: "an ID card reader",
        oneWay: false,
        serve: (reader, port, end) =>
          serveIdCards(reader, port, host, options!.reference, options!, end),
      },
      options!,
      signal,
    ),
});
