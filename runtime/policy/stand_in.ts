/**
 * Settings that stand in for those of the policy: the district has a box try hours, holidays and access levels
 * before all boxes get them. People and cards are always the policy's own.
 *
 * @module
 */
import { createHash } from "node:crypto";
import * as v from "valibot";
import { type Policy, type PolicySettings, PolicySettingsSchema } from "../../sync/wire/mod.ts";
import { type CompiledPolicy, compilePolicy, PolicyError, SCHEDULE_WORDS } from "./compile.ts";
import { bindPolicy } from "./decide.ts";

/** Settings as the updater left them. */
export interface StandIn {
  /** Where they are from, in hex. */
  readonly bundle: string;
  /** The settings that they stand in for, as {@link StoredPolicy.settings} names them. */
  readonly base: string;
  /** {@link PolicySettings} in JSON. */
  readonly text: string;
}

/** What may stand in, and where. */
export interface StandIns {
  /** The first that fits is taken. */
  readonly candidates: readonly StandIn[];
  /** This box, as policy names it. */
  readonly box: string;
  readonly doors: readonly string[];
}

/** Nothing stands in. */
export const NO_STAND_INS: StandIns = { candidates: [], box: "", doors: [] };

/** A policy compiled with what stands in for its settings. */
export interface Stood {
  readonly bundle: string;
  readonly compiled: CompiledPolicy;
}

/** Tells one policy's settings from another's, in hex. */
export function settingsHash({ holidays, schedules, accessLevels }: PolicySettings): string {
  const text = JSON.stringify({ holidays, schedules, accessLevels });
  return createHash("sha256").update(text).digest("hex");
}

/**
 * Compiles `policy` with `candidate` in place of its settings; `own` is how it is compiled without.
 *
 * @throws {@link PolicyError} when they do not fit the people, or a door that somebody may pass could be passed
 * by nobody at any time: a name that is spelt wrongly shuts a school.
 */
export function standIn(
  policy: Policy,
  own: CompiledPolicy,
  candidate: StandIn,
  { box, doors }: StandIns,
): CompiledPolicy {
  const compiled = compilePolicy({ ...policy, ...parseSettings(candidate.text) }, own.version);
  const before = new Set(passable(own, box, doors));
  const after = new Set(passable(compiled, box, doors));
  const lost = [...before].filter((door) => !after.has(door));
  if (lost.length > 0) {
    throw new PolicyError(`nobody could pass ${lost.join(", ")} any more, at any time`);
  }
  return compiled;
}

function parseSettings(text: string): PolicySettings {
  try {
    return v.parse(PolicySettingsSchema, JSON.parse(text));
  } catch (cause) {
    throw new PolicyError(`settings cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** The doors that a cardholder may pass at some time. */
function passable(compiled: CompiledPolicy, box: string, doors: readonly string[]): string[] {
  const open = (schedule: number) =>
    compiled.schedules
      .subarray(schedule * SCHEDULE_WORDS, (schedule + 1) * SCHEDULE_WORDS)
      .some((word) => word !== 0);
  const { schedulesOf } = bindPolicy(compiled, box, doors);
  return doors.filter((_, index) => schedulesOf[index]!.some((those) => those.some(open)));
}
