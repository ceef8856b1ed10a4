import type { RolloutAuditWord } from "../api/mod.ts";
import type { Messages } from "../i18n/mod.ts";

/** Why a box failed: the kind in the reader's language, the rest as the box has said it. */
export function reasonText(reason: string, { updates: { reasons } }: Messages): string {
  const [, kind = "", detail = ""] = /^([a-z-]+): (.*)$/s.exec(reason) ?? [];
  const known: Readonly<Record<string, string>> = reasons;
  return Object.hasOwn(known, kind) ? `${known[kind]}: ${detail}` : reason;
}

/** A line of a rollout's audit in the reader's language. */
export function auditText(what: RolloutAuditWord, { updates: { audited } }: Messages): string {
  switch (what.kind) {
    case "approved":
    case "begins":
      return audited[what.kind](what.group);
    case "stopped":
      return audited.stopped(what.failed, what.boxes, what.group);
    case "superseded":
    case "takes-back":
      return audited[what.kind](what.rollout);
    case "rolled-back":
      return audited["rolled-back"](what.by.join(", "));
    case "note":
      return what.text;
    default:
      return audited[what.kind];
  }
}
