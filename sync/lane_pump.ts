import type { Clock } from "../hal/mod.ts";
import type { EventSource } from "../runtime/journal/contract.ts";
import { type Backoff, Wakeup } from "./backoff.ts";
import type { DistrictClient } from "./client.ts";
import type { SyncLog } from "./contract.ts";
import { internalError, SyncError } from "./errors.ts";
import type { BoxIdentity } from "./identity_store.ts";
import {
  compress,
  encodeCbor,
  type EventId,
  headStatement,
  type Lane,
  type LaneAck,
  type LaneBatch,
  WIRE_LIMITS,
} from "./wire/mod.ts";

/** What a pump shares with its siblings. */
export interface PumpHost {
  readonly identity: BoxIdentity;
  readonly client: DistrictClient;
  readonly journal: EventSource;
  readonly clock: Clock;
  readonly log: SyncLog;
  readonly backoff: Backoff;
  /** Told of each upload that the district acknowledged. */
  readonly onUploaded: (bytes: number, events: number) => void;
  /** Told of each upload that failed. */
  readonly onFailed: (error: SyncError) => void;
}

/** A batch of two lanes stays far below `uploadBytesMax` even if nothing in it compresses. */
const LANE_BYTES_MAX = 400 << 10;
/** The first batch; it doubles while uploads are fast. */
const BATCH_EVENTS_START = 512;
/** The smallest batch on the slowest line. */
const BATCH_EVENTS_MIN = 16;
/** Uploads are made larger below this: an fsync at each end is shared by more events. */
const UPLOAD_MS_SHORT = 500;
/** Uploads are made smaller above this: a lost connection repeats less, and fresh events wait less. */
const UPLOAD_MS_LONG = 2_000;
/** A lane that the district will not take is tried again after this; an update may have cured it. */
const PARKED_MS = 600_000;

interface Prepared {
  readonly batches: readonly LaneBatch[];
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Where one lane is. */
interface Position {
  readonly lane: Lane;
  /** Last seq that the district holds, as far as is known. */
  seq: number;
  /** Refusals since the last progress. */
  refusals: number;
  /** Set while the district will not take the lane. */
  parked: { readonly untilMs: number; readonly reason: string } | undefined;
}

/**
 * Uploads some lanes, in their order, one upload at a time; the next one is read and compressed
 * while the one before is in flight. Lanes in pumps of their own do not wait for each other.
 */
export class LanePump {
  readonly #host: PumpHost;
  readonly #positions: readonly Position[];
  readonly #wakeup = new Wakeup();
  #epoch = 0;
  #batchEvents = BATCH_EVENTS_START;
  /** The journal's note of the last acknowledgement; the next one waits for it. */
  #noted: Promise<void> = Promise.resolve();

  /** A pump for `lanes`, most urgent first. */
  constructor(host: PumpHost, lanes: readonly Lane[]) {
    this.#host = host;
    this.#positions = lanes.map((lane) => ({ lane, seq: 0, refusals: 0, parked: undefined }));
  }

  /** Lanes that the district will not take. */
  refused(): { readonly lane: Lane; readonly reason: string }[] {
    return this.#positions.flatMap(({ lane, parked }) =>
      parked === undefined ? [] : [{ lane, reason: parked.reason }]
    );
  }

  /** Runs until `signal` aborts; its reason is what it throws, or a {@link SyncError} `revoked`. */
  async run(signal: AbortSignal): Promise<never> {
    const cancel = this.#host.journal.onDurable((lanes) => {
      if (this.#positions.some(({ lane }) => lanes.includes(lane))) this.#wakeup.notify();
    });
    try {
      for (;;) {
        await this.#host.backoff.wait(signal);
        const startedMs = this.#host.clock.monotonicMs();
        try {
          await this.#drain(signal);
        } catch (error) {
          signal.throwIfAborted();
          const fault = error instanceof SyncError ? error : internalError(error);
          this.#host.onFailed(fault);
          if (fault.kind === "revoked") throw fault;
          if (fault.kind === "timeout") this.#shrink();
          this.#host.backoff.failed(startedMs, fault.retryAfterMs);
          continue;
        }
        await this.#idle(signal);
      }
    } finally {
      cancel();
      await this.#noted.catch(() => {});
    }
  }

  /** Waits for new events, or for a parked lane's time. */
  async #idle(signal: AbortSignal): Promise<void> {
    const parked = this.#positions.flatMap(({ parked }) => parked === undefined ? [] : [parked]);
    const { clock } = this.#host;
    const cancels = parked.map(({ untilMs }) =>
      clock.schedule(Math.max(0, untilMs - clock.monotonicMs()), () => this.#wakeup.notify())
    );
    try {
      await this.#wakeup.wait(signal);
    } finally {
      for (const cancel of cancels) cancel();
    }
  }

  /** Uploads until there is nothing more. */
  async #drain(signal: AbortSignal): Promise<void> {
    const { client, clock, onUploaded } = this.#host;
    let next = this.#prepare(undefined);
    for (;;) {
      let upload = await next;
      // Prepared in advance there may have been nothing; meanwhile there may be.
      upload ??= await this.#prepare(undefined);
      if (upload === undefined) return;
      const { batches, body } = upload;
      next = this.#prepare(batches);
      // It may fail while nobody waits for it; whoever waits still gets the failure.
      next.catch(() => {});
      const sentMs = clock.monotonicMs();
      const { acks } = await client.upload(body, signal);
      this.#host.backoff.succeeded();
      // At most one note is under way.
      await this.#noted;
      const events = this.#take(batches, acks);
      this.#adapt(clock.monotonicMs() - sentMs);
      onUploaded(body.length, events);
      // What was prepared goes on where this upload was to end.
      if (!this.#joins(batches)) next = this.#prepare(undefined);
    }
  }

  #joins(batches: readonly LaneBatch[]): boolean {
    return batches.every((batch) => {
      const position = this.#position(batch.lane);
      return position.parked === undefined && position.seq === lastSeq(batch);
    });
  }

  #position(lane: Lane): Position {
    const position = this.#positions.find((candidate) => candidate.lane === lane);
    if (position === undefined) throw new RangeError(`no lane ${lane} in this pump`);
    return position;
  }

  /** The next upload, as if `sent` were acknowledged. */
  async #prepare(sent: readonly LaneBatch[] | undefined): Promise<Prepared | undefined> {
    const { journal, identity, clock } = this.#host;
    const state = journal.state();
    if (state.epoch !== this.#epoch) {
      this.#epoch = state.epoch;
      for (const position of this.#positions) {
        position.seq = state.lanes.find(({ lane }) => lane === position.lane)?.synced ?? 0;
        position.refusals = 0;
        position.parked = undefined;
      }
    }
    const batches: LaneBatch[] = [];
    for (const position of this.#positions) {
      const { lane } = position;
      if (position.parked !== undefined) {
        if (clock.monotonicMs() < position.parked.untilMs) continue;
        position.parked = undefined;
      }
      const before = sent?.find((batch) => batch.lane === lane);
      const after = before === undefined || before.epoch !== this.#epoch
        ? position.seq
        : lastSeq(before);
      if ((state.lanes.find((each) => each.lane === lane)?.head ?? 0) <= after) continue;
      const stored = await journal.read(lane, after, {
        eventsMax: this.#batchEvents,
        bytesMax: LANE_BYTES_MAX,
      });
      if (stored === undefined || stored.epoch !== state.epoch) continue;
      const head = {
        lane,
        epoch: stored.epoch,
        seq: stored.firstSeq + stored.events.length - 1,
        hash: stored.headHash,
      };
      batches.push({
        lane,
        epoch: stored.epoch,
        firstSeq: stored.firstSeq,
        prevHash: stored.prevHash,
        events: stored.events,
        headHash: stored.headHash,
        headSignature: identity.key.sign(headStatement(identity.boxId, head)),
        ...(stored.firstSeq > after + 1 ? { afterDrop: true as const } : {}),
      });
    }
    if (batches.length === 0) return undefined;
    return { batches, body: await compress(encodeCbor({ batches })) };
  }

  /** Takes the acknowledgements in; returns how many events they cover. */
  #take(batches: readonly LaneBatch[], acks: readonly LaneAck[]): number {
    const { journal } = this.#host;
    const done: EventId[] = [];
    let events = 0;
    for (const batch of batches) {
      const ack = acks.find(({ lane }) => lane === batch.lane);
      if (ack === undefined || ack.epoch !== batch.epoch) {
        throw new SyncError("malformed", `the district's answer leaves lane ${batch.lane} out`);
      }
      // A store that was replaced meanwhile starts anew; this answer is about the old one.
      if (batch.epoch !== this.#epoch) continue;
      const position = this.#position(batch.lane);
      const head = journal.state().lanes.find(({ lane }) => lane === batch.lane)?.head ?? 0;
      if (ack.seq > head) {
        this.#park(
          position,
          `the district holds events up to ${ack.seq}, this box only up to ${head}: its data folder is an older copy; enrol it as a new box`,
        );
        continue;
      }
      if (ack.refused === undefined && ack.seq >= batch.firstSeq) {
        events += Math.min(ack.seq, lastSeq(batch)) - batch.firstSeq + 1;
        position.seq = ack.seq;
        position.refusals = 0;
        done.push({ epoch: batch.epoch, lane: batch.lane, seq: ack.seq });
        continue;
      }
      this.#refusedBatch(position, batch, ack);
    }
    if (done.length > 0) {
      // Noting it may overlap the next upload: an acknowledgement that is lost is only repeated.
      this.#noted = this.#noted.then(() => journal.acknowledge(done)).catch((error) => {
        this.#host.log.error("acknowledgement not stored; it will be repeated", {
          detail: (error as Error).message,
        });
      });
    }
    return events;
  }

  #refusedBatch(position: Position, batch: LaneBatch, ack: LaneAck): void {
    const reason = ack.refused ?? "gap";
    this.#host.log.warn("batch refused", {
      lane: batch.lane,
      reason,
      firstSeq: batch.firstSeq,
      districtSeq: ack.seq,
    });
    position.refusals++;
    // The first time, go back to where the district is; whoever has lost something may ask again.
    const again = position.refusals === 1 && reason !== "malformed" &&
      ack.seq + 1 !== batch.firstSeq;
    position.seq = ack.seq;
    if (again) return;
    this.#park(
      position,
      reason === "malformed"
        ? "the district cannot read these events; update the district"
        : `the events after ${ack.seq} do not join what the district holds (${reason}): one of the two was changed or restored from a copy`,
    );
  }

  #park(position: Position, reason: string): void {
    const { clock, log } = this.#host;
    position.refusals = 0;
    position.parked = { untilMs: clock.monotonicMs() + PARKED_MS, reason };
    log.error("the district will not take a lane", { lane: position.lane, reason });
  }

  #adapt(tookMs: number): void {
    if (tookMs < UPLOAD_MS_SHORT) {
      this.#batchEvents = Math.min(WIRE_LIMITS.batchEventsMax, this.#batchEvents * 2);
    } else if (tookMs > UPLOAD_MS_LONG) {
      this.#shrink();
    }
  }

  #shrink(): void {
    this.#batchEvents = Math.max(BATCH_EVENTS_MIN, this.#batchEvents >> 1);
  }
}

function lastSeq(batch: LaneBatch): number {
  return batch.firstSeq + batch.events.length - 1;
}
