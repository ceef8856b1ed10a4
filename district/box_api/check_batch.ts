import {
  chainHash,
  decodeEvent,
  headStatement,
  LANE_OF,
  type LaneBatch,
  verifySignature,
  WireError,
} from "../../sync/wire/mod.ts";
import type { CheckedBatch } from "../store/contract.ts";
import { equalBytes } from "../store/join.ts";

/** A batch that checks out by itself, or why it does not. */
export type BatchCheck =
  | { readonly batch: CheckedBatch }
  | { readonly refused: "chain-broken" | "malformed"; readonly detail: string };

/** Decodes each event once, recomputes the chain, and verifies that the box vouches for its head. */
export function checkBatch(
  boxId: string,
  publicKey: Uint8Array,
  batch: LaneBatch,
): BatchCheck {
  const { lane, epoch, firstSeq } = batch;
  const head = {
    lane,
    epoch,
    seq: firstSeq + batch.events.length - 1,
    hash: batch.headHash,
  };
  if (!Number.isSafeInteger(head.seq)) return { refused: "malformed", detail: "seq is too large" };
  let hash = batch.prevHash;
  const hashes = batch.events.map((bytes) => hash = chainHash(hash, bytes));
  if (!equalBytes(hash, batch.headHash)) {
    return { refused: "chain-broken", detail: "the hashes do not lead to the head" };
  }
  if (!verifySignature(publicKey, headStatement(boxId, head), batch.headSignature)) {
    return { refused: "chain-broken", detail: "the head is not signed by the box" };
  }
  const events: CheckedBatch["events"][number][] = [];
  for (const [index, bytes] of batch.events.entries()) {
    try {
      const recorded = decodeEvent(bytes);
      if (LANE_OF[recorded.event.kind] !== lane) {
        throw new WireError(`event: ${recorded.event.kind} does not belong into lane ${lane}`);
      }
      events.push({ bytes, recorded, hash: hashes[index]! });
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return { refused: "malformed", detail: `${firstSeq + index}: ${error.message}` };
    }
  }
  return {
    batch: {
      lane,
      epoch,
      firstSeq,
      prevHash: batch.prevHash,
      events,
      headSignature: batch.headSignature,
      afterDrop: batch.afterDrop === true,
    },
  };
}
