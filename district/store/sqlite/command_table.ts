import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { BoxCommand, CommandOutcome } from "../../../sync/wire/mod.ts";
import type { CommandRow } from "../contract.ts";

/** Commands in SQLite. */
export class CommandTable {
  readonly #add: StatementSync;
  readonly #get: StatementSync;
  readonly #pending: StatementSync;
  readonly #finish: StatementSync;

  /** Prepares its statements. */
  constructor(db: DatabaseSync) {
    this.#add = db.prepare(
      `INSERT INTO commands (id, box, command, operator, issued_ms, expires_ms)
       VALUES (?, ?, ?, ?, ?, ?)`,
    );
    this.#get = db.prepare("SELECT * FROM commands WHERE id = ?");
    this.#pending = db.prepare(
      "SELECT * FROM commands WHERE box = ? AND outcome IS NULL AND expires_ms > ? ORDER BY n",
    );
    this.#finish = db.prepare(
      `UPDATE commands SET outcome = ?, detail = ? WHERE id = ? AND box = ? AND outcome IS NULL
       RETURNING *`,
    );
  }

  add(command: CommandRow): void {
    const { id, boxId, operator, issuedMs, expiresMs } = command;
    this.#add.run(id, boxId, JSON.stringify(command.command), operator, issuedMs, expiresMs);
  }

  get(id: string): CommandRow | undefined {
    const row = this.#get.get(id);
    return row === undefined ? undefined : commandRow(row);
  }

  pending(boxId: string, nowMs: number): CommandRow[] {
    return this.#pending.all(boxId, nowMs).map(commandRow);
  }

  /** Notes the first result of a command of this very box. */
  finish(
    id: string,
    boxId: string,
    outcome: CommandOutcome,
    detail: string | undefined,
  ): CommandRow | undefined {
    const row = this.#finish.get(outcome, detail ?? null, id, boxId);
    return row === undefined ? undefined : commandRow(row);
  }
}

function commandRow(row: Record<string, unknown>): CommandRow {
  return {
    id: row.id as string,
    boxId: row.box as string,
    command: JSON.parse(row.command as string) as BoxCommand,
    operator: row.operator as string,
    issuedMs: Number(row.issued_ms),
    expiresMs: Number(row.expires_ms),
    outcome: (row.outcome ?? undefined) as CommandOutcome | undefined,
    detail: (row.detail ?? undefined) as string | undefined,
  };
}
