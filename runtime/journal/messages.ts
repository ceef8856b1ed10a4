/**
 * Between the journal and its thread. Each request has an id; the answer to it carries the same.
 *
 * @module
 */
import type { Lane } from "../../sync/wire/mod.ts";
import type { StoredBatch } from "./contract.ts";
import type { LaneQuota } from "./quotas.ts";
import type { Dropped } from "./store.ts";

/** What the thread is asked. */
export type JournalRequest =
  | {
    readonly kind: "open";
    readonly dataDir: string;
    readonly quotas: Readonly<Record<Lane, LaneQuota>>;
    readonly wallMs: number;
  }
  | {
    /** One group: events one behind the other in `bytes`, with the length and lane of each. */
    readonly kind: "append";
    readonly bytes: Uint8Array<ArrayBuffer>;
    readonly lengths: Uint32Array<ArrayBuffer>;
    readonly lanes: Uint8Array<ArrayBuffer>;
    readonly wallMs: number;
  }
  | {
    readonly kind: "read";
    readonly lane: Lane;
    readonly afterSeq: number;
    readonly eventsMax: number;
    readonly bytesMax: number;
    readonly wallMs: number;
  }
  | {
    readonly kind: "acknowledge";
    readonly acks: readonly { readonly lane: Lane; readonly epoch: number; readonly seq: number }[];
    readonly wallMs: number;
  }
  | {
    readonly kind: "first-seen";
    readonly id: string;
    readonly expiresWallMs: number;
    readonly wallMs: number;
  }
  | { readonly kind: "close" };

/** How far the store is after a request. */
export interface StorePosition {
  readonly epoch: number;
  readonly boot: number;
  /** In the order of `LANES`. */
  readonly lanes: readonly {
    readonly head: number;
    readonly synced: number;
    readonly base: number;
  }[];
}

/** A batch on its way between threads: events one behind the other. */
export type PackedBatch = Omit<StoredBatch, "events"> & {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly lengths: Uint32Array<ArrayBuffer>;
};

/** What a request came to. */
export type JournalAnswer =
  | {
    readonly ok: true;
    readonly position: StorePosition;
    readonly replaced: { readonly file: string; readonly detail: string } | undefined;
    readonly dropped: readonly Dropped[];
    readonly batch?: PackedBatch | undefined;
    readonly first?: boolean;
  }
  | { readonly ok: false; readonly full: boolean; readonly message: string };

/** Several byte strings as one buffer with their lengths: one transfer instead of many copies. */
export function packBytes(
  parts: readonly Uint8Array[],
): { bytes: Uint8Array<ArrayBuffer>; lengths: Uint32Array<ArrayBuffer> } {
  const lengths = Uint32Array.from(parts, (part) => part.length);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return { bytes, lengths };
}

/** What {@link packBytes} packed, as views of its buffer. */
export function unpackBytes(bytes: Uint8Array, lengths: Uint32Array): Uint8Array[] {
  let offset = 0;
  return Array.from(lengths, (length) => bytes.subarray(offset, offset += length));
}
