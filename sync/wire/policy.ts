/**
 * Policy: who may pass which door when. One form from the operator's file to the wire; a box
 * compiles it (`runtime/policy`). Parsed by {@link parsePolicy}.
 *
 * @module
 */
import * as v from "valibot";

/** Bounds of a policy. The largest district that the programme names has about 120,000 people. */
export const POLICY_LIMITS: {
  readonly credentialsMax: number;
  readonly cardholdersMax: number;
  readonly accessLevelsMax: number;
  readonly schedulesMax: number;
  readonly holidaysMax: number;
  readonly intervalsMax: number;
} = {
  credentialsMax: 500_000,
  cardholdersMax: 500_000,
  accessLevelsMax: 4_000,
  schedulesMax: 1_000,
  holidaysMax: 1_000,
  intervalsMax: 64,
};

const id = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "expected an id: a-z 0-9 . _ -, at most 64"),
);
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(128));
const uint32 = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(0xffff_ffff));
const wallMs = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(8_640_000_000_000_000));
const time = v.pipe(
  v.string(),
  v.regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, "expected a time of day as HH:MM, 00:00 to 24:00"),
);
const date = v.pipe(v.string(), v.isoDate("expected a date as YYYY-MM-DD"));

/** Days of the week in ISO order. */
export const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

/** `from` is inside, `to` is not; `to` must be later than `from` (split at midnight otherwise). */
const IntervalSchema = v.pipe(
  v.strictObject({ from: time, to: time }),
  v.check(
    (i) => i.from < i.to,
    "`to` must be later than `from`; split an interval that crosses midnight",
  ),
);

const ScheduleSchema = v.strictObject({
  id,
  name,
  /** When it applies on the named days, in the box's time zone. */
  weekly: v.pipe(
    v.array(v.strictObject({
      days: v.pipe(v.array(v.picklist(WEEKDAYS)), v.minLength(1), v.maxLength(7)),
      intervals: v.pipe(v.array(IntervalSchema), v.maxLength(POLICY_LIMITS.intervalsMax)),
    })),
    v.maxLength(POLICY_LIMITS.intervalsMax),
  ),
  /** When it applies on days of {@link Policy.holidays}; none by default: closed. */
  onHolidays: v.optional(
    v.pipe(v.array(IntervalSchema), v.maxLength(POLICY_LIMITS.intervalsMax)),
    [],
  ),
});

const HolidaySchema = v.pipe(
  v.strictObject({ id, name, from: date, /** Last day, inside. */ to: date }),
  v.check((h) => h.from <= h.to, "`to` must not be before `from`"),
);

const AccessLevelSchema = v.strictObject({
  id,
  name,
  grants: v.pipe(
    v.array(v.strictObject({
      /** Door ids: `main` (at any box), `east-gate/main`, `east-gate/*` or `*`. */
      doors: v.pipe(
        v.array(
          v.pipe(
            v.string(),
            v.regex(
              /^(\*|[a-z0-9._-]{1,64}(\/([a-z0-9._-]{1,64}|\*))?)$/,
              "expected a door: main, east-gate/main, east-gate/* or *",
            ),
          ),
        ),
        v.minLength(1),
        v.maxLength(1_000),
      ),
      /** A schedule's id, or `always`. */
      schedule: id,
    })),
    v.maxLength(256),
  ),
});

const CardholderSchema = v.strictObject({
  id: uint32,
  name,
  accessLevels: v.pipe(v.array(id), v.maxLength(32)),
  /** Default true. An inactive cardholder's cards are all refused. */
  active: v.optional(v.boolean(), true),
  validFromMs: v.optional(wallMs),
  validUntilMs: v.optional(wallMs),
});

const CredentialSchema = v.strictObject({
  id: uint32,
  cardholder: uint32,
  bits: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(255)),
  /** The number's value, right-aligned, ceil(bits / 8) bytes in lower-case hex. */
  hex: v.pipe(
    v.string(),
    v.regex(/^([0-9a-f]{2}){1,32}$/, "expected lower-case hex, two digits a byte"),
  ),
  /** Default true. False for a lost or returned card. */
  active: v.optional(v.boolean(), true),
});

const PolicySchema = v.strictObject({
  schema: v.literal(1),
  holidays: v.optional(v.pipe(v.array(HolidaySchema), v.maxLength(POLICY_LIMITS.holidaysMax)), []),
  schedules: v.optional(
    v.pipe(v.array(ScheduleSchema), v.maxLength(POLICY_LIMITS.schedulesMax)),
    [],
  ),
  accessLevels: v.optional(
    v.pipe(v.array(AccessLevelSchema), v.maxLength(POLICY_LIMITS.accessLevelsMax)),
    [],
  ),
  cardholders: v.optional(
    v.pipe(v.array(CardholderSchema), v.maxLength(POLICY_LIMITS.cardholdersMax)),
    [],
  ),
  credentials: v.optional(
    v.pipe(v.array(CredentialSchema), v.maxLength(POLICY_LIMITS.credentialsMax)),
    [],
  ),
});

/** A time of day within one day: `from` is inside, `to` is not. Both `HH:MM`, up to `24:00`. */
export interface Interval {
  from: string;
  to: string;
}

/** Weekly hours with holidays, in the box's time zone. */
export interface Schedule {
  id: string;
  name: string;
  weekly: { days: (typeof WEEKDAYS[number])[]; intervals: Interval[] }[];
  /** On days of {@link Policy.holidays}; empty means closed. */
  onHolidays: Interval[];
}

/** A span of days, `YYYY-MM-DD`, both inside, on which schedules use their holiday hours. */
export interface Holiday {
  id: string;
  name: string;
  from: string;
  to: string;
}

/** Which doors at which times. */
export interface AccessLevel {
  id: string;
  name: string;
  grants: {
    /** `main` (at any box), `east-gate/main`, `east-gate/*` or `*`. */
    doors: string[];
    /** A schedule's id, or `always`. */
    schedule: string;
  }[];
}

/** A person (or thing) that holds credentials. */
export interface Cardholder {
  /** 1 to 2^32 − 1. */
  id: number;
  name: string;
  /** Ids of {@link AccessLevel}s. */
  accessLevels: string[];
  /** An inactive cardholder's cards are all refused. */
  active: boolean;
  validFromMs?: number | undefined;
  validUntilMs?: number | undefined;
}

/** One card. */
export interface Credential {
  /** 1 to 2^32 − 1. */
  id: number;
  /** Whose: a {@link Cardholder.id}. */
  cardholder: number;
  /** 1 to 255. */
  bits: number;
  /** The number's value, right-aligned, ceil(bits / 8) bytes in lower-case hex. */
  hex: string;
  /** False for a lost or returned card. */
  active: boolean;
}

/** Who may pass which door when. */
export interface Policy {
  schema: 1;
  holidays: Holiday[];
  schedules: Schedule[];
  accessLevels: AccessLevel[];
  cardholders: Cardholder[];
  credentials: Credential[];
}

/** The part of a policy that is no list of people. */
export type PolicySettings = Pick<Policy, "holidays" | "schedules" | "accessLevels">;

/** Checks {@link PolicySettings}, for whoever edits them apart: all of them, as leaving a part out would remove it. */
export const PolicySettingsSchema: v.GenericSchema<unknown, PolicySettings> = v.strictObject({
  holidays: PolicySchema.entries.holidays.wrapped,
  schedules: PolicySchema.entries.schedules.wrapped,
  accessLevels: PolicySchema.entries.accessLevels.wrapped,
});

/**
 * Checks a policy's shape. Whether its references resolve is checked when it is compiled.
 *
 * @throws `ValiError` whose issues name the path and what was expected.
 */
export function parsePolicy(raw: unknown): Policy {
  return v.parse(PolicySchema, raw, { abortEarly: true });
}
