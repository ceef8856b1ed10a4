import {
  chainHash,
  genesisHash,
  headStatement,
  type Lane,
  verifySignature,
} from "../../../sync/wire/mod.ts";
import type { BoxRow, ChainReport } from "../contract.ts";
import { equalBytes } from "../join.ts";

interface Stream {
  readonly epoch: number;
  readonly lane: Lane;
  readonly seq: number;
  readonly headHash: Uint8Array;
  readonly headSignature: Uint8Array;
}

/** Recomputes one chain from its genesis over every stored event and declared gap to the signed head. */
export function verifyStream(
  box: BoxRow,
  stream: Stream,
  gapRows: readonly Record<string, unknown>[],
  events: Iterable<Record<string, unknown>>,
): ChainReport {
  const { epoch, lane, seq: headSeq } = stream;
  const gaps = gapRows.map((row) => ({
    afterSeq: Number(row.after_seq),
    firstSeq: Number(row.first_seq),
  }));
  let hash: Uint8Array = genesisHash(epoch, lane);
  let seq = 0;
  let count = 0;
  let fault: string | undefined;
  let gap = 0;
  for (const row of events) {
    const next = Number(row.seq);
    const declared = gaps[gap];
    if (declared !== undefined && declared.firstSeq === next) {
      const { after_hash, prev_hash } = gapRows[gap]!;
      if (declared.afterSeq !== seq || !equalBytes(after_hash as Uint8Array, hash)) {
        fault = `the events before the gap at ${next} are not those it was declared after`;
        break;
      }
      hash = prev_hash as Uint8Array;
      gap++;
    } else if (next !== seq + 1) {
      fault = `events ${seq + 1} to ${next - 1} are missing`;
      break;
    }
    hash = chainHash(hash, row.bytes as Uint8Array);
    seq = next;
    count++;
  }
  if (fault === undefined && seq !== headSeq) fault = `ends at ${seq}, its head is ${headSeq}`;
  if (fault === undefined && !equalBytes(hash, stream.headHash)) {
    fault = "an event is not the one that was received: the hashes differ";
  }
  const statement = headStatement(box.id, { lane, epoch, seq: headSeq, hash: stream.headHash });
  if (fault === undefined && !verifySignature(box.publicKey, statement, stream.headSignature)) {
    fault = "the head is not signed by the box";
  }
  return { epoch, lane, headSeq, events: count, gaps, fault };
}
