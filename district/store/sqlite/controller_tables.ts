// deno-lint-ignore-file require-await -- a throw of SQLite has to become a rejection
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { ControllerRow, ReleaseRow } from "../rollout_contract.ts";
import { controllerRow, releaseRow } from "./rollout_rows.ts";
import { statementsOf } from "./statements.ts";

/** Whoever asks for releases has a handful; more is a mistake of a program. */
const RELEASES_MAX = 1_000;

/** Releases, and whoever asks for them, in SQLite. */
export class ControllerTables {
  /** The statement for a text, prepared when it is first used. */
  protected readonly sql: (text: string) => StatementSync;

  /** Prepares nothing yet. */
  constructor(db: DatabaseSync) {
    this.sql = statementsOf(db);
  }

  async addRelease(release: ReleaseRow): Promise<void> {
    const { path, kind, version, bytes, sha256, sha1, addedMs } = release;
    this.sql("INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
      .run(path, kind, version, bytes, sha256, sha1, addedMs);
  }

  async releases(): Promise<readonly ReleaseRow[]> {
    return this.sql("SELECT * FROM releases ORDER BY added_ms DESC, path LIMIT ?")
      .all(RELEASES_MAX).map(releaseRow);
  }

  async putController(controller: Omit<ControllerRow, "attributes">): Promise<void> {
    const { id, tokenHash, addedMs, labels } = controller;
    this.sql(
      `INSERT INTO controllers (id, token_hash, added_ms, labels) VALUES (?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET token_hash = excluded.token_hash, labels = excluded.labels`,
    ).run(id, tokenHash, addedMs, JSON.stringify(labels));
  }

  async controller(id: string): Promise<ControllerRow | undefined> {
    const row = this.sql("SELECT * FROM controllers WHERE id = ?").get(id);
    return row === undefined ? undefined : controllerRow(row);
  }

  async controllers(): Promise<readonly ControllerRow[]> {
    return this.sql("SELECT * FROM controllers WHERE length(token_hash) > 0 ORDER BY id").all()
      .map(controllerRow);
  }

  async putAttributes(id: string, attributes: Readonly<Record<string, string>>): Promise<void> {
    this.sql("UPDATE controllers SET attributes = ? WHERE id = ?")
      .run(JSON.stringify(attributes), id);
  }
}
