/**
 * What the district keeps of updates: releases, who may ask for them, rollouts, and how each ended
 * at each target. A part of the store's port; `rollout_suite.ts` is what it must pass.
 *
 * As in `contract.ts` every method happens whole or not at all, and what has resolved survives a
 * power cut. That is what counts an outcome once: it is written together with the count.
 *
 * @module
 */
import type { RolloutAuditWord } from "../api/types.ts";
import type { RolloutWindow } from "../rollouts/window.ts";
import type {
  AuditLine,
  GroupPlan,
  OperatorEvent,
  Rollout,
  Standing,
} from "../rollouts/machine.ts";

/** A published file, as the district offers it. */
export interface ReleaseRow {
  /** Path among the TUF repository's targets, such as `app/1.2.3/gatehouse.tar.zst`. */
  readonly path: string;
  /** What takes its place is of the same kind: `app`, `os`, `firmware/0a0017-1`. */
  readonly kind: string;
  readonly version: string;
  readonly bytes: number;
  /** Hex; what TUF metadata says. */
  readonly sha256: string;
  /** Hex; for DDI clients that compare nothing else. Nobody's trust rests on it. */
  readonly sha1: string;
  readonly addedMs: number;
}

/** Whoever asks for updates over DDI: a "controller" in hawkBit's words. */
export interface ControllerRow {
  readonly id: string;
  /** SHA-256 of its target token; empty when it was withdrawn. */
  readonly tokenHash: Uint8Array;
  readonly addedMs: number;
  /** What operators gave it; rollouts choose by these, never by what it tells of itself. */
  readonly labels: Readonly<Record<string, string>>;
  /** What it tells of itself. */
  readonly attributes: Readonly<Record<string, string>>;
}

/**
 * Where one target of a rollout stands. `waiting` was offered nothing yet, `offered` may have begun,
 * `running` has said so, `going-on` would not be cancelled; the others are final.
 */
export type TargetState =
  | "waiting"
  | "offered"
  | "running"
  | "going-on"
  | "installed"
  | "failed"
  | "cancelled";

/** One target of a rollout. */
export interface TargetRow {
  /** Of this target in this rollout; DDI's action id. Grows. */
  readonly actionId: number;
  readonly rolloutId: number;
  readonly controllerId: string;
  /** Index into the rollout's groups. */
  readonly group: number;
  readonly state: TargetState;
  /** Why it failed, as it says. Empty otherwise. */
  readonly reason: string;
  readonly changedMs: number;
}

/** A rollout as it is kept. */
export interface RolloutRow {
  readonly id: number;
  readonly name: string;
  readonly releasePath: string;
  readonly createdMs: number;
  readonly rollout: Rollout;
}

/** A group with its targets. */
export interface GroupMembers {
  readonly plan: GroupPlan;
  readonly controllerIds: readonly string[];
}

/** A line of a rollout's audit. `operator` is empty for what the rollout did by itself. */
export interface RolloutAuditRow {
  readonly atMs: number;
  readonly operator: string;
  readonly what: RolloutAuditWord;
}

/** What became of an operator's step. */
export type StepOutcome =
  | { readonly ok: true; readonly row: RolloutRow; readonly audit: readonly AuditLine[] }
  | { readonly ok: false; readonly why: string };

/** What became of taking a rollout back. */
export type RollBackOutcome =
  | {
    readonly ok: true;
    /** One for each release that boxes had before; they run. */
    readonly rollouts: readonly RolloutRow[];
    /** Boxes of which no earlier release is known, or that is not published any more. */
    readonly left: readonly string[];
  }
  | { readonly ok: false; readonly why: string };

/** What a target has to do now. */
export interface Offer {
  readonly actionId: number;
  readonly release: ReleaseRow;
  /** `cancel` when its rollout was aborted after the target was offered it. */
  readonly what: "install" | "cancel";
  /** When it may switch to it; without it at any time. */
  readonly window?: RolloutWindow;
}

/** What a target tells of an action. */
export type TargetReport =
  | { readonly kind: "progress" }
  | { readonly kind: "installed" }
  | { readonly kind: "failed"; readonly reason: string }
  /** It gave the action up, as asked. */
  | { readonly kind: "cancelled" }
  /** It will not give the action up. */
  | { readonly kind: "cancel-refused" };

/**
 * What became of a report: `noted` now; `same` when it told that before; `closed` when it told
 * something else before; `unknown` when the action was never offered to this target.
 */
export type ReportOutcome = "noted" | "same" | "closed" | "unknown";

/** What a district keeps of updates. */
export interface RolloutStore {
  /** Adds a release, or leaves the one with its path as it is. */
  addRelease(release: ReleaseRow): Promise<void>;
  /** Newest first. */
  releases(): Promise<readonly ReleaseRow[]>;
  /** Adds a controller, or gives the one that is there this token and these labels. */
  putController(controller: Omit<ControllerRow, "attributes">): Promise<void>;
  /** One controller. */
  controller(id: string): Promise<ControllerRow | undefined>;
  /** All that were not withdrawn, by id. */
  controllers(): Promise<readonly ControllerRow[]>;
  /**
   * Ends a controller's token. What it has not told counts as a failure, so that no rollout waits for
   * it. False when there is no such controller, or it was withdrawn before.
   */
  withdrawController(id: string, nowMs: number): Promise<boolean>;
  /**
   * Counts targets as failed that have told nothing for longer than their rollout waits. One that tells
   * later that it has installed it counts as installed then. @returns how many.
   */
  giveUpSilent(nowMs: number): Promise<number>;
  /** Replaces what a controller tells of itself. */
  putAttributes(id: string, attributes: Readonly<Record<string, string>>): Promise<void>;
  /** Adds a draft; each controller stands in one group at most. @returns its id. */
  addRollout(
    draft: {
      readonly name: string;
      readonly releasePath: string;
      readonly createdBy: string;
      readonly groups: readonly GroupMembers[];
      readonly window?: RolloutWindow;
      readonly standing?: Standing;
      readonly silentAfterHours?: number;
    },
    nowMs: number,
  ): Promise<number>;
  /** Newest first. */
  rollouts(limit: number): Promise<readonly RolloutRow[]>;
  /** One rollout. */
  rollout(id: number): Promise<RolloutRow | undefined>;
  /** An operator's step, with its line in the audit. `undefined`: no such rollout. */
  stepRollout(
    id: number,
    event: OperatorEvent,
    nowMs: number,
  ): Promise<StepOutcome | undefined>;
  /**
   * Ends a rollout and offers each box that it reached what that box had installed before, of the same
   * kind: in rollouts of their own that run at once. Boxes that have something newer, that failed and so
   * are back already, or that a rollout takes back already are left alone. `published` are the paths that
   * can be had. `undefined`: no such rollout.
   */
  rollBack(
    id: number,
    by: string,
    published: ReadonlySet<string>,
    nowMs: number,
  ): Promise<RollBackOutcome | undefined>;
  /** A rollout's targets after `afterActionId`, in the order of their actions. */
  targets(
    query: {
      readonly rolloutId: number;
      readonly afterActionId: number;
      readonly state?: TargetState;
      readonly limit: number;
    },
  ): Promise<readonly TargetRow[]>;
  /** Oldest first. */
  rolloutAudit(id: number): Promise<readonly RolloutAuditRow[]>;
  /** What a controller has to do; what it is offered for the first time is noted before it is told. */
  offer(controllerId: string, nowMs: number): Promise<Offer | undefined>;
  /** The action of a controller that is open: offered and not over. */
  openAction(controllerId: string, actionId: number): Promise<Offer | undefined>;
  /**
   * Version and end of the assignment that tells `controllerId` of `actionId`: as it was told before
   * while half of `lifeMs` is left, else a new one. Versions of a controller only grow.
   */
  assignment(
    controllerId: string,
    actionId: number,
    nowMs: number,
    lifeMs: number,
  ): Promise<{ readonly version: number; readonly expiresMs: number }>;
  /** Takes a report; an outcome moves the rollout on in the same transaction. */
  report(
    controllerId: string,
    actionId: number,
    report: TargetReport,
    nowMs: number,
  ): Promise<ReportOutcome>;
}
