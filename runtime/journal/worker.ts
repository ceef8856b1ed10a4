/**
 * The journal's own thread: whatever the disk does, the door's thread does not wait for it. It has
 * no clock and no timers; it does what it is asked, in order.
 *
 * @module
 */
import {
  type JournalAnswer,
  type JournalRequest,
  packBytes,
  type PackedBatch,
  type StorePosition,
  unpackBytes,
} from "./messages.ts";
import type { LaneQuota } from "./quotas.ts";
import { isFull, isSpoilt, openStore, replaceStore } from "./set_aside.ts";
import type { Dropped, JournalStore } from "./store.ts";
import type { Lane } from "../../sync/wire/events.ts";

const scope = self as unknown as {
  onmessage: ((message: MessageEvent<{ id: number; request: JournalRequest }>) => void) | null;
  postMessage(message: { id: number; answer: JournalAnswer }, transfer: ArrayBuffer[]): void;
  close(): void;
};

let store: JournalStore | undefined;
let dataDir = "";
let quotas: Readonly<Record<Lane, LaneQuota>>;

interface Done {
  readonly dropped?: readonly Dropped[];
  readonly batch?: PackedBatch | undefined;
  readonly first?: boolean;
}

function carryOut(request: Exclude<JournalRequest, { kind: "open" | "close" }>): Done {
  const at = store!;
  switch (request.kind) {
    case "append":
      return { dropped: at.commit(request.lanes, unpackBytes(request.bytes, request.lengths)) };
    case "read": {
      const { lane, afterSeq, eventsMax, bytesMax } = request;
      const found = at.read(lane, afterSeq, eventsMax, bytesMax);
      if (found === undefined) return { batch: undefined };
      const { events, ...rest } = found;
      return { batch: { lane, epoch: at.epoch, ...rest, ...packBytes(events) } };
    }
    case "acknowledge":
      at.acknowledge(request.acks.filter((ack) => ack.epoch === at.epoch));
      return {};
    case "first-seen":
      return { first: at.firstSeen(request.id, request.expiresWallMs, request.wallMs) };
    default:
      return request satisfies never;
  }
}

function position(): StorePosition {
  const { epoch, boot, lanes } = store!;
  return {
    epoch,
    boot,
    lanes: lanes.map(({ head, synced, base }) => ({ head, synced, base })),
  };
}

function answer(request: JournalRequest): JournalAnswer {
  try {
    if (request.kind === "open") {
      ({ dataDir, quotas } = request);
      const opened = openStore(dataDir, quotas, request.wallMs);
      store = opened.store;
      return { ok: true, position: position(), replaced: opened.replaced, dropped: [] };
    }
    if (request.kind === "close") {
      const last = position();
      store![Symbol.dispose]();
      return { ok: true, position: last, replaced: undefined, dropped: [] };
    }
    try {
      const done = carryOut(request);
      return { ok: true, position: position(), replaced: undefined, dropped: [], ...done };
    } catch (cause) {
      if (!isSpoilt(cause)) throw cause;
      const { epoch } = store!;
      store![Symbol.dispose]();
      const opened = replaceStore(dataDir, quotas, request.wallMs, cause, epoch);
      store = opened.store;
      // Once more, in the new store. A second failure is told.
      const done = carryOut(request);
      return { ok: true, position: position(), replaced: opened.replaced, dropped: [], ...done };
    }
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    return { ok: false, full: isFull(cause), message };
  }
}

scope.onmessage = ({ data: { id, request } }) => {
  const result = answer(request);
  const transfer = result.ok && result.batch !== undefined
    ? [result.batch.bytes.buffer, result.batch.lengths.buffer]
    : [];
  scope.postMessage({ id, answer: result }, transfer);
  if (request.kind === "close") scope.close();
};
