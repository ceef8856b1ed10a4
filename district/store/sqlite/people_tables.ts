import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { CardholderPage, CardholderView, PolicySettings } from "../../api/types.ts";
import type { ImportOutcome, ImportRow } from "../contract.ts";
import { transaction } from "./database.ts";

/** Faults told at most; the rest of such a file is no better. */
const FAULTS_MAX = 200;

/** Unwinds a transaction that must leave no trace, with what it found. */
class DryRun {
  readonly outcome: ImportOutcome;
  constructor(outcome: ImportOutcome) {
    this.outcome = outcome;
  }
}

/** Cardholders, cards and settings in SQLite. */
export class PeopleTables {
  readonly #db: DatabaseSync;
  readonly #sql: ReturnType<typeof prepare>;

  /** Prepares its statements. */
  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#sql = prepare(db);
  }

  import(rows: readonly ImportRow[], dryRun: boolean): ImportOutcome {
    try {
      return transaction(this.#db, () => {
        const outcome = this.#import(rows);
        if (dryRun || outcome.faults.length > 0) throw new DryRun(outcome);
        const changed = outcome.added + outcome.changed > 0;
        return { ...outcome, policyVersion: changed ? this.#nextVersion() : this.wantedVersion() };
      });
    } catch (thrown) {
      if (thrown instanceof DryRun) return thrown.outcome;
      throw thrown;
    }
  }

  #import(rows: readonly ImportRow[]): ImportOutcome {
    const sql = this.#sql;
    const faults: { line: number; field: string; message: string }[] = [];
    const fault = (line: number, field: string, message: string) => {
      if (faults.length < FAULTS_MAX) faults.push({ line, field, message });
    };
    const added = new Set<number>();
    const changed = new Set<number>();
    const ids: number[] = [];
    for (const row of rows) {
      const before = sql.byNumber.get(row.number);
      if (before === undefined) {
        const { id } = sql.add.get(
          row.number,
          row.name,
          JSON.stringify(row.accessLevels ?? []),
          row.active === false ? 0 : 1,
          row.validUntilMs ?? null,
        )!;
        ids.push(Number(id));
        added.add(Number(id));
        continue;
      }
      const id = Number(before.id);
      ids.push(id);
      const after = {
        name: row.name,
        levels: row.accessLevels === undefined
          ? before.access_levels as string
          : JSON.stringify(row.accessLevels),
        active: row.active === undefined ? Number(before.active) : Number(row.active),
        until: row.validUntilMs === undefined
          ? before.valid_until_ms as number | null
          : row.validUntilMs,
      };
      if (
        after.name !== before.name || after.levels !== before.access_levels ||
        after.active !== before.active || after.until !== before.valid_until_ms
      ) {
        sql.change.run(after.name, after.levels, after.active, after.until, id);
        changed.add(id);
      }
    }
    // First give cards back, then hand them out: within one file two people may swap.
    rows.forEach((row, index) => {
      if (row.cards === undefined) return;
      const keep = new Set(row.cards.map((card) => `${card.bits} ${card.hex}`));
      for (const card of sql.cardsOf.all(ids[index]!)) {
        if (card.active === 1 && !keep.has(`${card.bits} ${card.hex}`)) {
          sql.deactivate.run(card.id as number);
          changed.add(ids[index]!);
        }
      }
    });
    rows.forEach((row, index) => {
      const id = ids[index]!;
      for (const card of row.cards ?? []) {
        const owned = sql.card.get(card.bits, card.hex);
        if (owned === undefined) {
          sql.addCard.run(id, card.bits, card.hex);
        } else if (owned.cardholder === id && owned.active === 1) {
          continue;
        } else if (owned.active === 1) {
          fault(
            card.line,
            "card",
            `this card is already ${owned.name}'s (${owned.number}); take it back there first`,
          );
          continue;
        } else {
          sql.give.run(id, owned.id as number);
        }
        changed.add(id);
      }
    });
    for (const id of added) changed.delete(id);
    return {
      added: added.size,
      changed: changed.size,
      unchanged: rows.length - added.size - changed.size,
      faults,
      policyVersion: undefined,
    };
  }

  cardholders(
    query: { readonly search: string; readonly offset: number; readonly limit: number },
  ): CardholderPage {
    const like = `%${query.search.replace(/[\\%_]/g, "\\$&")}%`;
    const total = Number(this.#sql.countLike.get(like)!.n);
    const rows = this.#sql.like.all(like, query.limit, query.offset);
    const items = rows.map((row): CardholderView => ({
      id: Number(row.id),
      number: row.number as string,
      name: row.name as string,
      accessLevels: JSON.parse(row.access_levels as string) as string[],
      active: row.active === 1,
      ...(row.valid_from_ms === null ? {} : { validFromMs: Number(row.valid_from_ms) }),
      ...(row.valid_until_ms === null ? {} : { validUntilMs: Number(row.valid_until_ms) }),
      cards: this.#sql.cardsOf.all(row.id as number).map((card) => ({
        id: Number(card.id),
        bits: Number(card.bits),
        hex: card.hex as string,
        active: card.active === 1,
      })),
    }));
    return { total, items };
  }

  names(ids: readonly number[]): Map<number, string> {
    const names = new Map<number, string>();
    for (const id of ids) {
      const name = this.#sql.nameOf.get(id)?.name;
      if (name !== undefined) names.set(id, name as string);
    }
    return names;
  }

  settings(): PolicySettings {
    return JSON.parse(this.#sql.settings.get()!.policy as string) as PolicySettings;
  }

  levelsInUse(): string[] {
    return this.#sql.levels.all().map((row) => row.level as string);
  }

  putSettings(settings: PolicySettings): number {
    return transaction(this.#db, () => {
      this.#sql.putSettings.run(JSON.stringify(settings));
      return this.#nextVersion();
    });
  }

  wantedVersion(): number {
    return Number(this.#sql.settings.get()!.wanted_version);
  }

  #nextVersion(): number {
    return Number(this.#sql.nextVersion.get()!.wanted_version);
  }

  /** Settings and people as of one moment, with the version that stands for them. */
  snapshot(): { readonly version: number; readonly parts: object } {
    this.#db.exec("BEGIN");
    try {
      const version = this.wantedVersion();
      const cardholders = this.#db.prepare("SELECT * FROM cardholders ORDER BY id").all()
        .map((row) => ({
          id: Number(row.id),
          name: row.name as string,
          accessLevels: JSON.parse(row.access_levels as string) as string[],
          active: row.active === 1,
          ...(row.valid_from_ms === null ? {} : { validFromMs: Number(row.valid_from_ms) }),
          ...(row.valid_until_ms === null ? {} : { validUntilMs: Number(row.valid_until_ms) }),
        }));
      const credentials = this.#db.prepare("SELECT * FROM cards ORDER BY id").all()
        .map((row) => ({
          id: Number(row.id),
          cardholder: Number(row.cardholder),
          bits: Number(row.bits),
          hex: row.hex as string,
          active: row.active === 1,
        }));
      return { version, parts: { ...this.settings(), cardholders, credentials } };
    } finally {
      this.#db.exec("COMMIT");
    }
  }
}

/** Name, number or card holds the text. */
const FITS = `(?1 = '%%' OR number LIKE ?1 ESCAPE '\\' OR name LIKE ?1 ESCAPE '\\'
  OR id IN (SELECT cardholder FROM cards WHERE hex LIKE ?1 ESCAPE '\\'))`;

function prepare(db: DatabaseSync) {
  const sql = {
    byNumber: "SELECT * FROM cardholders WHERE number = ?",
    add: `INSERT INTO cardholders (number, name, access_levels, active, valid_until_ms)
      VALUES (?, ?, ?, ?, ?) RETURNING id`,
    change: `UPDATE cardholders SET name = ?, access_levels = ?, active = ?, valid_until_ms = ?
      WHERE id = ?`,
    cardsOf: "SELECT * FROM cards WHERE cardholder = ? ORDER BY id",
    card: `SELECT c.id, c.cardholder, c.active, h.name, h.number FROM cards c
      JOIN cardholders h ON h.id = c.cardholder WHERE c.bits = ? AND c.hex = ?`,
    addCard: "INSERT INTO cards (cardholder, bits, hex, active) VALUES (?, ?, ?, 1)",
    deactivate: "UPDATE cards SET active = 0 WHERE id = ?",
    give: "UPDATE cards SET cardholder = ?, active = 1 WHERE id = ?",
    countLike: `SELECT count(*) AS n FROM cardholders WHERE ${FITS}`,
    like: `SELECT * FROM cardholders WHERE ${FITS} ORDER BY number LIMIT ?2 OFFSET ?3`,
    nameOf: "SELECT name FROM cardholders WHERE id = ?",
    settings: "SELECT policy, wanted_version FROM settings",
    putSettings: "UPDATE settings SET policy = ?",
    nextVersion: "UPDATE settings SET wanted_version = wanted_version + 1 RETURNING wanted_version",
    levels: "SELECT DISTINCT l.value AS level FROM cardholders, json_each(access_levels) l",
  };
  return Object.fromEntries(
    Object.entries(sql).map(([name, text]) => [name, db.prepare(text)]),
  ) as Record<keyof typeof sql, StatementSync>;
}
