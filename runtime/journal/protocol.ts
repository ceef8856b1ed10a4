/**
 * What the journal's two sides say to each other. The main side numbers its requests; the worker
 * answers each with the same number, in order.
 *
 * @module
 */
import type { Lane } from "../../sync/wire/mod.ts";
import type { JournalState } from "./contract.ts";

/** How much of each lane is kept. */
export type LaneQuotas = Readonly<Record<Lane, number>>;

/** Events of one lane in one commit. */
export interface LaneBlock {
  readonly lane: Lane;
  readonly count: number;
  /** Where its block stands in {@link CommitRequest.bytes}. */
  readonly offset: number;
  readonly length: number;
}

/** Opens the store, or makes it. The first request, and the only one of its kind. */
export interface OpenRequest {
  readonly kind: "open";
  readonly dataDir: string;
  readonly quotas: LaneQuotas;
  readonly storeBytesMax: number;
}

/** Stores a group of events in one transaction. */
export interface CommitRequest {
  readonly kind: "commit";
  readonly blocks: readonly LaneBlock[];
  /** All blocks, transferred. */
  readonly bytes: ArrayBuffer;
  /** Notices of which this group holds the events. */
  readonly notices: readonly number[];
  /** Epoch of the notices. */
  readonly epoch: number;
}

/** See `EventSource.read`. */
export interface ReadRequest {
  readonly kind: "read";
  /** Epoch that `afterSeq` is of; in another one nothing is found. */
  readonly epoch: number;
  readonly lane: Lane;
  readonly afterSeq: number;
  readonly eventsMax: number;
  readonly bytesMax: number;
}

/** See `EventSource.acknowledge`. */
export interface AcknowledgeRequest {
  readonly kind: "acknowledge";
  readonly acks: readonly { readonly epoch: number; readonly lane: Lane; readonly seq: number }[];
}

/** See `CommandMemory.firstSeen`. */
export interface FirstSeenRequest {
  readonly kind: "firstSeen";
  readonly command: string;
  readonly expiresWallMs: number;
  /** Whether the wall clock may be believed, so that old ids can be forgotten by it. */
  readonly forget: boolean;
}

/** Closes the store. The last request. */
export interface CloseRequest {
  readonly kind: "close";
}

/** What the main side asks for. */
export type JournalRequest =
  & { readonly id: number; readonly wallMs: number }
  & (
    | OpenRequest
    | CommitRequest
    | ReadRequest
    | AcknowledgeRequest
    | FirstSeenRequest
    | CloseRequest
  );

/** Something that the store did, and of which an event is still to be written. */
export interface Notice {
  readonly id: number;
  readonly event:
    | { readonly kind: "journal.replaced"; readonly file: string; readonly detail: string }
    | {
      readonly kind: "journal.dropped";
      readonly lane: Lane;
      readonly firstSeq: number;
      readonly lastSeq: number;
    };
}

/** Events read. */
export interface ReadResult {
  readonly epoch: number;
  readonly firstSeq: number;
  readonly prevHash: Uint8Array;
  readonly headHash: Uint8Array;
  /** All events one after the other, transferred. */
  readonly bytes: ArrayBuffer;
  /** Length of each. */
  readonly lengths: Uint32Array;
}

/** What came of a request. */
export type JournalResult =
  | { readonly kind: "opened"; readonly boot: number }
  | {
    readonly kind: "committed";
    /** First seq that each block got, in the order of {@link CommitRequest.blocks}. */
    readonly firstSeqs: readonly number[];
  }
  | { readonly kind: "read"; readonly found: ReadResult | undefined }
  | { readonly kind: "acknowledged" }
  | { readonly kind: "firstSeen"; readonly first: boolean }
  | { readonly kind: "closed" }
  | { readonly kind: "failed"; readonly error: "full" | "store"; readonly message: string };

/** What the worker answers. */
export interface JournalReply {
  readonly id: number;
  readonly result: JournalResult;
  /** As of now; `undefined` while no store can be opened. */
  readonly state: JournalState | undefined;
  /** New since the last answer. */
  readonly notices: readonly Notice[];
}
