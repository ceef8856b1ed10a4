import { LANES } from "../../sync/wire/events.ts";

/** Marks the file as a journal ("GHJ1"; https://www.sqlite.org/fileformat2.html#application_id). */
export const APPLICATION_ID = 0x47484a31;

/** Version of the schema. */
export const USER_VERSION = 1;

/** One table as SQLite keeps it. */
export interface SchemaRow {
  readonly name: string;
  readonly sql: string;
}

/**
 * Every table, by name. Each lane has one of its own, so that appending always grows a B-tree at its
 * right edge, and trimming frees whole pages at its left one.
 */
export const SCHEMA: readonly SchemaRow[] = [
  ...LANES.map((lane) => ({
    name: `${lane}_events`,
    // first: seq of its first event. commit_no: commits of all lanes, counted. hash: after its last event.
    sql: `CREATE TABLE ${lane}_events (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, ` +
      `commit_no INTEGER NOT NULL, hash BLOB NOT NULL, data BLOB NOT NULL) STRICT`,
  })),
  {
    name: "lanes",
    // base: last event that is stored no more; base_hash: chain hash after it.
    sql: "CREATE TABLE lanes (lane TEXT PRIMARY KEY, synced INTEGER NOT NULL, " +
      "base INTEGER NOT NULL, base_hash BLOB NOT NULL) STRICT, WITHOUT ROWID",
  },
  {
    name: "meta",
    sql: "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
  },
  {
    name: "notices",
    sql: "CREATE TABLE notices (id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL) STRICT",
  },
  {
    name: "seen",
    sql: "CREATE TABLE seen (id TEXT PRIMARY KEY, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID",
  },
].sort((a, b) => a.name < b.name ? -1 : 1);

/** Makes all of it. */
export const CREATE: string = SCHEMA.map(({ sql }) => `${sql};`).join("\n") +
  `PRAGMA application_id=${APPLICATION_ID}; PRAGMA user_version=${USER_VERSION};`;
