/**
 * The journal's bytes of one event: CBOR of
 * `[1, wallMs, monotonicMs, boot, clock (its place in `WALL_QUALITIES`), kind, fields…]`, where the
 * fields stand in the order of {@link EVENT_FIELDS}; absent optional ones at the end are left out.
 *
 * @module
 */
import * as v from "valibot";
import { WALL_QUALITIES } from "../../hal/mod.ts";
import { decodeCbor, encodeCbor, encodeCborView, WireError } from "./codec.ts";
import {
  type BoxEvent,
  type BoxEventKind,
  DENIAL_REASONS,
  INPUT_FAULT_STATES,
  LANES,
  type RecordedEvent,
} from "./events.ts";
import { WIRE_LIMITS } from "./messages.ts";

const id = v.pipe(v.string(), v.minLength(1), v.maxLength(64));
const name = v.pipe(v.string(), v.maxLength(255));
const detail = v.pipe(v.string(), v.maxLength(500));
const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
const card = v.strictObject({
  bits: v.pipe(count, v.minValue(1), v.maxValue(255)),
  hex: v.pipe(v.string(), v.regex(/^([0-9a-f]{2}){1,32}$/)),
});

/** Each kind's fields in their order on the wire. New fields go to the end, optional. */
const FIELDS = {
  "access.granted": { door: id, reader: id, credential: count, cardholder: count },
  "access.denied": {
    door: id,
    reader: id,
    reason: v.picklist(DENIAL_REASONS),
    credential: v.optional(count),
    cardholder: v.optional(count),
    card: v.optional(card),
  },
  "door.unlocked": {
    door: id,
    cause: v.picklist(["access", "request-to-exit", "command", "free", "release"]),
  },
  "door.relocked": { door: id },
  "door.opened": { door: id },
  "door.closed": { door: id },
  "door.passed": { door: id, direction: v.picklist(["in", "out"]) },
  "access.unused": {
    door: id,
    direction: v.picklist(["in", "out"]),
    credential: v.optional(count),
    cardholder: v.optional(count),
  },
  "patrol.read": {
    source: id,
    tag: v.pipe(v.string(), v.regex(/^([0-9a-f]{2}){1,32}$/)),
    readAtMs: count,
    baton: v.optional(id),
    record: v.optional(count),
  },
  "door.forced": { door: id },
  "door.held": { door: id },
  "door.secured": { door: id },
  "release.activated": { input: id },
  "release.cleared": { input: id },
  "door.tailgated": { door: id, count },
  "emergency.raised": { input: id },
  "emergency.cleared": { input: id, by: v.picklist(["key", "command"]) },
  "input.fault": { input: id, fault: v.picklist(INPUT_FAULT_STATES) },
  "expander.offline": { expander: id },
  "reader.offline": { reader: id, reason: id },
  "reader.tamper": { reader: id, active: v.boolean() },
  "reader.power": { reader: id, failed: v.boolean() },
  "reader.firmware": { reader: id, firmware: id },
  "journal.replaced": { file: v.pipe(v.string(), v.maxLength(255)), detail },
  "journal.dropped": { lane: v.picklist(LANES), firstSeq: count, lastSeq: count },
  "box.stalled": { deadMs: count },
  "command.result": {
    id,
    outcome: v.picklist(["done", "refused", "expired", "failed"]),
    detail: v.optional(detail),
  },
  "door.mode": { door: id, mode: v.picklist(["normal", "free", "locked"]) },
  "signal.silenced": { signal: id, by: v.picklist(["input", "command"]) },
  "policy.applied": { version: count },
  "policy.refused": { version: count, detail },
  "box.started": { version: id },
  "box.stopped": {},
  "reader.online": { reader: id, firmware: v.optional(id) },
  "expander.online": { expander: id },
  "device.attached": { device: name, description: name },
  "device.detached": { device: name, description: name },
  "sensor.reading": { sensor: id, value: v.pipe(v.number(), v.finite()), unit: id },
  "reader.keys": { reader: id, count },
  "output.changed": { output: id, active: v.boolean() },
  "input.changed": { input: id, active: v.boolean() },
} as const satisfies Record<BoxEventKind, Record<string, v.GenericSchema>>;

const KINDS = Object.keys(FIELDS) as BoxEventKind[];

/** Field names of each kind in their order on the wire. */
export const EVENT_FIELDS: Readonly<Record<BoxEventKind, readonly string[]>> = Object.fromEntries(
  KINDS.map((kind) => [kind, Object.keys(FIELDS[kind])]),
) as Record<BoxEventKind, string[]>;

const SCHEMAS = new Map<string, v.GenericSchema>(
  KINDS.map((kind) => [kind, v.strictObject(FIELDS[kind])]),
);

const StampSchema = v.looseTuple([
  v.literal(1),
  count,
  count,
  v.pipe(count, v.minValue(1)),
  v.picklist([0, 1, 2]),
  v.string(),
]);
const STAMP_LENGTH = 6;

/** The bytes of `recorded` as they are hashed, stored and sent. */
export function encodeEvent(recorded: RecordedEvent): Uint8Array<ArrayBuffer> {
  return encodeCbor(rowOf(recorded));
}

/** The same as a view, see {@link encodeCborView}. */
export function encodeEventView(recorded: RecordedEvent): Uint8Array {
  return encodeCborView(rowOf(recorded));
}

function rowOf(recorded: RecordedEvent): unknown[] {
  const { event } = recorded;
  const row: unknown[] = [
    1,
    recorded.wallMs,
    recorded.monotonicMs,
    recorded.boot,
    WALL_QUALITIES.indexOf(recorded.clock),
    event.kind,
  ];
  const values = event as unknown as Record<string, unknown>;
  for (const field of EVENT_FIELDS[event.kind]) row.push(values[field] ?? null);
  while (row.at(-1) === null) row.pop();
  return row;
}

/**
 * Reads what {@link encodeEvent} wrote.
 *
 * @throws {@link WireError} when the bytes are too many, no CBOR, or not of a known kind and shape.
 */
export function decodeEvent(bytes: Uint8Array): RecordedEvent {
  const row = decodeCbor(bytes, "event", WIRE_LIMITS.eventBytesMax);
  const stamp = v.safeParse(StampSchema, row);
  if (!stamp.success || !Array.isArray(row)) throw new WireError("event: its stamp is malformed");
  const [, wallMs, monotonicMs, boot, clock, kind] = stamp.output;
  const schema = SCHEMAS.get(kind);
  if (schema === undefined) {
    throw new WireError(`event: kind ${JSON.stringify(kind.slice(0, 64))} is not known`);
  }
  const names = EVENT_FIELDS[kind as BoxEventKind];
  if (row.length > STAMP_LENGTH + names.length) {
    throw new WireError(`event: ${kind} has too many fields`);
  }
  const fields: Record<string, unknown> = {};
  names.forEach((name, index) => {
    const value = row[STAMP_LENGTH + index];
    if (value !== null && value !== undefined) fields[name] = value;
  });
  const parsed = v.safeParse(schema, fields);
  if (!parsed.success) {
    throw new WireError(
      `event: ${kind}: ${v.getDotPath(parsed.issues[0]) ?? ""} ${parsed.issues[0].message}`,
    );
  }
  return {
    wallMs,
    monotonicMs,
    boot,
    clock: WALL_QUALITIES[clock],
    event: { kind, ...(parsed.output as object) } as BoxEvent,
  };
}
