import type { DatabaseSync } from "node:sqlite";
import { transaction } from "./database.ts";

/**
 * The version and the end of what a box is told of an action: the same again while it is young, else the
 * next. A version only grows.
 */
export function assignmentOf(
  db: DatabaseSync,
  of: { readonly controllerId: string; readonly actionId: number },
  nowMs: number,
  lifeMs: number,
): { readonly version: number; readonly expiresMs: number } {
  return transaction(db, () => {
    const row = db.prepare("SELECT * FROM assignments WHERE controller = ?").get(of.controllerId);
    const leftMs = Number(row?.expires_ms ?? 0) - nowMs;
    // One that ends later than any of now is of a clock that ran ahead.
    if (row?.action === of.actionId && leftMs > lifeMs / 2 && leftMs <= lifeMs) {
      return { version: Number(row.version), expiresMs: Number(row.expires_ms) };
    }
    const version = Number(row?.version ?? 0) + 1;
    const expiresMs = nowMs + lifeMs;
    db.prepare("INSERT OR REPLACE INTO assignments VALUES (?, ?, ?, ?)")
      .run(of.controllerId, of.actionId, version, expiresMs);
    return { version, expiresMs };
  });
}
