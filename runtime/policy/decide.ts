/**
 * Decisions. `decide` is pure: the policy bound to this box, the door, the card and the time go in,
 * a decision comes out. It allocates next to nothing and looks at nothing else.
 *
 * @module
 */
import type { DenialReason, DoorMode } from "../../sync/wire/mod.ts";
import {
  type CompiledPolicy,
  CREDENTIAL,
  DAY_WORDS,
  findCredential,
  HOLDER,
  SCHEDULE_WORDS,
} from "./compile.ts";
import type { LocalMinute } from "./local_time.ts";

/** A compiled policy with each combination of access levels resolved for each door of this box. */
export interface BoundPolicy {
  readonly compiled: CompiledPolicy;
  /** `[door index][rights index]` → schedules that grant, as indices. */
  readonly schedulesOf: readonly (readonly Uint16Array[])[];
}

/** The outcome for one card at one door. */
export type Decision =
  | { readonly granted: true; readonly credential: number; readonly cardholder: number }
  | {
    readonly granted: false;
    readonly reason: DenialReason;
    readonly credential?: number;
    readonly cardholder?: number;
  };

/** The door that the card was presented at. */
export interface DecidingDoor {
  /** Its position in the list that the policy was bound with. */
  readonly index: number;
  readonly mode: DoorMode;
}

/** Now, as far as it matters for a decision. */
export interface DecisionTime {
  readonly wallMs: number;
  readonly local: LocalMinute;
}

function matches(pattern: string, boxName: string, door: string): boolean {
  return pattern === "*" || pattern === door || pattern === `${boxName}/*` ||
    pattern === `${boxName}/${door}`;
}

/** Binds `compiled` to the doors of the box called `boxName`. */
export function bindPolicy(
  compiled: CompiledPolicy,
  boxName: string,
  doors: readonly string[],
): BoundPolicy {
  const schedulesOf = doors.map((door) => {
    const byLevel = compiled.levels.map((grants) =>
      grants.filter((grant) => grant.doors.some((pattern) => matches(pattern, boxName, door)))
        .map((grant) => grant.schedule)
    );
    return compiled.rights.map((levels) =>
      new Uint16Array(new Set(levels.flatMap((level) => byLevel[level] ?? [])))
    );
  });
  return { compiled, schedulesOf };
}

function isHoliday(holidays: Int32Array, epochDay: number): boolean {
  for (let index = 0; index < holidays.length; index += 2) {
    if (epochDay >= holidays[index]! && epochDay <= holidays[index + 1]!) return true;
  }
  return false;
}

function scheduleApplies(compiled: CompiledPolicy, schedule: number, local: LocalMinute): boolean {
  const day = isHoliday(compiled.holidays, local.epochDay) ? 7 : local.weekday;
  const word = schedule * SCHEDULE_WORDS + day * DAY_WORDS + (local.minute >> 5);
  // Index 0 is the built-in "always": its holidays are marked as well.
  return (compiled.schedules[word]! >>> (local.minute & 31) & 1) === 1;
}

/**
 * Whether the card with `key` (see `card_key.ts`) may pass `door` now. Without a policy nobody may.
 * A locked door refuses even a good card, but the record still says whose it was.
 */
export function decide(
  policy: BoundPolicy | undefined,
  door: DecidingDoor,
  key: Uint8Array,
  now: DecisionTime,
): Decision {
  if (policy === undefined) return { granted: false, reason: "no-policy" };
  const { compiled } = policy;
  const found = findCredential(compiled, key);
  if (found < 0) return { granted: false, reason: "unknown-card" };
  const record = found * CREDENTIAL.words;
  const credential = compiled.credentials[record + CREDENTIAL.id]!;
  const holderAndActive = compiled.credentials[record + CREDENTIAL.holderAndActive]!;
  const holder = holderAndActive >>> 1;
  const cardholder = compiled.holders[holder * HOLDER.words + HOLDER.id]!;
  const rightsAndFlags = compiled.holders[holder * HOLDER.words + HOLDER.rightsAndFlags]!;
  const deny = (reason: DenialReason): Decision => ({
    granted: false,
    reason,
    credential,
    cardholder,
  });
  if ((holderAndActive & 1) === 0) return deny("credential-inactive");
  if ((rightsAndFlags & 1) === 0) return deny("cardholder-inactive");
  if ((rightsAndFlags & 2) !== 0) {
    if (now.wallMs < compiled.spans[holder * 2]!) return deny("not-yet-valid");
    if (now.wallMs >= compiled.spans[holder * 2 + 1]!) return deny("expired");
  }
  const schedules = policy.schedulesOf[door.index]?.[rightsAndFlags >>> 2];
  if (schedules === undefined || schedules.length === 0) return deny("no-access-here");
  let inside = false;
  for (let index = 0; index < schedules.length && !inside; index++) {
    inside = scheduleApplies(compiled, schedules[index]!, now.local);
  }
  if (!inside) return deny("outside-schedule");
  if (door.mode === "locked") return deny("door-locked");
  return { granted: true, credential, cardholder };
}
