// deno-lint-ignore-file require-await -- a throw of SQLite has to become a rejection
import type { DatabaseSync } from "node:sqlite";
import {
  newRollout,
  offeredUpTo,
  type OperatorEvent,
  type Rollout,
  stepRollout,
  takingBack,
} from "../../rollouts/machine.ts";
import type {
  Offer,
  ReportOutcome,
  RollBackOutcome,
  RolloutAuditRow,
  RolloutRow,
  RolloutStore,
  StepOutcome,
  TargetReport,
  TargetRow,
  TargetState,
} from "../rollout_contract.ts";
import { assignmentOf } from "./assignments.ts";
import { ControllerTables } from "./controller_tables.ts";
import type { RolloutAuditWord } from "../../api/types.ts";
import { transaction } from "./database.ts";
import { reachedBy } from "./reached.ts";
import { StandingRollouts } from "./standing.ts";
import { auditRow, isOpen, releaseRow, rolloutRow, targetRow } from "./rollout_rows.ts";

type Draft = Parameters<RolloutStore["addRollout"]>[0];
type TargetQuery = Parameters<RolloutStore["targets"]>[0];

/** A rollout has a line for each group and each step of an operator. */
const AUDIT_MAX = 1_000;
const ADD_TARGET = `
  INSERT INTO targets (rollout, controller, grp, state, reason, changed_ms)
  VALUES (?, ?, ?, 'waiting', '', ?)`;
/** How the reason begins of a target that was given up and may only be late. */
const SILENT = "silent: ";
const OPEN = "('waiting', 'offered', 'running', 'going-on')";

/** Rollouts in SQLite, with what they are of and for. */
export class RolloutTables extends ControllerTables implements RolloutStore {
  readonly #db: DatabaseSync;
  readonly #standing: StandingRollouts;

  /** Prepares most statements when they are first used. */
  constructor(db: DatabaseSync) {
    super(db);
    this.#db = db;
    this.#standing = new StandingRollouts(db);
  }

  async withdrawController(id: string, nowMs: number): Promise<boolean> {
    return transaction(this.#db, () => {
      const { changes } = this.sql(
        `UPDATE controllers SET token_hash = zeroblob(0) WHERE id = ? AND length(token_hash) > 0`,
      ).run(id);
      if (Number(changes) === 0) return false;
      for (const target of this.#openOf(id)) {
        this.#giveUp(target, "the device was withdrawn", nowMs);
      }
      return true;
    });
  }

  async giveUpSilent(nowMs: number): Promise<number> {
    return transaction(this.#db, () => {
      const silent = this.sql(
        `SELECT t.*, json_extract(r.rollout, '$.silentAfterHours') AS hours
         FROM targets t JOIN rollouts r ON r.id = t.rollout
         WHERE t.state IN ('offered', 'running', 'going-on') AND t.changed_ms < ? - hours * 3600000`,
      ).all(nowMs);
      for (const row of silent) {
        this.#giveUp(targetRow(row), `${SILENT}nothing was heard of it for ${row.hours} h`, nowMs);
      }
      return silent.length;
    });
  }

  /** Nothing more is expected of a target. */
  #giveUp(target: TargetRow, why: string, nowMs: number): void {
    const row = this.#rollout(target.rolloutId)!;
    if (row.rollout.status.at === "aborted") this.#set(target, "cancelled", "", nowMs);
    else this.#finish(target, row, false, why, nowMs);
  }

  async addRollout(draft: Draft, nowMs: number): Promise<number> {
    const rollout = newRollout(
      draft.createdBy,
      draft.groups.map(({ plan }) => plan),
      draft,
    );
    return transaction(this.#db, () => {
      const id = this.#insert(draft, rollout, nowMs);
      this.#audit(id, nowMs, draft.createdBy, { kind: "made" });
      return id;
    });
  }

  async rollBack(
    id: number,
    by: string,
    published: ReadonlySet<string>,
    nowMs: number,
  ): Promise<RollBackOutcome | undefined> {
    return transaction(this.#db, () => {
      const row = this.#rollout(id);
      if (row === undefined) return undefined;
      const { status } = row.rollout;
      if (status.at === "draft" || status.at === "awaiting-approval") {
        return { ok: false, why: "nobody was offered it yet; abort it" };
      }
      const left: string[] = [];
      const rollouts: RolloutRow[] = [];
      for (const [release, boxes] of reachedBy(this.#db, row)) {
        if (release === undefined || !published.has(release)) left.push(...boxes);
        else rollouts.push(this.#takeBack(row, release, boxes, by, nowMs));
      }
      if (rollouts.length === 0) {
        const why = left.length === 0
          ? "no box has it that does not go back already"
          : `of none of ${left.length} boxes an earlier release is known and still published`;
        return { ok: false, why: `${why}; roll the wanted release out` };
      }
      if (status.at !== "finished" && status.at !== "aborted") {
        this.#abort(id, { ...row.rollout, status: { at: "aborted" } }, nowMs);
      }
      this.#audit(id, nowMs, by, { kind: "rolled-back", by: rollouts.map((back) => back.id) });
      return { ok: true, rollouts, left };
    });
  }

  /** Adds what brings `boxes` back to `release`; the caller's transaction makes it one with the rest. */
  #takeBack(
    { id, name, rollout }: RolloutRow,
    release: string,
    boxes: readonly string[],
    by: string,
    nowMs: number,
  ): RolloutRow {
    const { errorPercent } = rollout.groups.at(-1)!;
    const plan = { name: "all", boxes: boxes.length, successPercent: 100, errorPercent };
    const groups = [{ plan, controllerIds: boxes }];
    const draft = { name: `back from ${name}`, releasePath: release, createdBy: by, groups };
    const back = this.#insert(draft, takingBack(id, by, plan), nowMs);
    this.#audit(back, nowMs, by, { kind: "takes-back", rollout: id });
    return this.#rollout(back)!;
  }

  #insert(
    { name, releasePath, groups }: Draft,
    rollout: Rollout,
    nowMs: number,
  ): number {
    const { lastInsertRowid } = this.sql(
      "INSERT INTO rollouts (name, release, created_ms, rollout) VALUES (?, ?, ?, ?)",
    ).run(name, releasePath, nowMs, JSON.stringify(rollout));
    const id = Number(lastInsertRowid);
    const add = this.sql(ADD_TARGET);
    for (const [group, { plan, controllerIds }] of groups.entries()) {
      if (controllerIds.length !== plan.boxes) {
        throw new RangeError(`group ${plan.name} has ${controllerIds.length} targets`);
      }
      for (const controllerId of controllerIds) add.run(id, controllerId, group, nowMs);
    }
    return id;
  }

  /** Nobody else is offered it; whoever was is asked to give it up. */
  #abort(id: number, rollout: Rollout, nowMs: number): void {
    this.#save(id, rollout);
    this.sql(
      `UPDATE targets SET state = 'cancelled', changed_ms = ?
       WHERE rollout = ? AND state = 'waiting'`,
    ).run(nowMs, id);
  }

  async rollouts(limit: number): Promise<readonly RolloutRow[]> {
    return this.sql("SELECT * FROM rollouts ORDER BY id DESC LIMIT ?").all(limit).map(rolloutRow);
  }

  async rollout(id: number): Promise<RolloutRow | undefined> {
    return this.#rollout(id);
  }

  async stepRollout(
    id: number,
    event: OperatorEvent,
    nowMs: number,
  ): Promise<StepOutcome | undefined> {
    return transaction(this.#db, () => {
      const row = this.#rollout(id);
      if (row === undefined) return undefined;
      const step = stepRollout(row.rollout, event);
      if (!step.ok) return step;
      if (event.kind === "abort") this.#abort(id, step.rollout, nowMs);
      else this.#moved(row, step.rollout, nowMs);
      for (const { what, by } of step.audit) this.#audit(id, nowMs, by ?? "", what);
      return { ok: true, row: { ...row, rollout: step.rollout }, audit: step.audit };
    });
  }

  async targets(query: TargetQuery): Promise<readonly TargetRow[]> {
    const { rolloutId, afterActionId, state, limit } = query;
    return this.sql(
      `SELECT * FROM targets WHERE rollout = ? AND id > ? AND (? IS NULL OR state = ?)
       ORDER BY id LIMIT ?`,
    ).all(rolloutId, afterActionId, state ?? null, state ?? null, limit).map(targetRow);
  }

  async rolloutAudit(id: number): Promise<readonly RolloutAuditRow[]> {
    return this.sql("SELECT * FROM rollout_audit WHERE rollout = ? ORDER BY id LIMIT ?")
      .all(id, AUDIT_MAX).map(auditRow);
  }

  async offer(controllerId: string, nowMs: number): Promise<Offer | undefined> {
    // Looked at outside a transaction: most polls find nothing and write nothing.
    const { joinable } = this.#standing;
    if ((this.#nextFor(controllerId) ?? joinable(controllerId)) === undefined) return undefined;
    return transaction(this.#db, () => {
      const next = this.#nextFor(controllerId) ?? this.#join(controllerId, nowMs);
      if (next === undefined) return undefined;
      if (next.target.state === "waiting") this.#set(next.target, "offered", "", nowMs);
      return this.#offerOf(next.target, next.row);
    });
  }

  async openAction(controllerId: string, actionId: number): Promise<Offer | undefined> {
    const target = this.#target(controllerId, actionId);
    if (target === undefined || !isOpen(target.state)) return undefined;
    return this.#offerOf(target, this.#rollout(target.rolloutId)!);
  }

  async assignment(controllerId: string, actionId: number, nowMs: number, lifeMs: number) {
    return assignmentOf(this.#db, { controllerId, actionId }, nowMs, lifeMs);
  }

  async report(
    controllerId: string,
    actionId: number,
    report: TargetReport,
    nowMs: number,
  ): Promise<ReportOutcome> {
    return transaction(this.#db, () => {
      const target = this.#target(controllerId, actionId);
      if (target === undefined || target.state === "waiting") return "unknown";
      const row = this.#rollout(target.rolloutId)!;
      // It was only late.
      if (target.reason.startsWith(SILENT) && report.kind === "installed") {
        return this.#finish(target, row, true, "", nowMs, true);
      }
      if (!isOpen(target.state)) return target.state === report.kind ? "same" : "closed";
      switch (report.kind) {
        case "progress":
          if (target.state === "offered") this.#set(target, "running", "", nowMs);
          return "noted";
        case "cancel-refused":
          if (row.rollout.status.at !== "aborted") return "unknown";
          if (target.state !== "going-on") this.#set(target, "going-on", "", nowMs);
          return "noted";
        case "cancelled":
          // What nobody called off is not cancelled: it did not come about.
          if (row.rollout.status.at !== "aborted") {
            return this.#finish(target, row, false, "given up by the target itself", nowMs);
          }
          this.#set(target, "cancelled", "", nowMs);
          return "noted";
        case "installed":
          return this.#finish(target, row, true, "", nowMs);
        case "failed":
          return this.#finish(target, row, false, report.reason, nowMs);
        default:
          return report satisfies never;
      }
    });
  }

  /** Notes an outcome and counts it; the caller's transaction makes it one. */
  #finish(
    target: TargetRow,
    row: RolloutRow,
    installed: boolean,
    reason: string,
    nowMs: number,
    late = false,
  ): ReportOutcome {
    this.#set(target, installed ? "installed" : "failed", reason, nowMs);
    const { group } = target;
    const step = stepRollout(
      row.rollout,
      late ? { kind: "late", group } : { kind: "outcome", group, installed },
    );
    if (!step.ok) throw new Error(`rollout ${row.id} cannot count an outcome: ${step.why}`);
    this.#moved(row, step.rollout, nowMs);
    for (const { what, by } of step.audit) this.#audit(row.id, nowMs, by ?? "", what);
    return "noted";
  }

  /** Saves what a rollout has become; one that begins to stand takes the place of the one before. */
  #moved(row: RolloutRow, rollout: Rollout, nowMs: number): void {
    this.#save(row.id, rollout);
    if (rollout.status.at !== "standing" || row.rollout.status.at === "standing") return;
    for (const before of this.#standing.superseded({ ...row, rollout })) {
      this.#save(before.id, { ...before.rollout, status: { at: "finished" } });
      this.#audit(before.id, nowMs, "", { kind: "superseded", rollout: row.id });
    }
  }

  /** Takes a box into a rollout that stands; the caller's transaction makes it one with the offer. */
  #join(controllerId: string, nowMs: number): { target: TargetRow; row: RolloutRow } | undefined {
    const row = this.#standing.joinable(controllerId);
    if (row === undefined) return undefined;
    const step = stepRollout(row.rollout, { kind: "join" });
    if (!step.ok) throw new Error(`rollout ${row.id} takes nobody in: ${step.why}`);
    this.#save(row.id, step.rollout);
    this.sql(ADD_TARGET).run(row.id, controllerId, step.rollout.standing!.group!, nowMs);
    return this.#nextFor(controllerId);
  }

  /** What has begun goes before what waits; older rollouts before newer ones. */
  #nextFor(controllerId: string): { target: TargetRow; row: RolloutRow } | undefined {
    for (const target of this.#openOf(controllerId)) {
      const row = this.#rollout(target.rolloutId)!;
      if (target.state !== "waiting" || target.group <= offeredUpTo(row.rollout)) {
        return { target, row };
      }
    }
    return undefined;
  }

  #openOf(controllerId: string): readonly TargetRow[] {
    return this.sql(
      `SELECT * FROM targets WHERE controller = ? AND state IN ${OPEN}
       ORDER BY state = 'waiting', id`,
    ).all(controllerId).map(targetRow);
  }

  #offerOf(target: TargetRow, row: RolloutRow): Offer {
    const release = this.sql("SELECT * FROM releases WHERE path = ?").get(row.releasePath)!;
    const isCalledOff = row.rollout.status.at === "aborted" && target.state !== "going-on";
    return {
      actionId: target.actionId,
      release: releaseRow(release),
      what: isCalledOff ? "cancel" : "install",
      ...row.rollout.window === undefined ? {} : { window: row.rollout.window },
    };
  }

  #target(controllerId: string, actionId: number): TargetRow | undefined {
    const row = this.sql("SELECT * FROM targets WHERE id = ? AND controller = ?")
      .get(actionId, controllerId);
    return row === undefined ? undefined : targetRow(row);
  }

  #rollout(id: number): RolloutRow | undefined {
    const row = this.sql("SELECT * FROM rollouts WHERE id = ?").get(id);
    return row === undefined ? undefined : rolloutRow(row);
  }

  #save(id: number, rollout: Rollout): void {
    this.sql("UPDATE rollouts SET rollout = ? WHERE id = ?").run(JSON.stringify(rollout), id);
  }

  #set(target: TargetRow, state: TargetState, reason: string, nowMs: number): void {
    this.sql("UPDATE targets SET state = ?, reason = ?, changed_ms = ? WHERE id = ?")
      .run(state, reason, nowMs, target.actionId);
  }

  #audit(id: number, atMs: number, operator: string, what: RolloutAuditWord): void {
    this.sql("INSERT INTO rollout_audit (rollout, at_ms, operator, what) VALUES (?, ?, ?, ?)")
      .run(id, atMs, operator, JSON.stringify(what));
  }
}
