/**
 * The journal's file as another process reads it: `gatehouse events`, and whoever checks it.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import {
  chainHash,
  decodeEvent,
  type EventId,
  type Lane,
  LANES,
  type RecordedEvent,
} from "../../sync/wire/mod.ts";
import { journalPath } from "./set_aside.ts";

/** Rows read at a time. */
const PAGE_ROWS = 500;

/** One event as it stands in the file. */
export type StoredEvent = EventId & RecordedEvent;

/** The state of one lane's chain. */
export interface LaneVerdict {
  readonly lane: Lane;
  readonly events: number;
  readonly head: number;
  /** Sequence number at which the chain breaks; absent when it is whole. */
  readonly brokenAt?: number;
}

/** A journal opened for reading beside the box that writes it. */
export class JournalReader implements Disposable {
  /** The store's epoch when it was opened. */
  readonly epoch: number;
  readonly #db: DatabaseSync;
  #closed = false;

  /** @throws SQLite's error when there is no journal in `dataDir` or it cannot be read. */
  constructor(dataDir: string) {
    this.#db = new DatabaseSync(journalPath(dataDir), { readOnly: true });
    this.#db.exec("PRAGMA busy_timeout=5000");
    const row = this.#db.prepare("SELECT value FROM meta WHERE key='epoch'").get();
    this.epoch = (row as { value: number }).value;
  }

  /** All events of one lane after `afterSeq`, in order, with their bytes and hash. */
  *rows(
    lane: Lane,
    afterSeq: number,
  ): Generator<{ seq: number; bytes: Uint8Array; hash: Uint8Array }> {
    const statement = this.#db.prepare(
      "SELECT seq, bytes, hash FROM events WHERE lane=? AND seq>? ORDER BY seq LIMIT ?",
    );
    for (let from = afterSeq;;) {
      const page = statement.all(LANES.indexOf(lane), from, PAGE_ROWS) as unknown as {
        seq: number;
        bytes: Uint8Array;
        hash: Uint8Array;
      }[];
      yield* page;
      if (page.length < PAGE_ROWS) return;
      from = page.at(-1)!.seq;
    }
  }

  /**
   * Events after the given positions (by lane), in the order in which they happened, and moves the
   * positions on. Call it again to follow.
   */
  *events(positions: Record<Lane, number>): Generator<StoredEvent> {
    const lanes = LANES.map((lane) => ({ lane, rows: this.#decoded(lane, positions[lane]) }))
      .map(({ lane, rows }) => ({ lane, rows, next: rows.next() }));
    for (;;) {
      let first: typeof lanes[number] | undefined;
      for (const lane of lanes) {
        if (lane.next.done) continue;
        if (first === undefined || before(lane.next.value, first.next.value)) first = lane;
      }
      if (first === undefined) return;
      const event = first.next.value as StoredEvent;
      positions[first.lane] = event.seq;
      yield event;
      first.next = first.rows.next();
    }
  }

  /** Recomputes every chain. */
  verify(): LaneVerdict[] {
    return LANES.map((lane, number) => {
      const { head, base, baseHash } = this.#db.prepare(
        "SELECT head, base, base_hash AS baseHash FROM lanes WHERE lane=?",
      ).get(number) as { head: number; base: number; baseHash: Uint8Array };
      let [hash, seq] = [baseHash, base];
      for (const row of this.rows(lane, base)) {
        hash = chainHash(hash, row.bytes);
        seq++;
        if (row.seq !== seq || hash.some((byte, index) => byte !== row.hash[index])) {
          return { lane, events: seq - base - 1, head, brokenAt: seq };
        }
      }
      // The head as it was read may be older than the rows: the box goes on writing.
      return seq >= head
        ? { lane, events: seq - base, head: seq }
        : { lane, events: seq - base, head, brokenAt: seq + 1 };
    });
  }

  /** Closes the file; twice is fine. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#db.close();
  }

  *#decoded(lane: Lane, afterSeq: number): Generator<StoredEvent> {
    for (const { seq, bytes } of this.rows(lane, afterSeq)) {
      yield { epoch: this.epoch, lane, seq, ...decodeEvent(bytes) };
    }
  }
}

function before(a: StoredEvent, b: StoredEvent): boolean {
  return a.boot !== b.boot ? a.boot < b.boot : a.monotonicMs < b.monotonicMs;
}
