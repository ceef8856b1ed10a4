/**
 * Schemas of the calls about updates.
 *
 * @module
 */
import * as v from "valibot";
import type {
  ControllerRequest,
  ControllerToken,
  ControllerView,
  PublishedView,
  ReleaseRequest,
  ReleaseView,
  RollBackView,
  RolloutAuditWord,
  RolloutRequest,
  RolloutView,
  TargetFilter,
  TargetView,
  WindowView,
} from "../api/types.ts";
import { GROUPS_MAX } from "../rollouts/machine.ts";
import { WINDOW_BOUNDS } from "../rollouts/window.ts";

const text = (charsMax: number) => v.pipe(v.string(), v.minLength(1), v.maxLength(charsMax));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const percent = v.pipe(v.number(), v.minValue(1), v.maxValue(100));
/** At most a year. */
const hours = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(8_760));
const optional = v.exactOptional;
const name = v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(100));
const controllerId = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9._:@-]{1,64}$/, "expected 1 to 64 letters, digits and . _ : @ -"),
);
const LABELS_MAX = 32;
/** A district has some thousand boxes; a list by hand names some of them. */
const IDS_MAX = 10_000;
const labels = v.pipe(
  v.record(text(64), v.pipe(v.string(), v.maxLength(200))),
  v.check((all) => Object.keys(all).length <= LABELS_MAX, `at most ${LABELS_MAX} labels`),
);
const STATES = [
  "waiting",
  "offered",
  "running",
  "going-on",
  "installed",
  "failed",
  "cancelled",
] as const;

/** Checks a {@link ReleaseRequest}. */
export const ReleaseRequestSchema: v.GenericSchema<unknown, ReleaseRequest> = v.strictObject({
  path: text(500),
});

/** Checks a {@link ControllerRequest}. */
export const ControllerRequestSchema: v.GenericSchema<unknown, ControllerRequest> = v.strictObject({
  id: controllerId,
  labels: optional(labels),
});

const FilterSchema: v.GenericSchema<unknown, TargetFilter> = v.strictObject({
  ids: optional(v.pipe(v.array(controllerId), v.maxLength(IDS_MAX))),
  labels: optional(labels),
});

const time = v.pipe(v.string(), v.regex(/^([01]\d|2[0-3]):[0-5]\d$/, "expected HH:MM"));
const WindowSchema: v.GenericSchema<unknown, WindowView> = v.strictObject({
  timezone: text(64),
  weekly: v.pipe(
    v.array(v.strictObject({
      days: v.pipe(
        v.array(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(7))),
        v.minLength(1),
        v.maxLength(7),
      ),
      from: time,
      to: time,
    })),
    v.minLength(1),
    v.maxLength(WINDOW_BOUNDS.intervals),
  ),
  notOn: v.pipe(
    v.array(v.pipe(v.string(), v.regex(/^\d{4}-\d{2}-\d{2}$/, "expected YYYY-MM-DD"))),
    v.maxLength(WINDOW_BOUNDS.dates),
  ),
});

/** Checks a {@link RolloutRequest}. */
export const RolloutRequestSchema: v.GenericSchema<unknown, RolloutRequest> = v.strictObject({
  name,
  release: text(500),
  filter: optional(FilterSchema),
  groups: v.pipe(
    v.array(v.strictObject({
      name,
      filter: optional(FilterSchema),
      percent,
      successPercent: percent,
      errorPercent: percent,
    })),
    v.minLength(1),
    v.maxLength(GROUPS_MAX),
  ),
  window: optional(WindowSchema),
  standing: optional(v.boolean()),
  silentAfterHours: optional(hours),
});

/** Checks the query of `GET /api/rollouts/:id/targets`. */
export const TargetsQuerySchema = v.object({
  after: v.optional(v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number)), "0"),
  limit: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,4}$/),
      v.transform(Number),
      v.minValue(1),
      v.maxValue(1_000),
    ),
    "200",
  ),
  state: v.optional(v.picklist(STATES)),
});

const published = {
  path: v.string(),
  kind: v.string(),
  version: v.string(),
  bytes: count,
  sha256: v.string(),
};

/** Describes {@link ReleaseView}. */
export const ReleaseSchema: v.GenericSchema<unknown, ReleaseView> = v.strictObject({
  ...published,
  addedMs: count,
});

/** Describes a list of {@link ReleaseView}. */
export const ReleasesSchema: v.GenericSchema<unknown, ReleaseView[]> = v.array(ReleaseSchema);

/** Describes a list of {@link PublishedView}. */
export const PublishedSchema: v.GenericSchema<unknown, PublishedView[]> = v.array(
  v.strictObject(published),
);

/** Describes a list of {@link ControllerView}. */
export const ControllersSchema: v.GenericSchema<unknown, ControllerView[]> = v.array(
  v.strictObject({
    id: v.string(),
    addedMs: count,
    labels: v.record(v.string(), v.string()),
    attributes: v.record(v.string(), v.string()),
  }),
);

/** Describes {@link ControllerToken}. */
export const ControllerTokenSchema: v.GenericSchema<unknown, ControllerToken> = v.strictObject({
  id: v.string(),
  token: v.string(),
});

const AuditWordSchema: v.GenericSchema<unknown, RolloutAuditWord> = v.variant("kind", [
  v.strictObject({
    kind: v.picklist([
      ...["made", "submitted", "rejected", "paused", "resumed", "aborted"] as const,
      ...["finished", "stays-open"] as const,
    ]),
  }),
  v.strictObject({ kind: v.picklist(["approved", "begins"]), group: v.string() }),
  v.strictObject({ kind: v.literal("stopped"), group: v.string(), failed: count, boxes: count }),
  v.strictObject({ kind: v.picklist(["superseded", "takes-back"]), rollout: count }),
  v.strictObject({ kind: v.literal("rolled-back"), by: v.array(count) }),
  v.strictObject({ kind: v.literal("note"), text: v.string() }),
]);

/** Describes {@link RolloutView}. */
export const RolloutSchema: v.GenericSchema<unknown, RolloutView> = v.strictObject({
  id: count,
  name: v.string(),
  release: v.string(),
  createdBy: v.string(),
  createdMs: count,
  status: v.picklist([
    "draft",
    "awaiting-approval",
    "running",
    "paused",
    "standing",
    "finished",
    "aborted",
  ]),
  group: optional(count),
  pausedBy: optional(v.picklist(["operator", "errors"])),
  window: optional(WindowSchema),
  groups: v.array(v.strictObject({
    name: v.string(),
    boxes: count,
    successPercent: percent,
    errorPercent: percent,
    installed: count,
    failed: count,
    joined: optional(v.boolean()),
  })),
  standing: optional(v.boolean()),
  silentAfterHours: optional(hours),
  audit: optional(
    v.array(v.strictObject({ atMs: count, operator: v.string(), what: AuditWordSchema })),
  ),
});

/** Describes {@link RollBackView}. */
export const RollBackSchema: v.GenericSchema<unknown, RollBackView> = v.strictObject({
  rollouts: v.array(RolloutSchema),
  left: v.array(v.string()),
});

/** Describes a list of {@link RolloutView}. */
export const RolloutsSchema: v.GenericSchema<unknown, RolloutView[]> = v.array(RolloutSchema);

/** Describes a list of {@link TargetView}. */
export const TargetsSchema: v.GenericSchema<unknown, TargetView[]> = v.array(v.strictObject({
  actionId: count,
  controllerId: v.string(),
  group: count,
  state: v.picklist(STATES),
  reason: v.string(),
  changedMs: count,
}));
