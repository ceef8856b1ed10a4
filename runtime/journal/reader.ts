/**
 * The journal's file as another process reads it: `gatehouse events`, and whoever checks it. It never
 * holds a read lock between two calls, so that the box's checkpoints go on.
 *
 * @module
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import {
  chainHashAll,
  decodeEvent,
  type EventId,
  genesisHash,
  type Lane,
  LANES,
  type RecordedEvent,
} from "../../sync/wire/mod.ts";
import { readBlock, sameHash } from "./block.ts";

/** Rows read at a time: a few thousand events at most. */
const PAGE_ROWS = 200;
const BUSY_TIMEOUT_MS = 5_000;

/** One event as it stands in the file. */
export type StoredEvent = EventId & RecordedEvent;

/** The state of one lane's chain. */
export interface LaneVerdict {
  readonly lane: Lane;
  /** Events whose place in the chain is sound. */
  readonly events: number;
  readonly head: number;
  /** Sequence number at which the chain breaks; absent when it is whole. */
  readonly brokenAt?: number;
}

interface Row {
  readonly first: number;
  readonly count: number;
  readonly commit_no: number;
  readonly hash: Uint8Array;
  readonly data: Uint8Array;
}

/** One event with its place among those of all lanes. */
interface Placed {
  readonly seq: number;
  readonly bytes: Uint8Array;
  readonly commitNo: number;
  readonly place: number;
}

/** A journal opened for reading beside the box that writes it. */
export class JournalReader implements Disposable {
  /** The store's epoch when it was opened. */
  readonly epoch: number;
  readonly #db: DatabaseSync;
  #closed = false;

  /** Opens the journal of a data folder. @throws SQLite's error when there is no journal in `dataDir` or it cannot be read. */
  constructor(dataDir: string) {
    this.#db = new DatabaseSync(join(dataDir, "journal.db"), {
      readOnly: true,
      timeout: BUSY_TIMEOUT_MS,
    });
    try {
      const row = this.#db.prepare("SELECT value FROM meta WHERE name='epoch'").get();
      if (typeof row?.value !== "number") throw new Error("the file is no journal");
      this.epoch = row.value;
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  /**
   * Events after the given positions (by lane), in the order in which they were appended, and moves
   * the positions on. Call it again to follow.
   *
   * @throws `WireError` at an event that this program cannot read; the positions are past it then.
   */
  *events(positions: Record<Lane, number>): Generator<StoredEvent> {
    const lanes = LANES.map((lane) => ({ lane, rows: this.#after(lane, positions[lane]) }))
      .map(({ lane, rows }) => ({ lane, rows, next: rows.next() }));
    for (;;) {
      let soonest: typeof lanes[number] | undefined;
      for (const lane of lanes) {
        if (lane.next.done) continue;
        if (soonest === undefined || before(lane.next.value, soonest.next.value)) soonest = lane;
      }
      if (soonest === undefined) return;
      const { lane } = soonest;
      const { seq, bytes } = soonest.next.value as Placed;
      positions[lane] = seq;
      yield { epoch: this.epoch, lane, seq, ...decodeEvent(bytes) };
      soonest.next = soonest.rows.next();
    }
  }

  /** Recomputes every chain, as of now. What cannot be read is where a chain breaks. */
  verify(): LaneVerdict[] {
    // One snapshot, however much the box appends and trims meanwhile.
    this.#db.exec("BEGIN");
    try {
      return LANES.map((lane) => this.#verify(lane));
    } finally {
      this.#db.exec("COMMIT");
    }
  }

  /** Closes the file; twice is fine. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#db.close();
  }

  #verify(lane: Lane): LaneVerdict {
    let [head, base] = [0, 0];
    const broken = () => ({ lane, events: head - base, head, brokenAt: head + 1 });
    try {
      const cursors = this.#db.prepare("SELECT base, base_hash FROM lanes WHERE lane=?").get(lane);
      let hash = cursors!.base_hash as Uint8Array;
      base = head = cursors!.base as number;
      if (base === 0 && !sameHash(hash, genesisHash(this.epoch, lane))) return broken();
      for (const row of this.#rows(lane, base + 1)) {
        hash = chainHashAll(hash, readBlock(row.data, row.count).events);
        if (row.first !== head + 1 || !sameHash(hash, row.hash)) return broken();
        head += row.count;
      }
      return { lane, events: head - base, head };
    } catch {
      return broken();
    }
  }

  /** Rows from the one that holds `seq` on. */
  *#rows(lane: Lane, seq: number): Generator<Row> {
    const table = `${lane}_events`;
    const at = this.#db.prepare(
      `SELECT max(first) AS first FROM ${table} WHERE first<=?`,
    ).get(seq)?.first as number | null;
    const page = this.#db.prepare(`SELECT * FROM ${table} WHERE first>=? ORDER BY first LIMIT ?`);
    for (let from = at ?? seq;;) {
      const rows = page.all(from, PAGE_ROWS) as unknown as Row[];
      yield* rows;
      if (rows.length < PAGE_ROWS) return;
      from = rows.at(-1)!.first + 1;
    }
  }

  *#after(lane: Lane, seq: number): Generator<Placed> {
    for (const { first, count, commit_no: commitNo, data } of this.#rows(lane, seq + 1)) {
      const { events, places } = readBlock(data, count);
      for (const [index, bytes] of events.entries()) {
        const own = first + index;
        if (own > seq) yield { seq: own, bytes, commitNo, place: places[index]! };
      }
    }
  }
}

function before(a: Placed, b: Placed): boolean {
  return a.commitNo !== b.commitNo ? a.commitNo < b.commitNo : a.place < b.place;
}
