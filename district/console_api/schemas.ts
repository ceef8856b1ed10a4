/**
 * Schemas of the console's API. Bodies are checked with them, and the OpenAPI document is made from
 * them; that they are the types of `district/api/types.ts` is checked by the compiler.
 *
 * @module
 */
import * as v from "valibot";
import { WALL_QUALITIES } from "../../hal/mod.ts";
import {
  type BoxCommand,
  DENIAL_REASONS,
  EVENT_FIELDS,
  LANES,
  PolicySettingsSchema,
  WIRE_LIMITS,
} from "../../sync/wire/mod.ts";
import type {
  ApiError,
  BoxView,
  CardholderPage,
  CommandRequest,
  CommandView,
  EnrolmentToken,
  ImportReport,
  LoginRequest,
  PolicySettings,
  Session,
} from "../api/types.ts";

const id = v.pipe(v.string(), v.minLength(1), v.maxLength(64));
const ms = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(8_640_000_000_000_000));
const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
const mode = v.picklist(["normal", "free", "locked"]);
const lane = v.picklist(LANES);
const optional = v.exactOptional;
/** Longer ones only cost time to hash. */
const PASSWORD_LENGTH_MAX = 256;

/** Checks a {@link LoginRequest}. */
export const LoginSchema: v.GenericSchema<unknown, LoginRequest> = v.strictObject({
  username: v.pipe(v.string(), v.minLength(1), v.maxLength(64)),
  password: v.pipe(v.string(), v.minLength(1), v.maxLength(PASSWORD_LENGTH_MAX)),
});

const BoxCommandSchema: v.GenericSchema<unknown, BoxCommand> = v.variant("name", [
  v.strictObject({ name: v.literal("door.open"), door: id }),
  v.strictObject({ name: v.literal("door.mode"), door: id, mode }),
  v.strictObject({ name: v.literal("emergency.reset"), input: id }),
  v.strictObject({ name: v.literal("signal.silence"), signal: id }),
]);

/** Checks a {@link CommandRequest}. */
export const CommandRequestSchema: v.GenericSchema<unknown, CommandRequest> = v.strictObject({
  command: BoxCommandSchema,
  lifeMs: optional(
    v.pipe(v.number(), v.integer(), v.minValue(1_000), v.maxValue(WIRE_LIMITS.commandLifeMsMax)),
  ),
});

/** Checks {@link PolicySettings}. */
export const SettingsSchema: v.GenericSchema<unknown, PolicySettings> = PolicySettingsSchema;

/** A number in a query string. */
function queryNumber(min: number, max: number) {
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,16}$/, "expected a number"),
    v.transform(Number),
    v.minValue(min),
    v.maxValue(max),
  );
}

/** Checks the query of `GET /api/events`. */
export const EventsQuerySchema = v.object({
  box: v.optional(id),
  lane: v.optional(lane),
  beforeId: v.optional(queryNumber(1, Number.MAX_SAFE_INTEGER)),
  limit: v.optional(queryNumber(1, 200), "50"),
});

/** Checks the query of `GET /api/cardholders`. */
export const CardholdersQuerySchema = v.object({
  search: v.optional(v.pipe(v.string(), v.maxLength(128)), ""),
  offset: v.optional(queryNumber(0, 1_000_000), "0"),
  limit: v.optional(queryNumber(1, 200), "50"),
});

/** Checks the query of an import. */
export const ImportQuerySchema = v.object({
  dryRun: v.optional(v.picklist(["true", "false", "1", "0"]), "false"),
});

// Answers: what they are made of is the district's own, so these only document.

/** Documents a {@link Session}. */
export const SessionSchema: v.GenericSchema<unknown, Session> = v.object({
  username: v.string(),
  districtName: v.string(),
});

/** Documents an {@link ApiError}. */
export const ErrorSchema: v.GenericSchema<unknown, ApiError> = v.object({
  error: v.object({ code: v.string(), message: v.string() }),
});

/** Documents {@link BoxView}s. */
export const BoxesSchema: v.GenericSchema<unknown, readonly BoxView[]> = v.array(v.object({
  id: v.string(),
  name: v.string(),
  online: v.boolean(),
  lastSeenMs: optional(ms),
  enrolledMs: ms,
  status: optional(v.object({
    version: v.string(),
    policyVersion: count,
    doors: v.array(v.object({
      id,
      mode,
      unlocked: v.boolean(),
      open: optional(v.boolean()),
      alarm: optional(v.picklist(["forced", "held"])),
    })),
    readers: v.array(v.object({ id, door: id, online: v.boolean() })),
    backlogEvents: count,
    rssBytes: count,
    uptimeMs: v.number(),
  })),
  policyVersionWanted: count,
}));

/** Documents an {@link EnrolmentToken}. */
export const TokenSchema: v.GenericSchema<unknown, EnrolmentToken> = v.object({
  token: v.string(),
  expiresMs: ms,
  command: v.string(),
});

/** Documents a {@link CommandView}. */
export const CommandSchema: v.GenericSchema<unknown, CommandView> = v.object({
  id: v.string(),
  boxId: v.string(),
  command: BoxCommandSchema,
  operator: v.string(),
  issuedMs: ms,
  expiresMs: ms,
  state: v.picklist(["pending", "done", "refused", "expired", "failed"]),
  detail: optional(v.string()),
});

/** Documents events; their fields by kind are in `sync/wire/events.ts`. */
export const EventsSchema = v.array(v.object({
  id: count,
  boxId: v.string(),
  boxName: v.string(),
  epoch: count,
  lane,
  seq: count,
  receivedMs: ms,
  cardholderName: optional(v.string()),
  wallMs: ms,
  monotonicMs: count,
  boot: count,
  clock: v.picklist(WALL_QUALITIES),
  event: v.looseObject({
    kind: v.picklist(Object.keys(EVENT_FIELDS)),
    door: optional(v.string()),
    reader: optional(v.string()),
    reason: optional(v.union([v.picklist(DENIAL_REASONS), v.string()])),
  }),
}));

/** Documents a {@link CardholderPage}. */
export const CardholderPageSchema: v.GenericSchema<unknown, CardholderPage> = v.object({
  total: count,
  items: v.array(v.object({
    id: count,
    number: v.string(),
    name: v.string(),
    accessLevels: v.array(v.string()),
    active: v.boolean(),
    validFromMs: optional(ms),
    validUntilMs: optional(ms),
    cards: v.array(v.object({ id: count, bits: count, hex: v.string(), active: v.boolean() })),
  })),
});

/** Documents an {@link ImportReport}. */
export const ImportReportSchema: v.GenericSchema<unknown, ImportReport> = v.object({
  added: count,
  changed: count,
  unchanged: count,
  faults: v.array(v.object({ line: count, field: v.string(), message: v.string() })),
  policyVersion: optional(count),
});
