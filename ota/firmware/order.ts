/**
 * What updater and box say to each other about firmware of readers. They are two programs: the updater
 * has what was signed, the box has the readers. Each writes one file that the other only reads, so that
 * a start of either finds where it stood.
 *
 * @module
 */
import * as v from "valibot";
import { writeFileDurably } from "../../hal/mod.ts";

/** An order has some 200 bytes, a report as many for each reader. */
const FILE_BYTES_MAX = 256 << 10;
const READERS_MAX = 1_000;
const DETAIL_CHARS_MAX = 300;

const OrderSchema = v.strictObject({
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  /** Where the file lies. */
  file: v.pipe(v.string(), v.maxLength(1_000)),
  vendor: v.pipe(v.string(), v.maxLength(16)),
  model: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255)),
  version: v.pipe(v.string(), v.maxLength(32)),
  fileType: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(255)),
});

/** Every reader of `vendor` and `model` is to have the file, and say `version` afterwards. */
export type FirmwareOrder = v.InferOutput<typeof OrderSchema>;

const ReaderReportSchema = v.strictObject({
  reader: v.pipe(v.string(), v.maxLength(64)),
  state: v.picklist(["waiting", "sending", "done", "failed"]),
  sentBytes: v.pipe(v.number(), v.integer(), v.minValue(0)),
  detail: v.exactOptional(v.string()),
});

/** How far one reader is. */
export type ReaderReport = Readonly<v.InferOutput<typeof ReaderReportSchema>>;

const ReportSchema = v.strictObject({
  sha256: v.string(),
  readers: v.pipe(v.array(ReaderReportSchema), v.maxLength(READERS_MAX)),
  /** Nothing more will be done for this order. */
  over: v.boolean(),
  /** Why no reader was given anything. */
  fault: v.exactOptional(v.string()),
});

/** How far the box is with an order. */
export interface FirmwareReport {
  readonly sha256: string;
  readonly readers: readonly ReaderReport[];
  readonly over: boolean;
  readonly fault?: string;
}

/** The order at `path`; one that is missing or spoilt is none. */
export function readOrder(path: string): FirmwareOrder | undefined {
  return read(path, OrderSchema);
}

/** Gives an order; it is durable on return. */
export function writeOrder(path: string, order: FirmwareOrder): void {
  writeFileDurably(path, JSON.stringify(order));
}

/** The report at `path`; one that is missing or spoilt is none. */
export function readReport(path: string): FirmwareReport | undefined {
  return read(path, ReportSchema);
}

/** Says how far it is; durable on return. */
export function writeReport(path: string, report: FirmwareReport): void {
  const cut = (key: string, value: unknown) =>
    key === "detail" || key === "fault" ? String(value).slice(0, DETAIL_CHARS_MAX) : value;
  writeFileDurably(path, JSON.stringify(report, cut));
}

function read<S extends v.GenericSchema>(path: string, schema: S): v.InferOutput<S> | undefined {
  try {
    if (Deno.statSync(path).size > FILE_BYTES_MAX) return undefined;
    return v.parse(schema, JSON.parse(Deno.readTextFileSync(path)));
  } catch {
    return undefined;
  }
}
