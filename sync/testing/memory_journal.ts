import type { Cancel, Clock } from "../../hal/mod.ts";
import type {
  CommandMemory,
  EventSink,
  EventSource,
  JournalState,
  StoredBatch,
} from "../../runtime/journal/contract.ts";
import {
  type BoxEvent,
  chainHash,
  encodeEvent,
  type EventId,
  genesisHash,
  type Lane,
  LANE_OF,
  LANES,
} from "../wire/mod.ts";

interface Row {
  readonly seq: number;
  readonly bytes: Uint8Array;
  readonly prevHash: Uint8Array;
  readonly hash: Uint8Array;
}

interface Store {
  rows: Row[];
  head: number;
  hash: Uint8Array;
  synced: number;
}

/** A journal in memory, for tests of sync: nothing in it is durable. */
export class MemoryJournal implements EventSink, EventSource, CommandMemory {
  readonly #clock: Clock;
  readonly #listeners = new Set<(lanes: readonly Lane[]) => void>();
  readonly #seen = new Map<string, number>();
  readonly #lanes = new Map<Lane, Store>();
  #epoch = 0;

  /** An empty journal of epoch 1. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.replace();
  }

  /** As if the store had been corrupt: everything is gone, the epoch grows. */
  replace(): void {
    this.#epoch++;
    for (const lane of LANES) {
      this.#lanes.set(lane, {
        rows: [],
        head: 0,
        hash: genesisHash(this.#epoch, lane),
        synced: 0,
      });
    }
  }

  /** Gives up the oldest events of `lane` up to `seq`, synced or not. */
  drop(lane: Lane, seq: number): void {
    const store = this.#store(lane);
    store.rows = store.rows.filter((row) => row.seq > seq);
  }

  /** Forgets what was acknowledged, as a copy of the data folder from earlier does. */
  forgetSynced(): void {
    for (const store of this.#lanes.values()) store.synced = 0;
  }

  /** Ids of the commands that were noted, with when they may be forgotten. */
  get seen(): ReadonlyMap<string, number> {
    return this.#seen;
  }

  /** See the journal's contract; resolves without any durability. */
  append(event: BoxEvent): Promise<EventId> {
    const lane = LANE_OF[event.kind];
    const store = this.#store(lane);
    const bytes = encodeEvent({
      wallMs: this.#clock.wallMs(),
      monotonicMs: Math.floor(this.#clock.monotonicMs()),
      boot: 1,
      clock: "synchronised",
      event,
    });
    const prevHash = store.hash;
    store.hash = chainHash(prevHash, bytes);
    store.head++;
    store.rows.push({ seq: store.head, bytes, prevHash, hash: store.hash });
    const id = { epoch: this.#epoch, lane, seq: store.head };
    return Promise.resolve().then(() => {
      for (const listener of this.#listeners) listener([lane]);
      return id;
    });
  }

  /** See the journal's contract. */
  state(): JournalState {
    return {
      epoch: this.#epoch,
      lanes: LANES.map((lane) => {
        const { head, synced, rows } = this.#store(lane);
        return { lane, head, synced, oldest: rows[0]?.seq ?? head + 1 };
      }),
    };
  }

  /** See the journal's contract. */
  onDurable(listener: (lanes: readonly Lane[]) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** See the journal's contract. */
  read(
    lane: Lane,
    afterSeq: number,
    limit: { readonly eventsMax: number; readonly bytesMax: number },
  ): Promise<StoredBatch | undefined> {
    const { rows } = this.#store(lane);
    const from = rows.length === 0 ? 0 : Math.max(0, afterSeq + 1 - rows[0]!.seq);
    const taken: Row[] = [];
    let bytes = 0;
    for (const row of rows.slice(from, from + limit.eventsMax)) {
      bytes += row.bytes.length;
      if (bytes > limit.bytesMax && taken.length > 0) break;
      taken.push(row);
    }
    const first = taken[0];
    return Promise.resolve(
      first && {
        lane,
        epoch: this.#epoch,
        firstSeq: first.seq,
        prevHash: first.prevHash,
        events: taken.map((row) => row.bytes),
        headHash: taken.at(-1)!.hash,
      },
    );
  }

  /** See the journal's contract. */
  acknowledge(acks: readonly EventId[]): Promise<void> {
    for (const { lane, seq, epoch } of acks) {
      const store = this.#store(lane);
      if (epoch === this.#epoch) store.synced = Math.max(store.synced, seq);
    }
    return Promise.resolve();
  }

  /** See the journal's contract. */
  firstSeen(id: string, expiresWallMs: number): Promise<boolean> {
    const first = !this.#seen.has(id);
    if (first) this.#seen.set(id, expiresWallMs);
    return Promise.resolve(first);
  }

  #store(lane: Lane): Store {
    const store = this.#lanes.get(lane);
    if (store === undefined) throw new RangeError(`no lane ${lane}`);
    return store;
  }
}
