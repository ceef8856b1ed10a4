/**
 * The journal's file: SQLite in WAL mode with `synchronous=FULL`, so that what was committed
 * survives a power cut. Synchronous on purpose: it lives on the journal's own thread.
 *
 * @module
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { chainHash, genesisHash, type Lane, LANES } from "../../sync/wire/mod.ts";
import { laneNumber, type LaneQuota, PRUNE_ROWS_MAX } from "./quotas.ts";

/** Grows with the tables; a file with another one is not ours to touch. */
const FORMAT = 1;

const SCHEMA = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE lanes (
    lane INTEGER PRIMARY KEY,
    head INTEGER NOT NULL,        -- last seq
    head_hash BLOB NOT NULL,
    synced INTEGER NOT NULL,      -- last seq that the district has acknowledged
    base INTEGER NOT NULL,        -- last seq that was removed
    base_hash BLOB NOT NULL
  ) STRICT;
  CREATE TABLE events (
    lane INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (lane, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE commands (id TEXT PRIMARY KEY, expires_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

/** Rows at the end of each lane whose chain is recomputed at every start. */
const TAIL_ROWS = 100;

/** How far one lane is in the store. */
export interface StoredLane {
  head: number;
  headHash: Uint8Array;
  synced: number;
  base: number;
  baseHash: Uint8Array;
}

/** Events that a lane's policy gave up. */
export interface Dropped {
  readonly lane: Lane;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** A store whose content contradicts itself. */
export class BrokenStoreError extends Error {
  /** Says what does not fit. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "BrokenStoreError";
  }
}

/** An open store of one epoch. */
export class JournalStore implements Disposable {
  /** Grows when the store is made anew. */
  readonly epoch: number;
  /** How often a store was opened in this file's life. */
  readonly boot: number;
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #inode: number | null;
  readonly #quotas: Readonly<Record<Lane, LaneQuota>>;
  readonly #lanes: StoredLane[];
  readonly #insert: StatementSync;
  readonly #updateLane: StatementSync;
  #closed = false;

  /**
   * Opens the store at `path`, or makes one of `newEpoch` with boot count `newBoot` where there is none.
   *
   * @throws {@link BrokenStoreError} or SQLite's error when it cannot be trusted.
   */
  constructor(
    path: string,
    newEpoch: number,
    newBoot: number,
    quotas: Readonly<Record<Lane, LaneQuota>>,
  ) {
    this.#path = path;
    this.#quotas = quotas;
    this.#db = new DatabaseSync(path);
    try {
      const db = this.#db;
      // Readers of other processes hold nothing for longer than a page's copy.
      db.exec("PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
      // Checkpoints every 4 MB: each page is written to its place once for many commits.
      db.exec("PRAGMA wal_autocheckpoint=1000; PRAGMA cache_size=-2000;");
      this.#create(newEpoch, newBoot);
      this.epoch = this.#meta("epoch");
      this.boot = this.#meta("boot") + 1;
      db.prepare("UPDATE meta SET value=? WHERE key='boot'").run(this.boot);
      this.#insert = db.prepare("INSERT INTO events VALUES (?, ?, ?, ?)");
      this.#updateLane = db.prepare(
        "UPDATE lanes SET head=?, head_hash=?, synced=?, base=?, base_hash=? WHERE lane=?",
      );
      this.#lanes = LANES.map((lane) => this.#readLane(lane));
      for (const lane of LANES) this.#checkTail(lane);
      this.#inode = Deno.statSync(path).ino;
    } catch (cause) {
      this.#db.close();
      throw cause;
    }
  }

  /** How far each lane is, in the order of `LANES`. */
  get lanes(): readonly Readonly<StoredLane>[] {
    return this.#lanes;
  }

  /**
   * Commits events in one transaction; on return they are durable. `lanes[i]` is the lane's number
   * of `events[i]`. Returns what was given up to keep the quotas.
   *
   * @throws SQLite's error; nothing of it is stored then.
   */
  commit(lanes: ArrayLike<number>, events: readonly Uint8Array[]): Dropped[] {
    if (Deno.statSync(this.#path).ino !== this.#inode) {
      throw new BrokenStoreError(`${this.#path} was replaced by somebody`);
    }
    const before = this.#lanes.map((lane) => ({ ...lane }));
    return this.#transaction(() => {
      const touched = new Set<number>();
      for (const [index, bytes] of events.entries()) {
        const number = lanes[index]!;
        const lane = this.#lanes[number]!;
        lane.headHash = chainHash(lane.headHash, bytes);
        lane.head++;
        this.#insert.run(number, lane.head, bytes, lane.headHash);
        touched.add(number);
      }
      const dropped: Dropped[] = [];
      for (const number of touched) {
        const lost = this.#prune(LANES[number]!);
        if (lost !== undefined) dropped.push(lost);
        this.#store(number);
      }
      return dropped;
    }, () => before.forEach((lane, number) => this.#lanes[number] = lane));
  }

  /** Notes how far lanes are synced. Lower or later values than there are change nothing. */
  acknowledge(acks: readonly { readonly lane: Lane; readonly seq: number }[]): void {
    const before = this.#lanes.map((lane) => ({ ...lane }));
    this.#transaction(() => {
      for (const { lane, seq } of acks) {
        const number = laneNumber(lane);
        const state = this.#lanes[number]!;
        if (seq <= state.synced || seq > state.head) continue;
        state.synced = seq;
        this.#store(number);
      }
    }, () => before.forEach((lane, number) => this.#lanes[number] = lane));
  }

  /** Notes a command's id; false when it was there. Forgets those that expired before `wallMs`. */
  firstSeen(id: string, expiresWallMs: number, wallMs: number): boolean {
    return this.#transaction(() => {
      this.#db.prepare("DELETE FROM commands WHERE expires_ms < ?").run(wallMs);
      const { changes } = this.#db.prepare("INSERT OR IGNORE INTO commands VALUES (?, ?)")
        .run(id, expiresWallMs);
      return Number(changes) === 1;
    }, () => {});
  }

  /** Events of `lane` after `afterSeq`, bounded; `undefined` when there are none. */
  read(lane: Lane, afterSeq: number, eventsMax: number, bytesMax: number):
    | { firstSeq: number; prevHash: Uint8Array; events: Uint8Array[]; headHash: Uint8Array }
    | undefined {
    const number = laneNumber(lane);
    const from = Math.max(afterSeq, this.#lanes[number]!.base);
    const rows = this.#db.prepare(
      "SELECT bytes, hash FROM events WHERE lane=? AND seq>? ORDER BY seq LIMIT ?",
    ).iterate(number, from, eventsMax);
    const events: Uint8Array[] = [];
    let bytes = 0;
    let headHash: Uint8Array | undefined;
    for (const row of rows as Iterable<{ bytes: Uint8Array; hash: Uint8Array }>) {
      if (events.length > 0 && bytes + row.bytes.length > bytesMax) break;
      bytes += row.bytes.length;
      events.push(row.bytes);
      headHash = row.hash;
    }
    if (headHash === undefined) return undefined;
    return { firstSeq: from + 1, prevHash: this.#hashAt(number, from), events, headHash };
  }

  /** Closes the file; twice is fine. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#db.close();
  }

  #create(epoch: number, boot: number): void {
    const { user_version: format } = this.#db.prepare("PRAGMA user_version").get() as {
      user_version: number;
    };
    if (format === FORMAT) return;
    const { tables } = this.#db.prepare("SELECT count(*) AS tables FROM sqlite_schema").get() as {
      tables: number;
    };
    if (format !== 0 || tables !== 0) {
      throw new BrokenStoreError(`it is no journal of format ${FORMAT}`);
    }
    this.#transaction(() => {
      this.#db.exec(SCHEMA);
      const meta = this.#db.prepare("INSERT INTO meta VALUES (?, ?)");
      meta.run("epoch", epoch);
      meta.run("boot", boot);
      const lane = this.#db.prepare("INSERT INTO lanes VALUES (?, 0, ?, 0, 0, ?)");
      for (const [number, name] of LANES.entries()) {
        const genesis = genesisHash(epoch, name);
        lane.run(number, genesis, genesis);
      }
      this.#db.exec(`PRAGMA user_version=${FORMAT}`);
    }, () => {});
  }

  #transaction<T>(work: () => T, undo: () => void): T {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#db.exec("COMMIT");
      return result;
    } catch (cause) {
      undo();
      try {
        this.#db.exec("ROLLBACK");
      } catch {
        // SQLite has rolled back by itself; the first error is the one to tell.
      }
      throw cause;
    }
  }

  #meta(key: string): number {
    const row = this.#db.prepare("SELECT value FROM meta WHERE key=?").get(key) as
      | { value: number }
      | undefined;
    if (row === undefined) throw new BrokenStoreError(`it has no ${key}`);
    return row.value;
  }

  #readLane(lane: Lane): StoredLane {
    const row = this.#db.prepare(
      `SELECT head, head_hash AS headHash, synced, base, base_hash AS baseHash
       FROM lanes WHERE lane=?`,
    ).get(laneNumber(lane)) as unknown as StoredLane | undefined;
    if (row === undefined) throw new BrokenStoreError(`lane ${lane} is missing`);
    return { ...row };
  }

  #store(number: number): void {
    const { head, headHash, synced, base, baseHash } = this.#lanes[number]!;
    this.#updateLane.run(head, headHash, synced, base, baseHash, number);
  }

  /** The last events of a lane must join, and end at its head. */
  #checkTail(lane: Lane): void {
    const number = laneNumber(lane);
    const { head, headHash, base } = this.#lanes[number]!;
    const from = Math.max(base, head - TAIL_ROWS);
    let hash = this.#hashAt(number, from);
    let seq = from;
    const rows = this.#db.prepare(
      "SELECT seq, bytes, hash FROM events WHERE lane=? AND seq>? ORDER BY seq",
    ).iterate(number, from);
    for (
      const row of rows as Iterable<{ seq: number; bytes: Uint8Array; hash: Uint8Array }>
    ) {
      seq++;
      hash = chainHash(hash, row.bytes);
      if (row.seq !== seq || !sameBytes(hash, row.hash)) {
        throw new BrokenStoreError(`lane ${lane}: the chain breaks at ${seq}`);
      }
    }
    if (seq !== head || !sameBytes(hash, headHash)) {
      throw new BrokenStoreError(`lane ${lane}: it ends at ${seq} and should end at ${head}`);
    }
  }

  #hashAt(number: number, seq: number): Uint8Array {
    const lane = this.#lanes[number]!;
    if (seq === lane.base) return lane.baseHash;
    const row = this.#db.prepare("SELECT hash FROM events WHERE lane=? AND seq=?")
      .get(number, seq) as { hash: Uint8Array } | undefined;
    if (row === undefined) {
      throw new BrokenStoreError(`lane ${LANES[number]}: event ${seq} is missing`);
    }
    return row.hash;
  }

  #prune(lane: Lane): Dropped | undefined {
    const number = laneNumber(lane);
    const { eventsMax, dropUnsynced } = this.#quotas[lane];
    const state = this.#lanes[number]!;
    const excess = state.head - state.base - eventsMax;
    if (excess <= 0) return undefined;
    const goal = state.base + Math.min(excess, PRUNE_ROWS_MAX);
    const last = dropUnsynced ? goal : Math.min(goal, state.synced);
    if (last <= state.base) return undefined;
    const lost = last > state.synced
      ? { lane, firstSeq: Math.max(state.base, state.synced) + 1, lastSeq: last }
      : undefined;
    state.baseHash = this.#hashAt(number, last);
    this.#db.prepare("DELETE FROM events WHERE lane=? AND seq<=?").run(number, last);
    state.base = last;
    return lost;
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
