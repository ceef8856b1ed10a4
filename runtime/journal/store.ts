/**
 * The journal's SQLite file. Runs in the worker; everything here is synchronous and throws what
 * `storeFault` sorts.
 *
 * @module
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
// Not by the door of sync/wire: that would bring CBOR and Valibot into the worker's memory.
import { genesisHash } from "../../sync/wire/chain.ts";
import { type Lane, LANES } from "../../sync/wire/events.ts";
import type { JournalState } from "./contract.ts";
import { StoreFault } from "./fault.ts";
import type { LaneBlock, LaneQuotas, Notice, ReadResult } from "./protocol.ts";
import { type Salvage, salvage, type SeenRow } from "./salvage.ts";
import { LaneRows, type LaneUpdate } from "./store_lane.ts";
import { APPLICATION_ID, CREATE, SCHEMA, type SchemaRow, USER_VERSION } from "./store_schema.ts";

/** Pages of the WAL before it is copied into the file: 4 MiB, a fraction of a second's copying. */
const CHECKPOINT_PAGES = 1000;
/** What the WAL is cut back to after a burst. */
const WAL_BYTES_KEPT = 8 << 20;
/** A reader holds no lock for longer than this unless it is stopped in the middle. */
const BUSY_TIMEOUT_MS = 2_000;
/** Alarms and commands may use the last part of the room, of which nothing else may have any. */
const RESERVE = 0.05;
/** Smallest page of a database file. */
const PAGE_BYTES_MIN = 512;
/** How often the file's name is looked at. */
const FILES_CHECK_MS = 1_000;
/** Command ids kept at most: a command lives a day, and nobody opens a door this often in one. */
const SEEN_MAX = 100_000;
/** Old ids are looked for again after so many new ones. */
const FORGET_EVERY = 256;

/** Lanes that may use the reserve. */
export const URGENT_LANES: ReadonlySet<Lane> = new Set(["alarm", "command"]);

/** How a store is to be opened. */
export interface StoreOptions {
  readonly path: string;
  readonly quotas: LaneQuotas;
  readonly storeBytesMax: number;
}

/** Values of a store that is made anew. */
export interface StoreOrigin {
  readonly epoch: number;
  /** The last start that is known of. */
  readonly boot: number;
}

interface FileIdentity {
  readonly dev: number;
  readonly ino: number | null;
}

/** The open file. Close it with `using`. */
export class Store implements Disposable {
  /** The epoch that the file was made with. */
  readonly epoch: number;
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #quotas: LaneQuotas;
  readonly #pagesMax: number;
  readonly #lanes: ReadonlyMap<Lane, LaneRows>;
  readonly #statements = new Map<string, StatementSync>();
  readonly #files: readonly (readonly [path: string, identity: FileIdentity])[];
  #commitNo: number;
  /** As stored; `undefined` when they must be read again. */
  #notices: readonly Notice[] | undefined;
  #forgetIn = 0;
  #filesSeenWallMs = -Infinity;
  /** Bytes that may be stored before the size of the file is looked at again. */
  #unmeasuredBytesLeft = 0;
  #closed = false;

  /**
   * Opens the store at `options.path`; makes it if `origin` is given and the file is not there.
   *
   * @throws what `storeFault` calls `corrupt` when the file is something else or was cut or edited
   * at its end.
   */
  constructor(options: StoreOptions, origin: StoreOrigin | undefined) {
    this.#path = options.path;
    this.#quotas = options.quotas;
    this.#db = new DatabaseSync(options.path, { timeout: BUSY_TIMEOUT_MS });
    try {
      this.#db.exec(
        `PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;
         PRAGMA wal_autocheckpoint=${CHECKPOINT_PAGES}; PRAGMA journal_size_limit=${WAL_BYTES_KEPT};
         PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA cache_size=-2048;`,
      );
      const empty = () => this.#number("SELECT count(*) FROM sqlite_schema") === 0;
      if (origin !== undefined && empty()) this.#create(origin);
      this.#checkSchema();
      this.epoch = this.#meta("epoch");
      const pageBytes = this.#number("PRAGMA page_size");
      this.#pagesMax = Math.max(64, Math.floor(options.storeBytesMax / pageBytes));
      this.#db.exec(`PRAGMA max_page_count=${this.#pagesMax}`);
      this.#lanes = new Map(LANES.map((lane) => [lane, new LaneRows(this.#db, lane, this.epoch)]));
      this.#commitNo = Math.max(...[...this.#lanes.values()].map((rows) => rows.lastCommitNo));
      this.notices();
      // Any write makes the WAL exist, so that it can be watched.
      this.#transaction(() => this.#run("UPDATE meta SET value=value WHERE name='epoch'"));
      this.#files = [options.path, `${options.path}-wal`].map((path) =>
        [path, identityOf(path)] as const
      );
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Starts of the process so far. */
  get boot(): number {
    return this.#meta("boot");
  }

  /** Notes durably that the process has started for the `boot`th time. */
  setBoot(boot: number): void {
    this.#transaction(() => this.#run("UPDATE meta SET value=? WHERE name='boot'", boot));
  }

  /** How far each lane is. */
  state(): JournalState {
    return {
      epoch: this.epoch,
      lanes: LANES.map((lane) => {
        const { head, synced, base } = this.#rows(lane).tail;
        return { lane, head, synced, oldest: base + 1 };
      }),
    };
  }

  /** What was done that no event tells of yet. */
  notices(): readonly Notice[] {
    if (this.#notices === undefined) {
      const rows = this.#statement("SELECT id, event FROM notices ORDER BY id").all();
      try {
        this.#notices = rows.map(({ id, event }) => ({
          id: Number(id),
          event: JSON.parse(String(event)) as Notice["event"],
        }));
      } catch (cause) {
        throw new StoreFault("corrupt", "a notice is malformed", { cause });
      }
    }
    return this.#notices;
  }

  /** Notes something that an event is to tell of. */
  notice(event: Notice["event"]): void {
    this.#transaction(() => this.#addNotice(event));
  }

  /**
   * Stores blocks in one transaction; returns the first seq of each. `notices` are done with. Nothing
   * is stored when it throws.
   */
  commit(blocks: readonly LaneBlock[], bytes: Uint8Array, notices: readonly number[]): number[] {
    if (blocks.some(({ lane }) => !URGENT_LANES.has(lane))) this.#checkReserve(bytes.length);
    const updates: LaneUpdate[] = [];
    const commitNo = this.#commitNo + 1;
    const firstSeqs = this.#transaction(() => {
      const firsts = blocks.map(({ lane, count, offset, length }) => {
        const rows = this.#rows(lane);
        const update = rows.append(bytes.subarray(offset, offset + length), count, commitNo);
        updates.push(update);
        return rows.tail.head + 1;
      });
      for (const update of updates) {
        this.#trim(update, this.#quotas[update.lane]);
      }
      for (const id of notices) this.#run("DELETE FROM notices WHERE id=?", id);
      return firsts;
    });
    this.#commitNo = commitNo;
    if (notices.length > 0) this.#notices = undefined;
    for (const update of updates) this.#rows(update.lane).take(update);
    return firstSeqs;
  }

  /**
   * Gives up what may be given up when the disk is full: the oldest synced events of each lane, and
   * of telemetry also unsynced ones. Returns whether there was anything.
   */
  makeRoom(): boolean {
    const updates: LaneUpdate[] = [];
    this.#transaction(() => {
      for (const lane of LANES) {
        const { tail } = this.#rows(lane);
        const update = { lane, tail };
        // As if the lane had room for 9 tenths of what it holds.
        this.#trim(update, Math.floor((tail.head - tail.base) * 0.9));
        if (update.tail !== tail) updates.push(update);
      }
    });
    for (const update of updates) this.#rows(update.lane).take(update);
    return updates.length > 0;
  }

  /** See `EventSource.read`. */
  read(
    lane: Lane,
    afterSeq: number,
    limit: { readonly eventsMax: number; readonly bytesMax: number },
  ): ReadResult | undefined {
    const found = this.#rows(lane).read(afterSeq, limit);
    return found === undefined ? undefined : { epoch: this.epoch, ...found };
  }

  /** See `EventSource.acknowledge`. */
  acknowledge(acks: readonly { epoch: number; lane: Lane; seq: number }[]): void {
    const updates: LaneUpdate[] = [];
    for (const { epoch, lane, seq } of acks) {
      const { tail } = this.#rows(lane);
      // What a store that is gone had, or what this one never had, says nothing about this one.
      if (epoch !== this.epoch || seq > tail.head || seq <= tail.synced) continue;
      updates.push({ lane, tail: { ...tail, synced: seq } });
    }
    if (updates.length === 0) return;
    this.#transaction(() => {
      for (const { lane, tail } of updates) this.#rows(lane).storeCursors(tail);
    });
    for (const update of updates) this.#rows(update.lane).take(update);
  }

  /** See `CommandMemory.firstSeen`. Without `forget` nothing is forgotten by the clock. */
  firstSeen(id: string, expiresWallMs: number, wallMs: number, forget: boolean): boolean {
    return this.#transaction(() => {
      if (this.#forgetIn-- <= 0) {
        this.#forgetIn = FORGET_EVERY;
        if (forget) this.#run("DELETE FROM seen WHERE expires<?", wallMs);
        const left = this.#number("SELECT count(*) FROM seen");
        if (left >= SEEN_MAX) {
          throw new StoreFault("full", `${left} command ids are noted that have not expired`);
        }
      }
      const expires = Math.floor(expiresWallMs);
      return this.#run("INSERT OR IGNORE INTO seen VALUES (?, ?)", id, expires) > 0;
    });
  }

  /** What can be saved of this store, when it has turned out to be corrupt. */
  salvage(): Salvage {
    return salvage(this.#db, this.state().lanes);
  }

  /**
   * Finds out whether the file was deleted, about once a second: what is committed to a file that has
   * lost its name is gone with the process. Until then all of it can be read and saved.
   */
  checkFiles(wallMs: number): void {
    if (Math.abs(wallMs - this.#filesSeenWallMs) < FILES_CHECK_MS) return;
    for (const [path, { dev, ino }] of this.#files) {
      const now = identityOf(path);
      if (now.dev !== dev || now.ino !== ino) {
        throw new StoreFault("corrupt", `${path} was replaced`);
      }
    }
    this.#filesSeenWallMs = wallMs;
  }

  /** Takes over ids of the store before this one. */
  addSeen(rows: readonly SeenRow[]): void {
    this.#transaction(() => {
      for (const { id, expires } of rows) {
        this.#run("INSERT OR IGNORE INTO seen VALUES (?, ?)", id, expires);
      }
    });
  }

  /** Closes the file; twice is fine, and so is a file that cannot be closed cleanly. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#db.close();
    } catch {
      // A corrupt file may fail here too. It is set aside next.
    }
  }

  #create({ epoch, boot }: StoreOrigin): void {
    this.#transaction(() => {
      this.#db.exec(CREATE);
      this.#run("INSERT INTO meta VALUES ('epoch', ?), ('boot', ?)", epoch, boot);
      for (const lane of LANES) {
        this.#run("INSERT INTO lanes VALUES (?, 0, 0, ?)", lane, genesisHash(epoch, lane));
      }
    });
  }

  /** STRICT tables hold what they say, so rows of exactly this schema need no further parsing. */
  #checkSchema(): void {
    const rows = this.#db.prepare(
      "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name",
    ).all() as unknown as SchemaRow[];
    const same = this.#number("PRAGMA application_id") === APPLICATION_ID &&
      this.#number("PRAGMA user_version") === USER_VERSION &&
      rows.length === SCHEMA.length &&
      rows.every(({ name, sql }, index) =>
        name === SCHEMA[index]!.name && sql === SCHEMA[index]!.sql
      );
    if (!same) throw new StoreFault("corrupt", "the file is a database, but no journal");
  }

  #checkReserve(bytes: number): void {
    this.#unmeasuredBytesLeft -= bytes;
    if (this.#unmeasuredBytesLeft > 0) return;
    const limit = this.#pagesMax * (1 - RESERVE);
    const used = this.#number("PRAGMA page_count") - this.#number("PRAGMA freelist_count");
    if (used > limit) throw new StoreFault("full", "the journal has reached its size");
    this.#unmeasuredBytesLeft = this.#pagesMax * RESERVE * PAGE_BYTES_MIN / 8;
  }

  /** Brings a lane down to `quota`, as far as it may, and some more, so that it is not done each time. */
  #trim(update: LaneUpdate, quota: number): void {
    const { lane, tail } = update;
    const excess = tail.head - tail.base - quota;
    if (excess <= 0) return;
    const chunk = Math.ceil(quota / 20);
    const wanted = tail.base + Math.min(excess + chunk, 4 * chunk + 1);
    const limit = lane === "telemetry" ? wanted : Math.min(wanted, tail.synced);
    const trimmed = this.#rows(lane).trim(tail, limit);
    if (trimmed === undefined) return;
    const firstSeq = Math.max(tail.base, tail.synced) + 1;
    if (trimmed.base >= firstSeq) {
      this.#addNotice({ kind: "journal.dropped", lane, firstSeq, lastSeq: trimmed.base });
    }
    update.tail = trimmed;
  }

  #addNotice(event: Notice["event"]): void {
    this.#notices = undefined;
    this.#run("INSERT INTO notices (event) VALUES (?)", JSON.stringify(event));
  }

  #rows(lane: Lane): LaneRows {
    return this.#lanes.get(lane)!;
  }

  /** Commits what `work` does, or nothing. */
  #transaction<T>(work: () => T): T {
    this.#run("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#run("COMMIT");
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#run("ROLLBACK");
      throw error;
    }
  }

  #meta(name: string): number {
    const row = this.#statement("SELECT value FROM meta WHERE name=?").get(name);
    if (!Number.isSafeInteger(row?.value)) {
      throw new StoreFault("corrupt", `the journal does not say its ${name}`);
    }
    return row!.value as number;
  }

  #number(sql: string): number {
    return Object.values(this.#statement(sql).get() ?? {})[0] as number;
  }

  #run(sql: string, ...values: (number | string | Uint8Array)[]): number {
    return this.#statement(sql).run(...values).changes as number;
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function identityOf(path: string): FileIdentity {
  try {
    const { dev, ino } = Deno.statSync(path);
    return { dev, ino };
  } catch (cause) {
    throw new StoreFault("corrupt", `${path} was deleted`, { cause });
  }
}
