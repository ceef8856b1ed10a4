/**
 * What can still be read of a store that is going to be replaced: the events that the district does
 * not have, as far as the chain vouches for them, and the commands that were carried out.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { CHAIN_HASH_BYTES, chainHashAll } from "../../sync/wire/chain.ts";
import { type Lane, LANES } from "../../sync/wire/events.ts";
import { readBlock, sameHash } from "./block.ts";
import { APPLICATION_ID } from "./store_schema.ts";

/** Bytes of events carried over at most: about 150,000 events, read and hashed within a second. */
const SALVAGE_BYTES_MAX = 16 << 20;
/** Command ids carried over at most, as many as a store holds. */
const SEEN_MAX = 100_000;

/** Where a lane was, as the process knew it. */
export interface KnownLane {
  readonly lane: Lane;
  readonly head: number;
  readonly synced: number;
}

/** A command id that was noted. */
export interface SeenRow {
  readonly id: string;
  readonly expires: number;
}

/** What was saved. */
export interface Salvage {
  /** Unsynced events of each lane in order. */
  readonly events: ReadonlyMap<Lane, readonly Uint8Array[]>;
  /** Command ids that were noted. */
  readonly seen: readonly SeenRow[];
  /** For a person: what was saved, and what was not. */
  readonly summary: string;
}

/** Nothing. */
export const NOTHING_SALVAGED: Salvage = {
  events: new Map(),
  seen: [],
  summary: "nothing of it can be read",
};

interface Row {
  readonly first: number;
  readonly count: number;
  readonly hash: Uint8Array;
  readonly data: Uint8Array;
}

/** Reads what it can from `db`; never throws. `known` says where the lanes were, if anybody knows. */
export function salvage(db: DatabaseSync, known: readonly KnownLane[] | undefined): Salvage {
  const events = new Map<Lane, Uint8Array[]>();
  const unread: string[] = [];
  let [saved, bytesLeft] = [0, SALVAGE_BYTES_MAX];
  if (attempt(() => db.prepare("PRAGMA application_id").get()?.application_id) !== APPLICATION_ID) {
    return NOTHING_SALVAGED;
  }
  for (const lane of LANES) {
    const synced = syncedOf(db, lane, known);
    if (synced === undefined) {
      // Sending everything again would tell the district twice what it has.
      unread.push(`${lane}: not known what the district has`);
      continue;
    }
    const head = known?.find((each) => each.lane === lane)?.head;
    const found = salvageLane(db, lane, { synced, head: head ?? Infinity }, bytesLeft);
    events.set(lane, found.events);
    saved += found.events.length;
    bytesLeft -= found.bytes;
    const missing = head === undefined ? undefined : head - synced - found.events.length;
    if (missing !== undefined && missing > 0) unread.push(`${lane}: ${missing} events lost`);
    else if (found.broken) unread.push(`${lane}: read in part`);
  }
  const seen = attempt(() =>
    db.prepare("SELECT id, expires FROM seen LIMIT ?").all(SEEN_MAX)
      .map(({ id, expires }) => ({ id, expires }) as unknown as SeenRow)
      .filter(({ id, expires }) => typeof id === "string" && Number.isSafeInteger(expires))
  ) ?? [];
  const summary = [`${saved} unsynced events saved`, ...unread].join("; ");
  return { events, seen, summary };
}

function syncedOf(
  db: DatabaseSync,
  lane: Lane,
  known: readonly KnownLane[] | undefined,
): number | undefined {
  const stored = attempt(() =>
    db.prepare("SELECT synced FROM lanes WHERE lane=?").get(lane)?.synced
  );
  return known?.find((each) => each.lane === lane)?.synced ??
    (typeof stored === "number" ? stored : undefined);
}

function salvageLane(
  db: DatabaseSync,
  lane: Lane,
  { synced, head }: { synced: number; head: number },
  bytesMax: number,
): { events: Uint8Array[]; bytes: number; broken: boolean } {
  const table = `${lane}_events`;
  const columns = "SELECT first, count, hash, data FROM";
  // From the block before the first unsynced event on: its hash vouches for the next one.
  const before = attempt(() =>
    db.prepare(`SELECT first FROM ${table} WHERE first<=? ORDER BY first DESC LIMIT 2`)
      .all(synced + 1).at(-1)?.first
  );
  const from = typeof before === "number" ? before : 0;
  const up = collect(() => db.prepare(`${columns} ${table} WHERE first>=? ORDER BY first`), from);
  const rows = up.rows;
  if (up.broken) {
    // A page in the middle may be gone while those behind it are not.
    const end = rows.at(-1)?.first ?? from - 1;
    const down = collect(
      () => db.prepare(`${columns} ${table} WHERE first>? ORDER BY first DESC`),
      end,
    );
    rows.push(...down.rows.reverse().filter(({ first }) => first > end));
  }
  const base = attempt(() =>
    db.prepare("SELECT base, base_hash FROM lanes WHERE lane=?").get(lane)
  );
  let end = typeof base?.base === "number" ? base.base : -1;
  let prev: Uint8Array = base?.base_hash instanceof Uint8Array ? base.base_hash : new Uint8Array();
  const events: Uint8Array[] = [];
  let bytes = 0;
  let { broken } = up;
  for (const { first, count, hash, data } of rows) {
    const block = attempt(() => readBlock(data, count).events);
    // The chain vouches for a block only together with the hash before it.
    if (block !== undefined && first === end + 1 && sameHash(chainHashAll(prev, block), hash)) {
      for (const [index, event] of block.entries()) {
        // What is beyond the head was not acknowledged, and will be appended again by who waits for it.
        if (first + index <= synced || first + index > head) continue;
        bytes += event.length;
        if (bytes > bytesMax) return { events, bytes: bytesMax, broken: true };
        events.push(event.slice());
      }
    } else if (first + count - 1 > synced && first > from) broken = true;
    [end, prev] = [first + count - 1, hash];
  }
  return { events, bytes, broken };
}

/** All rows until one cannot be read, or the bound is reached. */
function collect(
  prepare: () => ReturnType<DatabaseSync["prepare"]>,
  from: number,
): { rows: Row[]; broken: boolean } {
  const rows: Row[] = [];
  let bytes = 0;
  try {
    for (const raw of prepare().iterate(from)) {
      const row = raw as unknown as Row;
      if (!isRow(row)) continue;
      bytes += row.data.length;
      if (bytes > 2 * SALVAGE_BYTES_MAX) return { rows, broken: true };
      rows.push(row);
    }
    return { rows, broken: false };
  } catch {
    return { rows, broken: true };
  }
}

function isRow(row: Row): boolean {
  return Number.isSafeInteger(row.first) && Number.isSafeInteger(row.count) &&
    row.hash instanceof Uint8Array && row.hash.length === CHAIN_HASH_BYTES &&
    row.data instanceof Uint8Array;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
