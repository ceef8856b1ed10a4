/**
 * Card readers with reports of their maker's own: where the number stands in them is configured.
 *
 * @module
 */
import * as v from "valibot";
import { CARD_BITS_MAX } from "../../card_number.ts";
import { defineDriver, type DeviceHost, type ReaderDriver } from "../../contract.ts";
import { UsbIdSchema, UsbInterfaceSchema, UsbSerialSchema } from "../../hid_schema.ts";
import { OneWayReader } from "../../one_way_reader.ts";
import type { PlainReader } from "../../plain_reader.ts";
import { NUMBER_BYTES_MAX, readReport } from "./report.ts";

/** A report of a full-speed interrupt endpoint has at most 64 bytes, one of high speed 1,024. */
const REPORT_BYTES_MAX = 1_024;

const whole = (from: number, to: number) => {
  const message = `expected a whole number from ${from} to ${to}`;
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(from, message),
    v.maxValue(to, message),
  );
};

const hexMessage = 'expected bytes as hex digits in quotes, such as "a5 01"';
const hexBytes = (most: number) =>
  v.pipe(
    v.string(hexMessage),
    v.regex(new RegExp(`^[0-9a-fA-F]{2}(?: ?[0-9a-fA-F]{2}){0,${most - 1}}$`), hexMessage),
    v.transform((text): readonly number[] => [...Uint8Array.fromHex(text.replaceAll(" ", ""))]),
  );

const PollSchema = v.strictObject({
  /** The output report that asks for a card, its report id (or 00) first. */
  report: hexBytes(64),
  everyMs: v.optional(whole(50, 5_000), 250),
});

const Schema = v.pipe(
  v.strictObject({
    /** As `lsusb` shows them: VENDOR:PRODUCT. */
    vendorId: UsbIdSchema,
    productId: UsbIdSchema,
    serialNumber: UsbSerialSchema,
    interfaceNumber: UsbInterfaceSchema,
    /** The first byte of each report, where the reader numbers its reports; it is not counted below. */
    reportId: v.optional(whole(1, 255)),
    /** Bytes that a report with a card begins with. */
    startsWith: v.optional(hexBytes(16)),
    /** Where the number begins, from 0. */
    offset: v.optional(whole(0, REPORT_BYTES_MAX - 1), 0),
    /** Its length in bytes, where it is always the same. */
    length: v.optional(whole(1, NUMBER_BYTES_MAX)),
    /** The byte that tells its length, where it is not. */
    lengthOffset: v.optional(whole(0, REPORT_BYTES_MAX - 1)),
    /** What that byte counts. */
    lengthUnit: v.optional(v.picklist(["bytes", "bits"], "expected bytes or bits"), "bytes"),
    /** Length of the card's number, where it is not that of its bytes. */
    bits: v.optional(whole(1, CARD_BITS_MAX)),
    byteOrder: v.optional(v.picklist(["big", "little"], "expected big or little"), "big"),
    /** A card that was not reported for this long has gone; before that it is the same one. */
    absentMs: v.optional(whole(100, 60_000), 1_500),
    /** For readers that are asked. */
    poll: v.optional(PollSchema),
  }),
  v.forward(
    v.check(
      ({ length, lengthOffset }) => (length === undefined) !== (lengthOffset === undefined),
      "write either length or lengthOffset",
    ),
    ["length"],
  ),
);

/** Options of one reader. */
export interface HidRawOptions {
  readonly vendorId: number;
  readonly productId: number;
  readonly serialNumber?: string | undefined;
  readonly interfaceNumber?: number | undefined;
  readonly reportId?: number | undefined;
  readonly startsWith?: readonly number[] | undefined;
  readonly offset: number;
  readonly length?: number | undefined;
  readonly lengthOffset?: number | undefined;
  readonly lengthUnit: "bytes" | "bits";
  readonly bits?: number | undefined;
  readonly byteOrder: "big" | "little";
  readonly absentMs: number;
  readonly poll?: { readonly report: readonly number[]; readonly everyMs: number } | undefined;
}

const ADVICE = {
  short: "a report is shorter than offset and length say; look at one with usbhid-dump",
  length: "a report tells a length that no card has; is lengthOffset right?",
  range: "a number has more than its bits; set bits",
} as const;

/** A USB reader with reports of its own, in which the card's number stands in a fixed place. */
export const hidRaw: ReaderDriver<HidRawOptions> = defineDriver({
  id: "hid-raw",
  kind: "card-reader",
  bus: "hid",
  reference: "USB HID 1.11, section 5.6 (reports); the maker's own manual for their contents",
  optionsSchema: Schema,
  parseOptions: (raw: unknown): HidRawOptions => v.parse(Schema, raw),
  open: (host, options: HidRawOptions, signal) =>
    OneWayReader.open(
      "a HID reader",
      host,
      (reader, end) => serve(host, options, reader, end),
      signal,
    ),
});

async function serve(
  { hid, clock }: DeviceHost,
  options: HidRawOptions,
  reader: PlainReader,
  signal: AbortSignal,
): Promise<void> {
  const { vendorId, productId, serialNumber, interfaceNumber, poll } = options;
  await using device = await hid.open({
    vendorId,
    productId,
    ...(serialNumber === undefined ? {} : { serialNumber }),
    ...(interfaceNumber === undefined ? {} : { interfaceNumber }),
    // Some type as well; what goes to the console must not be a card.
    exclusive: true,
  }, signal);
  reader.up();
  const ended = new AbortController();
  const end = AbortSignal.any([signal, ended.signal]);
  const asking = poll === undefined ? Promise.resolve() : (async () => {
    for (;;) {
      await device.write(Uint8Array.from(poll.report), end);
      await clock.sleep(poll.everyMs, end);
    }
  })();
  // A write that fails ends the reading: both are the same device.
  asking.catch((cause: unknown) => ended.abort(cause));
  try {
    for (;;) {
      const { bytes, receivedMonotonicMs } = await device.read(end);
      const report = readReport(bytes, options);
      if (report.kind === "refused") {
        reader.limited.warn(ADVICE[report.why], { bytes: bytes.length });
      } else if (report.kind === "card") {
        const { bits, data } = report.card;
        reader.card(bits, data, options.absentMs, receivedMonotonicMs);
      }
    }
  } finally {
    ended.abort();
    await asking.catch(() => {});
  }
}
