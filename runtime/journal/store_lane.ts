import type { DatabaseSync, StatementSync } from "node:sqlite";
import { CHAIN_HASH_BYTES, chainHashAll, genesisHash } from "../../sync/wire/chain.ts";
import type { Lane } from "../../sync/wire/events.ts";
import { readBlock, sameHash } from "./block.ts";
import { StoreFault } from "./fault.ts";
import type { ReadResult } from "./protocol.ts";

/** Where a lane is. */
export interface LaneTail {
  /** Last event. */
  readonly head: number;
  /** Chain hash after the last event. */
  readonly hash: Uint8Array;
  /** Last event that the district has. */
  readonly synced: number;
  /** Last event that is stored no more, 0 if all are. */
  readonly base: number;
  /** Chain hash after event `base`. */
  readonly baseHash: Uint8Array;
}

/** What a lane's tail becomes once the transaction is through. */
export interface LaneUpdate {
  readonly lane: Lane;
  tail: LaneTail;
}

/** A row, with the chain hash before it. */
export interface LaneBlockRow {
  readonly first: number;
  readonly commitNo: number;
  readonly events: readonly Uint8Array[];
  /** Chain hash before its first event. */
  readonly prev: Uint8Array;
  /** Chain hash after its last event, as stored. */
  readonly hash: Uint8Array;
}

interface Row {
  readonly first: number;
  readonly count: number;
  readonly commit_no: number;
  readonly hash: Uint8Array;
  readonly data: Uint8Array;
}

/** The rows of one lane, and in memory where it is. Transactions are its caller's. */
export class LaneRows {
  /** Number of the last commit that stored something in this lane. */
  readonly lastCommitNo: number;
  readonly #lane: Lane;
  readonly #insert: StatementSync;
  readonly #cursors: StatementSync;
  readonly #before: StatementSync;
  readonly #from: StatementSync;
  readonly #drop: StatementSync;
  #tail: LaneTail;

  /** @throws {@link StoreFault} `corrupt` when the last block does not fit what is before it. */
  constructor(db: DatabaseSync, lane: Lane, epoch: number) {
    this.#lane = lane;
    const table = `${lane}_events`;
    this.#insert = db.prepare(`INSERT INTO ${table} VALUES (?, ?, ?, ?, ?)`);
    this.#cursors = db.prepare("UPDATE lanes SET synced=?, base=?, base_hash=? WHERE lane=?");
    this.#before = db.prepare(
      `SELECT first, count, hash FROM ${table} WHERE first<=? ORDER BY first DESC LIMIT 2`,
    );
    this.#from = db.prepare(
      `SELECT first, count, commit_no, hash, data FROM ${table} WHERE first>=? ORDER BY first`,
    );
    this.#drop = db.prepare(`DELETE FROM ${table} WHERE first<=?`);

    const cursors = db.prepare("SELECT synced, base, base_hash FROM lanes WHERE lane=?").get(lane);
    if (cursors === undefined) throw this.#corrupt("its cursors are missing");
    const [synced, base] = [cursors.synced as number, cursors.base as number];
    const baseHash = cursors.base_hash as Uint8Array;
    if (!Number.isInteger(synced) || !Number.isInteger(base) || !isHash(baseHash)) {
      throw this.#corrupt("its cursors are malformed");
    }
    const last = db.prepare(`SELECT max(first) AS first FROM ${table}`).get()?.first as
      | number
      | null;
    this.#tail = { head: base, hash: baseHash, synced, base, baseHash };
    if (base === 0 && !sameHash(baseHash, genesisHash(epoch, lane))) {
      throw this.#corrupt("its chain does not begin at the beginning");
    }
    let lastCommitNo = 0;
    if (last !== null) {
      for (const { first, commitNo, events, prev, hash } of this.blocks(last)) {
        if (!sameHash(chainHashAll(prev, events), hash)) {
          throw this.#corrupt(`the chain breaks at ${first}`);
        }
        this.#tail = { ...this.#tail, head: first + events.length - 1, hash };
        lastCommitNo = commitNo;
      }
    }
    this.lastCommitNo = lastCommitNo;
    const { head } = this.#tail;
    if (base > head || synced > head) {
      throw this.#corrupt(`its cursors are beyond its last event ${head}`);
    }
  }

  /** As of the last transaction. */
  get tail(): LaneTail {
    return this.#tail;
  }

  /** Takes over what a transaction has changed, now that it is through. */
  take({ tail }: LaneUpdate): void {
    this.#tail = tail;
  }

  /** Stores a block after the last one. */
  append(block: Uint8Array, count: number, commitNo: number): LaneUpdate {
    const { head } = this.#tail;
    const hash = chainHashAll(this.#tail.hash, readBlock(block, count).events);
    this.#insert.run(head + 1, count, commitNo, hash, block);
    return { lane: this.#lane, tail: { ...this.#tail, head: head + count, hash } };
  }

  /** Stores the cursors of `tail`. */
  storeCursors(tail: LaneTail): void {
    this.#cursors.run(tail.synced, tail.base, tail.baseHash, this.#lane);
  }

  /**
   * Deletes the oldest blocks that end at or before `limit`; the last block stays, since it tells
   * where the lane is. `undefined` when there is none to delete.
   */
  trim(tail: LaneTail, limit: number): LaneTail | undefined {
    const rows = this.#before.all(Math.min(limit, tail.head)) as unknown as Row[];
    const last = rows.find(({ first, count }) =>
      first + count - 1 <= limit && first + count - 1 < tail.head
    );
    if (last === undefined) return undefined;
    if (!isHash(last.hash)) throw this.#corrupt(`the block at ${last.first} is malformed`);
    this.#drop.run(last.first);
    const trimmed = { ...tail, base: last.first + last.count - 1, baseHash: last.hash };
    this.storeCursors(trimmed);
    return trimmed;
  }

  /**
   * Blocks from the one that holds `fromSeq`, in order.
   *
   * @throws {@link StoreFault} `corrupt` where one is missing or malformed.
   */
  *blocks(fromSeq: number): Generator<LaneBlockRow> {
    const { base, baseHash } = this.#tail;
    const [at, before] = this.#before.all(fromSeq) as unknown as Row[];
    if (at === undefined) throw this.#corrupt(`event ${fromSeq} is missing`);
    if (before !== undefined && !isHash(before.hash)) {
      throw this.#corrupt(`the block at ${before.first} is malformed`);
    }
    let [end, prev] = before === undefined
      ? [base, baseHash]
      : [before.first + before.count - 1, before.hash];
    for (const raw of this.#from.iterate(at.first)) {
      const row = raw as unknown as Row;
      if (row.first !== end + 1) throw this.#corrupt(`events after ${end} are missing`);
      if (!isRow(row)) throw this.#corrupt(`the block at ${row.first} is malformed`);
      const { first, commit_no: commitNo, hash } = row;
      yield { first, commitNo, events: readBlock(row.data, row.count).events, prev, hash };
      [end, prev] = [first + row.count - 1, hash];
    }
  }

  /**
   * Events after `afterSeq`, checked against the chain as far as whole blocks are read.
   *
   * @throws {@link StoreFault} `corrupt` where they do not fit it.
   */
  read(
    afterSeq: number,
    limit: { readonly eventsMax: number; readonly bytesMax: number },
  ): Omit<ReadResult, "epoch"> | undefined {
    const { head, base } = this.#tail;
    const firstSeq = Math.max(afterSeq, base) + 1;
    if (firstSeq > head || limit.eventsMax < 1) return undefined;
    const taken: Uint8Array[] = [];
    let bytesTaken = 0;
    const fits = (event: Uint8Array | undefined) =>
      event !== undefined && taken.length < limit.eventsMax &&
      (taken.length === 0 || bytesTaken + event.length <= limit.bytesMax);
    let prevHash: Uint8Array | undefined;
    let headHash = this.#tail.hash;
    let isEnough = false;
    for (const { first, events, prev, hash } of this.blocks(firstSeq)) {
      const from = Math.max(0, firstSeq - first);
      const start = from === 0 ? prev : chainHashAll(prev, events.slice(0, from));
      prevHash ??= start;
      let to = from;
      for (; fits(events[to]); to++) {
        taken.push(events[to]!);
        bytesTaken += events[to]!.length;
      }
      headHash = chainHashAll(start, events.slice(from, to));
      isEnough = to < events.length;
      if (isEnough) break;
      if (!sameHash(headHash, hash)) throw this.#corrupt(`the chain breaks at ${first}`);
    }
    // A page that lost count of its rows just ends early.
    if (prevHash === undefined || !isEnough && firstSeq + taken.length <= head) {
      throw this.#corrupt(`events after ${firstSeq + taken.length - 1} are missing`);
    }
    const bytes = new Uint8Array(bytesTaken);
    const lengths = Uint32Array.from(taken, (event) => event.length);
    let offset = 0;
    for (const event of taken) {
      bytes.set(event, offset);
      offset += event.length;
    }
    return { firstSeq, prevHash, headHash, bytes: bytes.buffer, lengths };
  }

  #corrupt(what: string): StoreFault {
    return new StoreFault("corrupt", `lane ${this.#lane}: ${what}`);
  }
}

/** A STRICT table holds what its columns say, but only while its pages are sound. */
function isRow({ count, commit_no, hash, data }: Row): boolean {
  return Number.isInteger(count) && count > 0 && Number.isInteger(commit_no) && isHash(hash) &&
    data instanceof Uint8Array;
}

function isHash(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length === CHAIN_HASH_BYTES;
}
