import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { PolicyDocument } from "../contract.ts";
import { transaction } from "./database.ts";

/** Boxes fetch the newest; the one before may still be on its way down a slow line. */
const POLICIES_KEPT = 2;

/** Compiled policies in SQLite. */
export class PolicyTable {
  readonly #db: DatabaseSync;
  readonly #version: StatementSync;
  readonly #newest: StatementSync;
  readonly #put: StatementSync;
  readonly #forget: StatementSync;

  /** Prepares its statements. */
  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#version = db.prepare("SELECT max(version) AS version FROM policies");
    this.#newest = db.prepare(
      "SELECT version, document FROM policies ORDER BY version DESC LIMIT 1",
    );
    this.#put = db.prepare("INSERT OR REPLACE INTO policies VALUES (?, ?)");
    this.#forget = db.prepare("DELETE FROM policies WHERE version <= ?");
  }

  version(): number {
    return Number(this.#version.get()!.version ?? 0);
  }

  newest(): PolicyDocument | undefined {
    const row = this.#newest.get();
    return row === undefined
      ? undefined
      : { version: Number(row.version), document: row.document as Uint8Array };
  }

  put(policy: PolicyDocument): void {
    transaction(this.#db, () => {
      this.#put.run(policy.version, policy.document);
      this.#forget.run(policy.version - POLICIES_KEPT);
    });
  }
}
