/**
 * Options of one reader in `box.yaml`.
 *
 * @module
 */
import * as v from "valibot";
import type { FrameCheck } from "./frame.ts";

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
});

/** Parses one reader's options. @throws a `ValiError` naming the field. */
export function parseOsdpOptions(raw: unknown): OsdpOptions {
  return v.parse(OsdpOptionsSchema, raw);
}
