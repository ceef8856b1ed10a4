import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { RolloutRow } from "../rollout_contract.ts";
import { rolloutRow } from "./rollout_rows.ts";

/**
 * Rollouts that stand and have something for a box: it does nothing of that kind now, and was never offered
 * that release or a newer one, so that none is tried again and none goes back. Newest release first.
 */
const JOINABLE = `
  SELECT r.* FROM rollouts r JOIN releases k ON k.path = r.release
  WHERE json_extract(r.rollout, '$.status.at') = 'standing' AND NOT EXISTS (
    SELECT 1 FROM targets t
      JOIN rollouts o ON o.id = t.rollout JOIN releases l ON l.path = o.release
    WHERE t.controller = :controller AND l.kind = k.kind AND (
      l.added_ms >= k.added_ms OR t.state IN ('waiting', 'offered', 'running', 'going-on')
    )
  )
  ORDER BY k.added_ms DESC, r.id DESC`;

/** Rollouts of the same kind that stand, but this one. */
const BESIDE = `
  SELECT r.* FROM rollouts r JOIN releases l ON l.path = r.release
  WHERE json_extract(r.rollout, '$.status.at') = 'standing' AND r.id <> :id
    AND l.kind = (SELECT k.kind FROM releases k WHERE k.path = :release)`;

/** What is asked about rollouts that stand. */
export class StandingRollouts {
  readonly #joinable: StatementSync;
  readonly #beside: StatementSync;
  readonly #labels: StatementSync;

  /** Prepares its questions. */
  constructor(db: DatabaseSync) {
    this.#joinable = db.prepare(JOINABLE);
    this.#beside = db.prepare(BESIDE);
    this.#labels = db.prepare("SELECT labels FROM controllers WHERE id = ?");
  }

  /** The one that a box joins now. */
  readonly joinable = (controller: string): RolloutRow | undefined => {
    const rows = this.#joinable.all({ controller }).map(rolloutRow);
    if (rows.length === 0) return undefined;
    const row = this.#labels.get(controller);
    if (row === undefined) return undefined;
    const labels: Record<string, string> = JSON.parse(row.labels as string);
    return rows.find(({ rollout }) =>
      Object.entries(rollout.standing?.labels ?? {}).every(([key, value]) =>
        Object.hasOwn(labels, key) && labels[key] === value
      )
    );
  };

  /** Those whose place this one takes: of the same kind, for the very same labels. */
  superseded({ id, releasePath, rollout }: RolloutRow): readonly RolloutRow[] {
    const wanted = labelText(rollout.standing?.labels);
    return this.#beside.all({ id, release: releasePath }).map(rolloutRow)
      .filter((one) => labelText(one.rollout.standing?.labels) === wanted);
  }
}

function labelText(labels: Readonly<Record<string, string>> = {}): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => a < b ? -1 : 1));
}
