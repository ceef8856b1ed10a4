/**
 * A rollout as a state machine: pure. It says who may be offered an update and when it stops by
 * itself; the store keeps it, the boxes' side asks it, the console moves it.
 *
 * Groups go one after the other: canaries first, then shares of what is left. The next begins when
 * enough of the one before have installed it; everything stops when too many have failed. Stopping
 * takes nothing back: boxes that are on trial finish by themselves, nobody else is offered anything.
 * One that stands stays open after its last group: boxes that join its labels later get it too.
 *
 * @module
 */

import type { RolloutAuditWord } from "../api/types.ts";
import type { RolloutWindow } from "./window.ts";

/** One group of boxes. Percentages are of the group's boxes. */
export interface GroupPlan {
  readonly name: string;
  /** Boxes in it, from 1. */
  readonly boxes: number;
  /** The next group begins when this share has installed it. 1 to 100. */
  readonly successPercent: number;
  /** The rollout pauses when this share has failed. 1 to 100. */
  readonly errorPercent: number;
}

/** What a group's boxes have told. Boxes that told nothing are neither. */
export interface GroupCount {
  readonly installed: number;
  readonly failed: number;
}

/** Why a rollout does not go on. */
export type PauseReason = "operator" | "errors";

/** Where a rollout stands. */
export type RolloutStatus =
  | { readonly at: "draft" }
  | { readonly at: "awaiting-approval"; readonly submittedBy: string }
  | { readonly at: "running"; readonly group: number }
  | { readonly at: "paused"; readonly group: number; readonly reason: PauseReason }
  /** All groups have told; boxes that join are offered it. */
  | { readonly at: "standing" }
  | { readonly at: "finished" }
  | { readonly at: "aborted" };

/** For whom a rollout stays open. */
export interface Standing {
  /** All of these. */
  readonly labels: Readonly<Record<string, string>>;
  /** The group of those that joined, from the first on. */
  readonly group?: number;
}

/** A rollout, as far as it decides. */
export interface Rollout {
  readonly status: RolloutStatus;
  readonly createdBy: string;
  readonly groups: readonly GroupPlan[];
  readonly counts: readonly GroupCount[];
  /** Failures of the present group that an operator has looked at and gone on in spite of. */
  readonly forgiven: number;
  /** When devices may switch; without it at any time. */
  readonly window?: RolloutWindow;
  /** Without it, it is over when its last group is. */
  readonly standing?: Standing;
  /** A target that tells nothing for so long counts as failed; without it, it is waited for. */
  readonly silentAfterHours?: number;
  /** The rollout that this one takes back. */
  readonly takesBack?: number;
}

/** What happens to a rollout. `by` is an operator's name. */
export type RolloutEvent =
  | { readonly kind: "submit"; readonly by: string }
  | { readonly kind: "approve"; readonly by: string }
  | { readonly kind: "reject"; readonly by: string }
  | { readonly kind: "pause"; readonly by: string }
  | { readonly kind: "resume"; readonly by: string }
  | { readonly kind: "abort"; readonly by: string }
  /** A box that stood in no group is offered it. */
  | { readonly kind: "join" }
  /** A box of `group` has told how its update ended; each box once. */
  | { readonly kind: "outcome"; readonly group: number; readonly installed: boolean }
  /** A box of `group` that counted as failed, for it told nothing, has installed it after all. */
  | { readonly kind: "late"; readonly group: number };

/** A line of the audit. */
export interface AuditLine {
  readonly what: RolloutAuditWord;
  /** `undefined`: the rollout by itself. */
  readonly by: string | undefined;
}

/** What became of an event. */
export type RolloutTransition =
  | { readonly ok: true; readonly rollout: Rollout; readonly audit: readonly AuditLine[] }
  /** Why it cannot be, for the operator. */
  | { readonly ok: false; readonly why: string };

/** A rollout has a handful of stages; more is a mistake. */
export const GROUPS_MAX = 20;

/** What an operator's event is: the others happen by themselves. */
export type OperatorEvent = Exclude<RolloutEvent, { kind: "outcome" | "late" | "join" }>;

/** The group of boxes that joined a rollout that stands. */
const JOINED = "joined later";

/** A new rollout. @throws RangeError naming what is wrong with `groups`. */
export function newRollout(
  createdBy: string,
  groups: readonly GroupPlan[],
  { window, standing, silentAfterHours }: Pick<
    Rollout,
    "window" | "standing" | "silentAfterHours"
  > = {},
): Rollout {
  if (groups.length === 0 || groups.length > GROUPS_MAX) {
    throw new RangeError(`a rollout has 1 to ${GROUPS_MAX} groups, not ${groups.length}`);
  }
  for (const { name, boxes, successPercent, errorPercent } of groups) {
    if (!Number.isInteger(boxes) || boxes < 1) throw new RangeError(`group ${name} has no box`);
    for (const percent of [successPercent, errorPercent]) {
      if (!(percent >= 1 && percent <= 100)) {
        throw new RangeError(`group ${name}: a threshold is 1 to 100 percent, not ${percent}`);
      }
    }
  }
  return {
    status: { at: "draft" },
    ...window === undefined ? {} : { window },
    ...standing === undefined ? {} : { standing },
    ...silentAfterHours === undefined ? {} : { silentAfterHours },
    createdBy,
    groups,
    counts: groups.map(() => ({ installed: 0, failed: 0 })),
    forgiven: 0,
  };
}

/**
 * A rollout that takes rollout `id` back, begun: what it brings was approved once, and ran.
 *
 * @throws RangeError as {@link newRollout}
 */
export function takingBack(id: number, by: string, group: GroupPlan): Rollout {
  return { ...newRollout(by, [group]), status: { at: "running", group: 0 }, takesBack: id };
}

/** The last group whose boxes may be offered the update now; -1 when nobody's may. */
export function offeredUpTo({ status, groups }: Rollout): number {
  if (status.at === "standing") return groups.length - 1;
  return status.at === "running" ? status.group : -1;
}

/** Applies `event`. */
export function stepRollout(rollout: Rollout, event: RolloutEvent): RolloutTransition {
  const { status } = rollout;
  const refuse = (why: string): RolloutTransition => ({ ok: false, why });
  const move = (
    to: RolloutStatus,
    kind: "submitted" | "rejected" | "paused" | "aborted",
    by: string,
  ): RolloutTransition => ({
    ok: true,
    rollout: { ...rollout, status: to },
    audit: [{ what: { kind }, by }],
  });
  switch (event.kind) {
    case "submit":
      return status.at === "draft"
        ? move({ at: "awaiting-approval", submittedBy: event.by }, "submitted", event.by)
        : refuse("it was submitted before");
    case "approve":
      if (status.at !== "awaiting-approval") return refuse("nothing waits for approval");
      if (event.by === status.submittedBy || event.by === rollout.createdBy) {
        return refuse("whoever made or submitted it cannot approve it; ask another operator");
      }
      return settle(
        { ...rollout, status: { at: "running", group: 0 } },
        [{ what: { kind: "approved", group: rollout.groups[0]!.name }, by: event.by }],
      );
    case "reject":
      return status.at === "awaiting-approval"
        ? move({ at: "draft" }, "rejected", event.by)
        : refuse("nothing waits for approval");
    case "pause": {
      if (status.at !== "running" && status.at !== "standing") return refuse("it does not run");
      const group = status.at === "running" ? status.group : rollout.groups.length - 1;
      return move({ at: "paused", group, reason: "operator" }, "paused", event.by);
    }
    case "resume": {
      if (status.at !== "paused") return refuse("it is not paused");
      if (status.reason === "errors" && event.by === rollout.createdBy) {
        return refuse(
          "it stopped by itself; whoever made it cannot let it go on, ask another operator",
        );
      }
      // Whoever goes on after failures has looked at them: the same ones do not stop it again.
      const forgiven = status.reason === "errors"
        ? rollout.counts[status.group]!.failed
        : rollout.forgiven;
      const to: RolloutStatus = status.group === rollout.standing?.group
        ? { at: "standing" }
        : { at: "running", group: status.group };
      const audit = [{ what: { kind: "resumed" }, by: event.by }] as const;
      return settle({ ...rollout, status: to, forgiven }, audit);
    }
    case "abort":
      return status.at === "finished" || status.at === "aborted"
        ? refuse("it is over")
        : move({ at: "aborted" }, "aborted", event.by);
    case "join":
      return status.at === "standing"
        ? { ok: true, rollout: joined(rollout), audit: [] }
        : refuse("it does not stand");
    case "outcome":
      return outcome(rollout, event);
    case "late": {
      const { installed, failed } = rollout.counts[event.group]!;
      const counted = { installed: installed + 1, failed: failed - 1 };
      return settle({ ...rollout, counts: rollout.counts.with(event.group, counted) }, []);
    }
    default:
      return event satisfies never;
  }
}

function joined(rollout: Rollout): Rollout {
  const { groups, counts, standing } = rollout;
  const group = standing?.group;
  if (group !== undefined) {
    const plan = groups[group]!;
    return { ...rollout, groups: groups.with(group, { ...plan, boxes: plan.boxes + 1 }) };
  }
  return {
    ...rollout,
    groups: [...groups, { ...groups.at(-1)!, name: JOINED, boxes: 1 }],
    counts: [...counts, { installed: 0, failed: 0 }],
    standing: { labels: {}, ...standing, group: groups.length },
  };
}

function outcome(
  rollout: Rollout,
  { group, installed }: Extract<RolloutEvent, { kind: "outcome" }>,
): RolloutTransition {
  const count = rollout.counts[group];
  const plan = rollout.groups[group];
  if (count === undefined || plan === undefined) return { ok: false, why: `no group ${group}` };
  if (count.installed + count.failed >= plan.boxes) {
    return { ok: false, why: `every box of ${plan.name} has told already` };
  }
  const counted = {
    installed: count.installed + (installed ? 1 : 0),
    failed: count.failed + (installed ? 0 : 1),
  };
  const counts = rollout.counts.with(group, counted);
  return settle({ ...rollout, counts }, []);
}

/** Goes on to the next group, or stops, as the counts have it. */
function settle(rollout: Rollout, before: readonly AuditLine[]): RolloutTransition {
  const audit = [...before];
  let { status, forgiven } = rollout;
  for (;;) {
    const group: number | undefined = status.at === "running"
      ? status.group
      : status.at === "standing"
      ? rollout.standing?.group
      : undefined;
    if (group === undefined) break;
    const plan = rollout.groups[group]!;
    const { installed, failed } = rollout.counts[group]!;
    const share = (count: number) => count * 100 / plan.boxes;
    if (failed > forgiven && share(failed - forgiven) >= plan.errorPercent) {
      status = { at: "paused", group, reason: "errors" };
      audit.push({
        what: { kind: "stopped", group: plan.name, failed, boxes: plan.boxes },
        by: undefined,
      });
      break;
    }
    // All have told, though not enough of them well: nothing more will come.
    const allTold = installed + failed >= plan.boxes;
    if (status.at === "standing" || share(installed) < plan.successPercent && !allTold) break;
    if (group + 1 === rollout.groups.length) {
      if (!allTold) break;
      forgiven = 0;
      const stays = rollout.standing !== undefined;
      status = { at: stays ? "standing" : "finished" };
      audit.push({ what: { kind: stays ? "stays-open" : "finished" }, by: undefined });
      break;
    }
    forgiven = 0;
    status = { at: "running", group: group + 1 };
    audit.push({
      what: { kind: "begins", group: rollout.groups[group + 1]!.name },
      by: undefined,
    });
  }
  return { ok: true, rollout: { ...rollout, status, forgiven }, audit };
}
