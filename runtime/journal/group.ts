import type { Cancel } from "../../hal/mod.ts";
import type { EventId, Lane } from "../../sync/wire/mod.ts";
import { BlockWriter } from "./block.ts";
import { JournalError } from "./contract.ts";
import type { LaneBlock, Notice } from "./protocol.ts";

interface Waiter {
  readonly resolve: (id: EventId) => void;
  readonly reject: (error: JournalError) => void;
}

interface GroupLane {
  readonly writer: BlockWriter;
  readonly waiters: Waiter[];
}

/** Events that are stored by one commit, and those who wait for it. */
export class EventGroup {
  /** It has waited long enough. */
  due = false;
  /** It waits for nothing. */
  urgent = false;
  /** Notices that its events tell of. */
  readonly notices: Notice[] = [];
  /** Stops the timer that would make it due. */
  cancel: Cancel = () => {};
  readonly #lanes = new Map<Lane, GroupLane>();
  #count = 0;

  /** Events in it. */
  get count(): number {
    return this.#count;
  }

  /** Adds an event; resolves when it is durable. */
  add(lane: Lane, bytes: Uint8Array): Promise<EventId> {
    let own = this.#lanes.get(lane);
    if (own === undefined) {
      own = { writer: new BlockWriter(), waiters: [] };
      this.#lanes.set(lane, own);
    }
    own.writer.add(bytes, this.#count++);
    const { waiters } = own;
    return new Promise((resolve, reject) => waiters.push({ resolve, reject }));
  }

  /** All of it in one buffer, which costs a message the least. */
  pack(): { readonly blocks: LaneBlock[]; readonly bytes: Uint8Array<ArrayBuffer> } {
    let length = 0;
    const blocks = [...this.#lanes].map(([lane, { writer }]) => {
      const offset = length;
      length += writer.used;
      return { lane, count: writer.count, offset, length: writer.used };
    });
    const bytes = new Uint8Array(length);
    for (const { lane, offset } of blocks) this.#lanes.get(lane)!.writer.copyTo(bytes, offset);
    return { blocks, bytes };
  }

  /** Tells those who wait where their events are; `firstSeqs` are those of `blocks`. */
  resolve(blocks: readonly LaneBlock[], epoch: number, firstSeqs: readonly number[]): void {
    blocks.forEach(({ lane }, index) => {
      const firstSeq = firstSeqs[index] ?? 0;
      this.#lanes.get(lane)!.waiters.forEach(({ resolve, reject }, at) => {
        if (firstSeq > 0) resolve({ epoch, lane, seq: firstSeq + at });
        else reject(new JournalError("full", "what room is left is for alarms and commands"));
      });
    });
  }

  /** Tells those who wait that nothing of it was stored. */
  reject(blocks: readonly LaneBlock[], error: JournalError): void {
    for (const { lane } of blocks) {
      for (const { reject } of this.#lanes.get(lane)!.waiters) reject(error);
    }
  }
}
