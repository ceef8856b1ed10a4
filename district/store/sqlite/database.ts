import { closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { DistrictError } from "../../errors.ts";

/**
 * What boxes and operators do. Steps from each `user_version` to the next. Never edited once released: a new one is added.
 *
 * `streams` is a lane of one epoch of one box, with its cursor; events hang on its integer id, so
 * that the one index of the largest table stays narrow.
 */
const DISTRICT: readonly string[] = [
  `
  CREATE TABLE boxes (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, public_key BLOB NOT NULL, enrolled_ms INTEGER NOT NULL,
    last_seen_ms INTEGER, status TEXT, revoked INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE tokens (
    secret_hash BLOB PRIMARY KEY, expires_ms INTEGER NOT NULL, used_by TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE streams (
    id INTEGER PRIMARY KEY, box TEXT NOT NULL REFERENCES boxes (id), epoch INTEGER NOT NULL,
    lane INTEGER NOT NULL, seq INTEGER NOT NULL, head_hash BLOB NOT NULL, head_signature BLOB NOT NULL,
    UNIQUE (box, epoch, lane)
  ) STRICT;
  CREATE TABLE gaps (
    stream INTEGER NOT NULL REFERENCES streams (id), after_seq INTEGER NOT NULL, first_seq INTEGER NOT NULL,
    after_hash BLOB NOT NULL, prev_hash BLOB NOT NULL, noted_ms INTEGER NOT NULL,
    PRIMARY KEY (stream, first_seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, stream INTEGER NOT NULL, seq INTEGER NOT NULL,
    kind TEXT NOT NULL, wall_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL, bytes BLOB NOT NULL,
    UNIQUE (stream, seq)
  ) STRICT;
  CREATE TABLE commands (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, box TEXT NOT NULL REFERENCES boxes (id),
    command TEXT NOT NULL, operator TEXT NOT NULL, issued_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL, outcome TEXT, detail TEXT
  ) STRICT;
  CREATE INDEX commands_pending ON commands (box, n) WHERE outcome IS NULL;
  CREATE TABLE operators (username TEXT PRIMARY KEY, password_hash TEXT NOT NULL) STRICT;
  CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY, username TEXT NOT NULL REFERENCES operators (username),
    expires_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE audit (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, operator TEXT NOT NULL, action TEXT NOT NULL,
    detail TEXT NOT NULL
  ) STRICT;
  CREATE TABLE policies (version INTEGER PRIMARY KEY, document BLOB NOT NULL) STRICT;
  `,
  // `targets.id` is DDI's action id: AUTOINCREMENT, so that no client is ever told an old one again.
  `
  CREATE TABLE releases (
    path TEXT PRIMARY KEY, kind TEXT NOT NULL, version TEXT NOT NULL, bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL, sha1 TEXT NOT NULL, added_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE controllers (
    id TEXT PRIMARY KEY, token_hash BLOB NOT NULL, added_ms INTEGER NOT NULL, labels TEXT NOT NULL,
    attributes TEXT NOT NULL DEFAULT '{}'
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE rollouts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,
    release TEXT NOT NULL REFERENCES releases (path), created_ms INTEGER NOT NULL, rollout TEXT NOT NULL
  ) STRICT;
  CREATE TABLE targets (
    id INTEGER PRIMARY KEY AUTOINCREMENT, rollout INTEGER NOT NULL REFERENCES rollouts (id),
    controller TEXT NOT NULL REFERENCES controllers (id), grp INTEGER NOT NULL, state TEXT NOT NULL,
    reason TEXT NOT NULL, changed_ms INTEGER NOT NULL, UNIQUE (rollout, controller)
  ) STRICT;
  CREATE INDEX targets_open ON targets (controller, id)
    WHERE state IN ('waiting', 'offered', 'running', 'going-on');
  CREATE TABLE rollout_audit (
    id INTEGER PRIMARY KEY, rollout INTEGER NOT NULL REFERENCES rollouts (id), at_ms INTEGER NOT NULL,
    operator TEXT NOT NULL, what TEXT NOT NULL
  ) STRICT;
  CREATE INDEX rollout_audit_of ON rollout_audit (rollout, id);
  `,
  // What each box was last told to install, so that the word's version only grows.
  `
  CREATE TABLE assignments (
    controller TEXT PRIMARY KEY REFERENCES controllers (id), action INTEGER NOT NULL,
    version INTEGER NOT NULL, expires_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  // What a box had installed before: for taking a rollout back.
  `
  CREATE INDEX targets_of ON targets (controller, changed_ms);
  `,
  // Each poll of a box asks for rollouts that stand.
  `
  CREATE INDEX rollouts_standing ON rollouts (id)
    WHERE json_extract(rollout, '$.status.at') = 'standing';
  `,
];

/**
 * People, in a file of their own: an import of 200,000 holds its write lock for seconds, and the
 * events of every box would wait for it.
 */
const PEOPLE: readonly string[] = [
  `
  CREATE TABLE cardholders (
    id INTEGER PRIMARY KEY AUTOINCREMENT, number TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    access_levels TEXT NOT NULL, active INTEGER NOT NULL, valid_from_ms INTEGER, valid_until_ms INTEGER
  ) STRICT;
  CREATE TABLE cards (
    id INTEGER PRIMARY KEY AUTOINCREMENT, cardholder INTEGER NOT NULL REFERENCES cardholders (id),
    bits INTEGER NOT NULL, hex TEXT NOT NULL, active INTEGER NOT NULL, UNIQUE (bits, hex)
  ) STRICT;
  CREATE INDEX cards_of ON cards (cardholder);
  CREATE TABLE settings (
    one INTEGER PRIMARY KEY CHECK (one = 1), policy TEXT NOT NULL, wanted_version INTEGER NOT NULL
  ) STRICT;
  INSERT INTO settings VALUES (1, '{"holidays":[],"schedules":[],"accessLevels":[{"id":"all-doors","name":"全部门 All doors","grants":[{"doors":["*"],"schedule":"always"}]}]}', 0);
  `,
];

/** Another process (`gatehouse district token`) writes for milliseconds; more is a fault. */
const BUSY_MS = 5_000;

/** Opens the file of boxes and operators, making or migrating it. @throws {@link DistrictError} `data` */
export function openDistrictFile(path: string): DatabaseSync {
  return open(path, DISTRICT);
}

/** Opens the file of people, making or migrating it. @throws {@link DistrictError} `data` */
export function openPeople(path: string): DatabaseSync {
  return open(path, PEOPLE);
}

function open(path: string, migrations: readonly string[]): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    // Names, hashes and tokens: for this user alone. SQLite gives its other files the same mode.
    closeSync(openSync(path, "a", 0o600));
    db = new DatabaseSync(path, { enableForeignKeyConstraints: true });
    db.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
    db.exec("PRAGMA journal_mode = WAL");
    // NORMAL lost up to 3,590 acknowledged rows in a simulated power cut, FULL none.
    db.exec("PRAGMA synchronous = FULL");
    db.exec("PRAGMA cache_size = -65536");
    db.exec("PRAGMA wal_autocheckpoint = 4000");
    migrate(db, path, migrations);
    return db;
  } catch (cause) {
    db?.close();
    if (cause instanceof DistrictError) throw cause;
    throw new DistrictError(
      "data",
      `${path}: cannot be opened as the district's store: ${(cause as Error).message}`,
      { cause },
    );
  }
}

function migrate(db: DatabaseSync, path: string, migrations: readonly string[]): void {
  const version = () => Number(db.prepare("PRAGMA user_version").get()!.user_version);
  if (version() > migrations.length) {
    throw new DistrictError("data", `${path}: written by a newer Gatehouse; update this one`);
  }
  for (let at = version(); at < migrations.length; at++) {
    transaction(db, () => {
      // A second process may have been faster.
      if (version() !== at) return;
      db.exec(migrations[at]!);
      db.exec(`PRAGMA user_version = ${at + 1}`);
    });
  }
}

/** Runs `body` in one transaction that takes the write lock at once; a throw rolls it back. */
export function transaction<T>(db: DatabaseSync, body: () => T): T {
  db.exec("BEGIN IMMEDIATE");
  try {
    const result = body();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}
