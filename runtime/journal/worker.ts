/**
 * The journal's worker: owns the SQLite file, so that waiting for the disk never delays the door.
 * It answers requests one by one and sets no timers.
 *
 * @module
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { storeFault } from "./fault.ts";
import { StoreKeeper } from "./keeper.ts";
import type { JournalReply, JournalRequest, JournalResult, Notice } from "./protocol.ts";

let keeper: StoreKeeper | undefined;
/** Newest notice that the main side was told of, in the epoch that it was of. */
let told = { epoch: 0, id: 0 };

function carryOut(request: JournalRequest): JournalResult {
  const { wallMs } = request;
  if (request.kind === "open") {
    const { dataDir, quotas, storeBytesMax } = request;
    keeper = new StoreKeeper({ dataDir, quotas, storeBytesMax });
    keeper.open(wallMs);
    return { kind: "opened", boot: keeper.boot };
  }
  if (keeper === undefined) throw new Error(`${request.kind} before open`);
  switch (request.kind) {
    case "commit": {
      const bytes = new Uint8Array(request.bytes);
      const notices = { epoch: request.epoch, ids: request.notices };
      const { firstSeqs } = keeper.commit(request.blocks, bytes, notices, wallMs);
      return { kind: "committed", firstSeqs };
    }
    case "read": {
      const found = keeper.use(
        (store) => store.read(request.lane, request.afterSeq, request),
        wallMs,
      );
      return { kind: "read", found };
    }
    case "acknowledge":
      keeper.use((store) => store.acknowledge(request.acks), wallMs);
      return { kind: "acknowledged" };
    case "firstSeen": {
      const { command, expiresWallMs, forget } = request;
      const first = keeper.use(
        (store) => store.firstSeen(command, expiresWallMs, wallMs, forget),
        wallMs,
      );
      return { kind: "firstSeen", first };
    }
    case "close":
      keeper.close(wallMs);
      return { kind: "closed" };
    default:
      return request satisfies never;
  }
}

/** Notices since the last answer. */
function news(epoch: number | undefined): Notice[] {
  if (epoch === undefined || keeper === undefined) return [];
  if (epoch !== told.epoch) told = { epoch, id: 0 };
  const notices = keeper.notices().filter(({ id }) => id > told.id);
  told.id = notices.at(-1)?.id ?? told.id;
  return notices;
}

function answer(request: JournalRequest): JournalReply {
  const { id } = request;
  let result: JournalResult;
  try {
    result = carryOut(request);
  } catch (error) {
    const { kind, message } = storeFault(error);
    result = { kind: "failed", error: kind === "full" ? "full" : "store", message };
  }
  try {
    const state = keeper?.state();
    return { id, result, state, notices: news(state?.epoch) };
  } catch {
    // What is wrong with the store will show at the next request, which mends it.
    return { id, result, state: undefined, notices: [] };
  }
}

self.onmessage = ({ data }: MessageEvent<JournalRequest>) => {
  const reply = answer(data);
  const found = reply.result.kind === "read" ? reply.result.found : undefined;
  self.postMessage(
    reply,
    found === undefined ? [] : [found.bytes, found.lengths.buffer as ArrayBuffer],
  );
};
