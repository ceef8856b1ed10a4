/**
 * Parsers for every message of `messages.ts`: what comes in as `unknown` leaves with its type, or
 * not at all.
 *
 * @module
 */
import * as v from "valibot";
import { CHAIN_HASH_BYTES } from "./chain.ts";
import { WireError } from "./codec.ts";
import { LANES } from "./events.ts";
import { BOX_ID_PATTERN, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from "./identity.ts";
import {
  type BoxCommand,
  type BoxStatus,
  type DownMessage,
  type EnrolRequest,
  type EnrolResponse,
  type PolicyMessage,
  type Refusal,
  REFUSAL_CODES,
  type UploadRequest,
  type UploadResponse,
  WIRE_LIMITS,
} from "./messages.ts";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const positive = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
/** Up to the last instant that ECMAScript knows, year 275760. */
const wallMs = v.pipe(count, v.maxValue(8_640_000_000_000_000));
const id = v.pipe(v.string(), v.minLength(1), v.maxLength(64));
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(128));
const boxId = v.pipe(v.string(), v.regex(BOX_ID_PATTERN, "expected a box id"));
const bytesOf = (length: number) =>
  v.pipe(
    v.instance(Uint8Array),
    v.check((bytes) => bytes.length === length, `expected ${length} bytes`),
  );
const hash = bytesOf(CHAIN_HASH_BYTES);
const lane = v.picklist(LANES);
const mode = v.picklist(["normal", "free", "locked"]);

const EnrolRequestSchema = v.strictObject({
  secret: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  publicKey: bytesOf(PUBLIC_KEY_BYTES),
  name,
});

const EnrolResponseSchema = v.strictObject({
  boxId,
  districtKey: bytesOf(PUBLIC_KEY_BYTES),
  districtName: name,
});

const eventBytes = v.custom<Uint8Array>(
  (event) =>
    event instanceof Uint8Array && event.length > 0 && event.length <= WIRE_LIMITS.eventBytesMax,
  `expected an event's bytes, at most ${WIRE_LIMITS.eventBytesMax}`,
);

const UploadRequestSchema = v.strictObject({
  batches: v.pipe(
    v.array(v.strictObject({
      lane,
      epoch: positive,
      firstSeq: positive,
      prevHash: hash,
      events: v.pipe(
        v.array(eventBytes),
        v.minLength(1),
        v.maxLength(WIRE_LIMITS.batchEventsMax),
      ),
      headHash: hash,
      headSignature: bytesOf(SIGNATURE_BYTES),
      afterDrop: v.optional(v.literal(true)),
    })),
    v.maxLength(LANES.length),
    v.check(
      (batches) => new Set(batches.map((batch) => batch.lane)).size === batches.length,
      "expected at most one batch a lane",
    ),
  ),
});

const UploadResponseSchema = v.strictObject({
  acks: v.pipe(
    v.array(v.strictObject({
      lane,
      epoch: positive,
      seq: count,
      refused: v.optional(v.picklist(["gap", "chain-broken", "malformed"])),
    })),
    v.maxLength(LANES.length),
  ),
});

const RefusalSchema = v.strictObject({
  error: v.picklist(REFUSAL_CODES),
  detail: v.pipe(v.string(), v.maxLength(1000)),
  serverWallMs: wallMs,
});

const BoxCommandSchema = v.variant("name", [
  v.strictObject({ name: v.literal("door.open"), door: id }),
  v.strictObject({ name: v.literal("door.mode"), door: id, mode }),
  v.strictObject({ name: v.literal("emergency.reset"), input: id }),
  v.strictObject({ name: v.literal("signal.silence"), signal: id }),
]);

const DownMessageSchema = v.variant("kind", [
  v.strictObject({
    kind: v.literal("hello"),
    boxId,
    nonce: v.pipe(v.string(), v.maxLength(64)),
    serverWallMs: wallMs,
    policyVersion: count,
  }),
  v.strictObject({ kind: v.literal("policy.available"), boxId, version: positive }),
  v.strictObject({
    kind: v.literal("command"),
    boxId,
    id,
    issuedWallMs: wallMs,
    expiresWallMs: wallMs,
    command: BoxCommandSchema,
  }),
]);

const PolicyMessageSchema = v.strictObject({
  kind: v.literal("policy"),
  version: positive,
  document: v.pipe(
    v.instance(Uint8Array),
    v.check(
      (document) => document.length <= WIRE_LIMITS.policyBytesMax,
      `expected at most ${WIRE_LIMITS.policyBytesMax} bytes`,
    ),
  ),
});

/** No box has more of either: an RS-485 line takes 127 readers, and a box has few lines. */
const DEVICES_MAX = 512;

const BoxStatusSchema = v.strictObject({
  kind: v.literal("status"),
  name,
  version: id,
  policyVersion: count,
  doors: v.pipe(
    v.array(v.strictObject({
      id,
      mode,
      unlocked: v.boolean(),
      open: v.optional(v.boolean()),
      alarm: v.optional(v.picklist(["forced", "held"])),
    })),
    v.maxLength(DEVICES_MAX),
  ),
  readers: v.pipe(
    v.array(v.strictObject({ id, door: v.optional(id), online: v.boolean() })),
    v.maxLength(DEVICES_MAX),
  ),
  backlogEvents: count,
  rssBytes: count,
  uptimeMs: v.pipe(v.number(), v.finite(), v.minValue(0)),
});

function parse<T>(what: string, schema: v.GenericSchema<unknown, T>, raw: unknown): T {
  const parsed = v.safeParse(schema, raw, { abortEarly: true });
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const path = v.getDotPath(issue);
  // Valibot quotes what it received, which may be long.
  throw new WireError(`${what}: ${path === null ? "" : `${path}: `}${issue.message.slice(0, 200)}`);
}

/** Parses an {@link EnrolRequest}. @throws {@link WireError} */
export function parseEnrolRequest(raw: unknown): EnrolRequest {
  return parse("enrolment", EnrolRequestSchema, raw);
}

/** Parses an {@link EnrolResponse}. @throws {@link WireError} */
export function parseEnrolResponse(raw: unknown): EnrolResponse {
  return parse("answer to the enrolment", EnrolResponseSchema, raw);
}

/** Parses an {@link UploadRequest}; the events in it are still bytes. @throws {@link WireError} */
export function parseUploadRequest(raw: unknown): UploadRequest {
  return parse("upload", UploadRequestSchema, raw) as UploadRequest;
}

/** Parses an {@link UploadResponse}. @throws {@link WireError} */
export function parseUploadResponse(raw: unknown): UploadResponse {
  return parse("answer to the upload", UploadResponseSchema, raw) as UploadResponse;
}

/** Parses a {@link Refusal}. @throws {@link WireError} */
export function parseRefusal(raw: unknown): Refusal {
  return parse("refusal", RefusalSchema, raw);
}

/** Parses a {@link BoxCommand}. @throws {@link WireError} */
export function parseBoxCommand(raw: unknown): BoxCommand {
  return parse("command", BoxCommandSchema, raw);
}

/** Parses a {@link DownMessage}, the opened envelope of one. @throws {@link WireError} */
export function parseDownMessage(raw: unknown): DownMessage {
  return parse("message from the district", DownMessageSchema, raw);
}

/** Parses a {@link PolicyMessage}; the document in it is still bytes. @throws {@link WireError} */
export function parsePolicyMessage(raw: unknown): PolicyMessage {
  return parse("policy", PolicyMessageSchema, raw);
}

/** Parses a {@link BoxStatus}. @throws {@link WireError} */
export function parseBoxStatus(raw: unknown): BoxStatus {
  return parse("status", BoxStatusSchema, raw) as BoxStatus;
}
