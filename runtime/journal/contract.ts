/**
 * What the journal offers to the box and to sync.
 *
 * @module
 */
import type { Cancel } from "../../hal/mod.ts";
import type { BoxEvent, EventId, Lane } from "../../sync/wire/mod.ts";

/** Consecutive stored events of one lane. */
export interface StoredBatch {
  readonly lane: Lane;
  readonly epoch: number;
  readonly firstSeq: number;
  /** Chain hash before the first event, 32 bytes. */
  readonly prevHash: Uint8Array;
  /** Each the CBOR of one recorded event, exactly as hashed. */
  readonly events: readonly Uint8Array[];
  /** Chain hash after the last event, 32 bytes. */
  readonly headHash: Uint8Array;
}

/** How far one lane is. All are sequence numbers of the current epoch; 0 before the first event. */
export interface LaneState {
  readonly lane: Lane;
  /** Last durable event. */
  readonly head: number;
  /** Last event that the district has acknowledged. */
  readonly synced: number;
  /** First event still stored. */
  readonly oldest: number;
}

/** How far the journal is. */
export interface JournalState {
  readonly epoch: number;
  readonly lanes: readonly LaneState[];
}

/** What the box needs of the journal. */
export interface EventSink {
  /**
   * Stamps the event now and resolves when it is durable: it survives a power cut from then on.
   * Never throws synchronously and never delays its caller's tick.
   *
   * @throws `JournalError` when it could not be stored, after the store was replaced and tried once more.
   */
  append(event: BoxEvent): Promise<EventId>;
}

/** What sync needs of the journal. */
export interface EventSource {
  /** As of the last commit; costs nothing. */
  state(): JournalState;
  /** Calls back after each commit that made new events durable, with the lanes that grew. */
  onDurable(listener: (lanes: readonly Lane[]) => void): Cancel;
  /**
   * Events of `lane` after `afterSeq`, oldest first, at most `eventsMax` and about `bytesMax` bytes.
   * `undefined` when there are none. Starts later than `afterSeq + 1` only where events were dropped
   * by the lane's policy.
   */
  read(
    lane: Lane,
    afterSeq: number,
    limit: { readonly eventsMax: number; readonly bytesMax: number },
  ): Promise<StoredBatch | undefined>;
  /** Notes durably that the district holds everything up to each `seq`. Lower values than before change nothing. */
  acknowledge(acks: readonly EventId[]): Promise<void>;
}

/** What commands need of the journal. */
export interface CommandMemory {
  /**
   * Notes durably that command `id` is being carried out; false when it was noted before.
   * Ids are forgotten after `expiresWallMs`, when the command could not be carried out anyway.
   */
  firstSeen(id: string, expiresWallMs: number): Promise<boolean>;
}

/** The whole journal. Disposal commits what was appended and closes the store. */
export interface Journal extends EventSink, EventSource, CommandMemory, AsyncDisposable {}

/** A fault of the journal. */
export class JournalError extends Error {
  /** `full`: the disk or a bound; `closed`: used after disposal; `store`: SQLite failed twice. */
  readonly kind: "full" | "closed" | "store";

  /** Makes an error of `kind`. */
  constructor(kind: "full" | "closed" | "store", message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "JournalError";
    this.kind = kind;
  }
}
