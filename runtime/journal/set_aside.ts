/**
 * What happens to a store that cannot be trusted: it is renamed, what is still good in it is
 * carried over, and a new one of the next epoch takes its place.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { dirname, join } from "node:path";
import { chainHash, LANES } from "../../sync/wire/mod.ts";
import type { LaneQuota } from "./quotas.ts";
import { JournalStore } from "./store.ts";
import type { Lane } from "../../sync/wire/mod.ts";

/** Spoilt stores kept for whoever wants to know why; older ones go. */
const SET_ASIDE_MAX = 3;
/** Unsynced events carried over from a spoilt store: a week of a large school. */
const SALVAGE_EVENTS_MAX = 200_000;

/** The store's file in a data folder. */
export function journalPath(dataDir: string): string {
  return join(dataDir, "journal.db");
}

function readEpoch(dataDir: string): number {
  try {
    const epoch = Number(Deno.readTextFileSync(join(dataDir, "journal.epoch")));
    return Number.isSafeInteger(epoch) && epoch > 0 ? epoch : 0;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return 0;
    throw cause;
  }
}

/** Replaces `journal.epoch` durably: it must grow even when the store beside it is lost. */
function writeEpoch(dataDir: string, epoch: number): void {
  const path = join(dataDir, "journal.epoch");
  {
    using file = Deno.openSync(`${path}.new`, { write: true, create: true, truncate: true });
    file.writeSync(new TextEncoder().encode(String(epoch)));
    file.syncSync();
  }
  Deno.renameSync(`${path}.new`, path);
  using folder = Deno.openSync(dirname(path));
  folder.syncSync();
}

/** A store that was opened, and what became of the one before it. */
export interface OpenedStore {
  readonly store: JournalStore;
  readonly replaced: { readonly file: string; readonly detail: string } | undefined;
}

/** Opens the store of `dataDir`; one that cannot be trusted is set aside and replaced. */
export function openStore(
  dataDir: string,
  quotas: Readonly<Record<Lane, LaneQuota>>,
  wallMs: number,
): OpenedStore {
  const path = journalPath(dataDir);
  const lastEpoch = readEpoch(dataDir);
  const exists = isThere(path);
  try {
    const store = new JournalStore(path, lastEpoch + 1, 0, quotas);
    if (store.epoch !== lastEpoch) writeEpoch(dataDir, Math.max(store.epoch, lastEpoch));
    return { store, replaced: undefined };
  } catch (cause) {
    if (!exists || !isSpoilt(cause)) throw cause;
    return replaceStore(dataDir, quotas, wallMs, cause, lastEpoch);
  }
}

/** Sets the store of `dataDir`, which must be closed, aside because of `cause`, and makes the next one. */
export function replaceStore(
  dataDir: string,
  quotas: Readonly<Record<Lane, LaneQuota>>,
  wallMs: number,
  cause: unknown,
  epochAtLeast: number,
): OpenedStore {
  const path = journalPath(dataDir);
  const lastEpoch = Math.max(readEpoch(dataDir), epochAtLeast);
  const file = `journal-${wallMs}.corrupt`;
  for (const suffix of ["", "-wal", "-shm"]) {
    if (isThere(path + suffix)) Deno.renameSync(path + suffix, join(dataDir, file) + suffix);
  }
  forgetOldest(dataDir);
  writeEpoch(dataDir, lastEpoch + 1);
  const { boot, lanes, events, complete } = salvage(join(dataDir, file));
  const store = new JournalStore(path, lastEpoch + 1, boot, quotas);
  if (events.length > 0) store.commit(lanes, events);
  const rest = complete ? "" : "; what was not synced may be lost in part";
  const why = cause instanceof Error ? cause.message : String(cause);
  const detail = `${why}; ${events.length} unsynced events carried over${rest}`.slice(0, 500);
  return { store, replaced: { file, detail } };
}

interface Salvaged {
  readonly boot: number;
  readonly lanes: number[];
  readonly events: Uint8Array[];
  /** Every unsynced event was found. */
  readonly complete: boolean;
}

/** Unsynced events of a spoilt store, as far as their chain proves them whole. */
function salvage(path: string): Salvaged {
  const found: { boot: number; lanes: number[]; events: Uint8Array[] } = {
    boot: 0,
    lanes: [],
    events: [],
  };
  let complete = true;
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path);
    const boot = db.prepare("SELECT value FROM meta WHERE key='boot'").get() as { value: number };
    found.boot = boot.value;
    for (const number of LANES.keys()) complete = salvageLane(db, number, found) && complete;
  } catch {
    // Nothing more can be read: that is what spoilt means. The caller says how much was found.
    complete = false;
  } finally {
    db?.close();
  }
  return { ...found, complete };
}

function salvageLane(
  db: DatabaseSync,
  number: number,
  found: { lanes: number[]; events: Uint8Array[] },
): boolean {
  const lane = db.prepare(
    "SELECT head, synced, base, base_hash AS baseHash FROM lanes WHERE lane=?",
  )
    .get(number) as { head: number; synced: number; base: number; baseHash: Uint8Array };
  const from = Math.max(lane.synced, lane.base);
  const before = from === lane.base
    ? { hash: lane.baseHash }
    : db.prepare("SELECT hash FROM events WHERE lane=? AND seq=?").get(number, from) as {
      hash: Uint8Array;
    };
  let { hash } = before;
  let seq = from;
  const rows = db.prepare("SELECT seq, bytes, hash FROM events WHERE lane=? AND seq>? ORDER BY seq")
    .iterate(number, from) as Iterable<{ seq: number; bytes: Uint8Array; hash: Uint8Array }>;
  for (const row of rows) {
    const next = chainHash(hash, row.bytes);
    const whole = row.seq === seq + 1 && next.every((byte, index) => byte === row.hash[index]);
    if (!whole || found.events.length >= SALVAGE_EVENTS_MAX) return false;
    found.lanes.push(number);
    found.events.push(row.bytes);
    hash = next;
    seq++;
  }
  return seq === lane.head;
}

/** Whether a store's error means that its content cannot be trusted (SQLite result codes). */
export function isSpoilt(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  if (cause.name === "BrokenStoreError" || cause instanceof Deno.errors.NotFound) return true;
  const code = (cause as { errcode?: number }).errcode;
  if (code === undefined) return false;
  // ERROR (a table is missing), READONLY (the file was moved), IOERR, CORRUPT, CANTOPEN, NOTADB.
  return [1, 8, 10, 11, 14, 26].includes(code & 0xff);
}

/** Whether an error means that there is no room (SQLITE_FULL). */
export function isFull(cause: unknown): boolean {
  return ((cause as { errcode?: number }).errcode ?? 0) % 256 === 13;
}

function forgetOldest(dataDir: string): void {
  const names = Array.from(Deno.readDirSync(dataDir), (entry) => entry.name)
    .filter((name) => /^journal-\d+\.corrupt$/.test(name))
    .sort((a, b) => Number(a.split(/[-.]/)[1]) - Number(b.split(/[-.]/)[1]));
  for (const name of names.slice(0, -SET_ASIDE_MAX)) {
    for (const suffix of ["", "-wal", "-shm"]) {
      const path = join(dataDir, name + suffix);
      if (isThere(path)) Deno.removeSync(path);
    }
  }
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return false;
    throw cause;
  }
}
