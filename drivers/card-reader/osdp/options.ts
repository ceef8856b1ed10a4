/**
 * Options of one reader in `box.yaml`.
 *
 * @module
 */
import * as v from "valibot";
import { type FeedbackOptions, FeedbackSchema } from "./feedback.ts";
import type { FrameCheck } from "./frame.ts";
import { keyFault } from "./key.ts";

const ms = (least: number, most: number) =>
  v.pipe(
    v.number("expected a time in ms"),
    v.integer("expected whole ms"),
    v.minValue(least, `expected ${least} to ${most} ms`),
    v.maxValue(most, `expected ${least} to ${most} ms`),
  );

/** Options of one reader, defaults filled in. */
export interface OsdpOptions {
  /** Address set in the reader, 0 to 126. */
  readonly address: number;
  /** Shortest time between two polls of this reader. */
  readonly pollMs: number;
  /** How long it may take to begin its reply. */
  readonly replyMs: number;
  /** Silence after which it counts as offline. */
  readonly offlineMs: number;
  /** How its frames are checked. */
  readonly check: FrameCheck;
  /** Whether its LED is driven. */
  readonly led: boolean;
  /** Whether its buzzer sounds. */
  readonly buzzer: boolean;
  /** What it shows and sounds, as far as it differs from the usual. */
  readonly feedback: FeedbackOptions;
  /** Key of its secure channel, 32 hex digits. A secret: it must not get into a log or an event. */
  readonly key?: string;
  /** File that holds the key. With either, clear text is refused. */
  readonly keyFile?: string;
}

/** The schema of a reader's options. */
export const OsdpOptionsSchema: v.GenericSchema<unknown, OsdpOptions> = v.strictObject({
  /** Address set in the reader; 127 is the broadcast address and cannot be polled. */
  address: v.pipe(
    v.number("expected the address set in the reader, 0 to 126"),
    v.integer("expected a whole number, 0 to 126"),
    v.minValue(0, "expected 0 to 126"),
    v.maxValue(126, "expected 0 to 126"),
  ),
  /** Shortest time between two polls of this reader. */
  pollMs: v.optional(ms(5, 1_000), 20),
  /** How long it may take to begin its reply (IEC 60839-11-5: 200 ms). */
  replyMs: v.optional(ms(50, 2_000), 200),
  /** Silence after which it counts as offline (IEC 60839-11-5: 8 s). */
  offlineMs: v.optional(ms(1_000, 60_000), 8_000),
  /** `checksum` only for readers that know no CRC. */
  check: v.optional(v.picklist(["crc", "checksum"], "expected crc or checksum"), "crc"),
  /** Whether its LED is driven. */
  led: v.optional(v.boolean("expected true or false"), true),
  /** Whether its buzzer sounds. */
  buzzer: v.optional(v.boolean("expected true or false"), true),
  /** What it shows, sounds and writes for each feedback, as far as it differs from the usual. */
  feedback: v.optional(FeedbackSchema, {}),
  /** Key of its secure channel. */
  key: v.exactOptional(v.pipe(
    v.string("expected a key of 32 hex digits, in quotes"),
    v.rawCheck(({ dataset, addIssue }) => {
      const fault = dataset.typed ? keyFault(dataset.value) : undefined;
      // A message that quoted it would put the better part of a mistyped key into a log.
      if (fault !== undefined) addIssue({ message: fault, received: "something else" });
    }),
  )),
  /** Absolute path of a file that holds the key, in the data folder; instead of `key`. */
  keyFile: v.exactOptional(
    v.pipe(v.string("expected a path"), v.startsWith("/", "expected an absolute path")),
  ),
});

const OneKeySchema = v.pipe(
  OsdpOptionsSchema,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || dataset.value.key === undefined) return;
    const { keyFile } = dataset.value;
    if (keyFile === undefined) return;
    const input = { keyFile };
    addIssue({
      message: "expected either key or keyFile",
      received: "both",
      path: [{ type: "object", origin: "value", input, key: "keyFile", value: keyFile }],
    });
  }),
);

/** Parses one reader's options. @throws a `ValiError` naming the field. */
export function parseOsdpOptions(raw: unknown): OsdpOptions {
  return v.parse(OneKeySchema, withoutBareKey(raw));
}

/** A key that YAML took for a number would be quoted in the message about it. */
function withoutBareKey(raw: unknown): unknown {
  if (typeof raw !== "object" || raw === null || !("key" in raw)) return raw;
  return typeof raw.key === "string" ? raw : { ...raw, key: null };
}
