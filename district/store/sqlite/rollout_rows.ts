import type { Rollout } from "../../rollouts/machine.ts";
import type {
  ControllerRow,
  ReleaseRow,
  RolloutAuditRow,
  RolloutRow,
  TargetRow,
  TargetState,
} from "../rollout_contract.ts";

/** Whether a target has something to do, or may have. */
export function isOpen(state: TargetState): boolean {
  switch (state) {
    case "waiting":
    case "offered":
    case "running":
    case "going-on":
      return true;
    case "installed":
    case "failed":
    case "cancelled":
      return false;
    default:
      return state satisfies never;
  }
}

/** A line of `releases`. */
export function releaseRow(row: Record<string, unknown>): ReleaseRow {
  return {
    path: row.path as string,
    kind: row.kind as string,
    version: row.version as string,
    bytes: Number(row.bytes),
    sha256: row.sha256 as string,
    sha1: row.sha1 as string,
    addedMs: Number(row.added_ms),
  };
}

/** A line of `controllers`. */
export function controllerRow(row: Record<string, unknown>): ControllerRow {
  return {
    id: row.id as string,
    tokenHash: new Uint8Array(row.token_hash as Uint8Array),
    addedMs: Number(row.added_ms),
    labels: JSON.parse(row.labels as string),
    attributes: JSON.parse(row.attributes as string),
  };
}

/** A line of `rollouts`. */
export function rolloutRow(row: Record<string, unknown>): RolloutRow {
  return {
    id: Number(row.id),
    name: row.name as string,
    releasePath: row.release as string,
    createdMs: Number(row.created_ms),
    rollout: JSON.parse(row.rollout as string) as Rollout,
  };
}

/** A line of `rollout_audit`; before it had a shape it was text. */
export function auditRow(row: Record<string, unknown>): RolloutAuditRow {
  const text = row.what as string;
  return {
    atMs: Number(row.at_ms),
    operator: row.operator as string,
    what: text.startsWith("{") ? JSON.parse(text) : { kind: "note", text },
  };
}

/** A line of `targets`. */
export function targetRow(row: Record<string, unknown>): TargetRow {
  return {
    actionId: Number(row.id),
    rolloutId: Number(row.rollout),
    controllerId: row.controller as string,
    group: Number(row.grp),
    state: row.state as TargetState,
    reason: row.reason as string,
    changedMs: Number(row.changed_ms),
  };
}
