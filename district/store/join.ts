import { genesisHash } from "../../sync/wire/mod.ts";
import type { CheckedBatch } from "./contract.ts";

/** How far a lane is stored. */
export interface Cursor {
  readonly seq: number;
  /** Chain hash after the event `seq`. */
  readonly hash: Uint8Array;
}

/** What of a batch is to be stored. */
export type Joined =
  | { readonly refused: "gap" | "chain-broken" }
  | {
    readonly refused?: undefined;
    /** Events at the batch's start that are stored already; all of them when there is nothing new. */
    readonly skip: number;
    /** Where the chain was left, when a dropped span is skipped. */
    readonly gapFrom?: Cursor;
  };

/** Whether two byte strings are the same. Nothing secret is compared with it. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/**
 * How a batch joins what is stored (`at`; `undefined` before the lane's first event). What overlaps
 * must be the same as what is stored, or the box's store was rewound and its new events would be
 * taken for old ones. `bytesAt` gives a stored event.
 */
export function joinBatch(
  batch: CheckedBatch,
  at: Cursor | undefined,
  bytesAt: (seq: number) => Uint8Array | undefined,
): Joined {
  const cursor = at ?? { seq: 0, hash: genesisHash(batch.epoch, batch.lane) };
  const { firstSeq, events } = batch;
  if (firstSeq > cursor.seq + 1) {
    // Only telemetry is ever given up unsynced; in any other lane something is missing.
    if (!batch.afterDrop || batch.lane !== "telemetry") return { refused: "gap" };
    return { skip: 0, gapFrom: cursor };
  }
  const overlap = cursor.seq + 1 - firstSeq;
  if (overlap <= events.length) {
    const joint = overlap === 0 ? batch.prevHash : events[overlap - 1]!.hash;
    return equalBytes(joint, cursor.hash) ? { skip: overlap } : { refused: "chain-broken" };
  }
  // It ends before the cursor, whose hash says nothing of it.
  for (let index = 0; index < events.length; index++) {
    const stored = bytesAt(firstSeq + index);
    // Nothing is stored of a dropped span.
    if (stored !== undefined && !equalBytes(stored, events[index]!.bytes)) {
      return { refused: "chain-broken" };
    }
  }
  return { skip: events.length };
}
