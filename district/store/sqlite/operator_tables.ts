import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { AuditRow, SessionRow } from "../contract.ts";
import { transaction } from "./database.ts";

/** Operators, sessions and the audit log in SQLite. */
export class OperatorTables {
  readonly #db: DatabaseSync;
  readonly #sql: Record<
    | "set"
    | "endAll"
    | "hash"
    | "count"
    | "addSession"
    | "sweep"
    | "session"
    | "extend"
    | "end"
    | "audit"
    | "log",
    StatementSync
  >;

  /** Prepares its statements. */
  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#sql = {
      set: db.prepare(
        `INSERT INTO operators VALUES (?, ?)
         ON CONFLICT (username) DO UPDATE SET password_hash = excluded.password_hash`,
      ),
      endAll: db.prepare("DELETE FROM sessions WHERE username = ?"),
      hash: db.prepare("SELECT password_hash FROM operators WHERE username = ?"),
      count: db.prepare("SELECT count(*) AS n FROM operators"),
      addSession: db.prepare("INSERT INTO sessions VALUES (?, ?, ?)"),
      sweep: db.prepare("DELETE FROM sessions WHERE expires_ms <= ?"),
      session: db.prepare("SELECT * FROM sessions WHERE token_hash = ? AND expires_ms > ?"),
      extend: db.prepare("UPDATE sessions SET expires_ms = ? WHERE token_hash = ?"),
      end: db.prepare("DELETE FROM sessions WHERE token_hash = ?"),
      audit: db.prepare("INSERT INTO audit (at_ms, operator, action, detail) VALUES (?, ?, ?, ?)"),
      log: db.prepare(
        "SELECT at_ms, operator, action, detail FROM audit ORDER BY id DESC LIMIT ?",
      ),
    };
  }

  set(username: string, passwordHash: string): void {
    transaction(this.#db, () => {
      this.#sql.set.run(username, passwordHash);
      this.#sql.endAll.run(username);
    });
  }

  passwordHash(username: string): string | undefined {
    return this.#sql.hash.get(username)?.password_hash as string | undefined;
  }

  count(): number {
    return Number(this.#sql.count.get()!.n);
  }

  addSession(tokenHash: Uint8Array, session: SessionRow, nowMs: number): void {
    this.#sql.sweep.run(nowMs);
    this.#sql.addSession.run(tokenHash, session.username, session.expiresMs);
  }

  session(tokenHash: Uint8Array, nowMs: number): SessionRow | undefined {
    const row = this.#sql.session.get(tokenHash, nowMs);
    return row === undefined
      ? undefined
      : { username: row.username as string, expiresMs: Number(row.expires_ms) };
  }

  extendSession(tokenHash: Uint8Array, expiresMs: number): void {
    this.#sql.extend.run(expiresMs, tokenHash);
  }

  endSession(tokenHash: Uint8Array): void {
    this.#sql.end.run(tokenHash);
  }

  audit(row: AuditRow): void {
    this.#sql.audit.run(row.atMs, row.operator, row.action, row.detail);
  }

  auditLog(limit: number): AuditRow[] {
    return this.#sql.log.all(limit).map((row) => ({
      atMs: Number(row.at_ms),
      operator: row.operator as string,
      action: row.action as string,
      detail: row.detail as string,
    }));
  }
}
