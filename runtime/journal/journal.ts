import type { Cancel, Clock } from "../../hal/mod.ts";
import {
  type BoxEvent,
  encodeEventView,
  type EventId,
  type Lane,
  LANE_OF,
  LANES,
  WIRE_LIMITS,
} from "../../sync/wire/mod.ts";
import { COMMIT_EVENTS_MAX } from "./block.ts";
import { type Journal, JournalError, type JournalState, type StoredBatch } from "./contract.ts";
import { EventGroup } from "./group.ts";
import type { JournalReply, LaneQuotas, Notice } from "./protocol.ts";
import { WorkerPort } from "./worker_port.ts";

/** How long an event that is no alarm may wait for others: promised in the architecture. */
const GROUP_DELAY_MS_MAX = 20;
/** Events of one commit: more makes a commit longer, but no cheaper for each event. */
const GROUP_EVENTS_MAX = 1000;
/** Events not yet durable. A disk that stands still for a morning rush of an hour gives 20,000. */
const PENDING_EVENTS_MAX = 20_000;
/** Full groups that the worker has at once, so that it never waits for the next one. */
const GROUPS_IN_FLIGHT_MAX = 8;
/** The smallest card has 8 GB; what is set aside may be as large twice more. */
const STORE_BYTES_MAX = 1 << 30;

/**
 * Events kept of each lane. Access is a school year of a busy gate, 5,000 passages a day; alarms and
 * commands are rarer by far. Telemetry is worth little once it is old.
 */
export const LANE_QUOTAS: LaneQuotas = {
  alarm: 100_000,
  command: 100_000,
  access: 1_000_000,
  telemetry: 200_000,
};

/** How a journal is opened. */
export interface JournalOptions {
  /** Folder of `journal.db` and what belongs to it; made if it is not there. */
  readonly dataDir: string;
  /** Stamps the events. */
  readonly clock: Clock;
  /** Longest wait of an event that is no alarm for others, default 20 ms. */
  readonly groupDelayMsMax?: number;
  /** Events of one commit, default 1000. */
  readonly groupEventsMax?: number;
  /** Events in memory that are not yet durable, default 20,000; more are refused as `full`. */
  readonly pendingEventsMax?: number;
  /** Events kept of each lane, default {@link LANE_QUOTAS}. Unsynced ones of other lanes than telemetry stay. */
  readonly quotas?: Partial<LaneQuotas>;
  /** Size of the store, default 1 GiB; the last 5 % are for alarms and commands. */
  readonly storeBytesMax?: number;
}

/**
 * Opens the journal in `options.dataDir`, and makes or replaces its store where that must be. One
 * process at a time may do so; the caller sees to that.
 *
 * @throws {@link JournalError} `store` when the folder cannot be used.
 */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  await Deno.mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  const port = new WorkerPort();
  try {
    const reply = await port.ask({
      kind: "open",
      wallMs: options.clock.wallMs(),
      dataDir: options.dataDir,
      quotas: { ...LANE_QUOTAS, ...options.quotas },
      storeBytesMax: options.storeBytesMax ?? STORE_BYTES_MAX,
    }, "opened");
    return new WorkerJournal(options, port, reply.result.boot, reply);
  } catch (error) {
    port.terminate();
    throw error;
  }
}

const NO_STORE: JournalState = {
  epoch: 0,
  lanes: LANES.map((lane) => ({ lane, head: 0, synced: 0, oldest: 1 })),
};

class WorkerJournal implements Journal {
  readonly #clock: Clock;
  readonly #port: WorkerPort;
  readonly #boot: number;
  readonly #groupDelayMsMax: number;
  readonly #groupEventsMax: number;
  readonly #pendingEventsMax: number;
  readonly #listeners = new Set<(lanes: readonly Lane[]) => void>();
  /** Groups that were not posted; only the last one still grows. */
  #groups: EventGroup[] = [];
  #groupsInFlight = 0;
  #pendingEvents = 0;
  #state: JournalState = NO_STORE;
  /** Notices of which no event is on its way. */
  #notices: Notice[] = [];
  #closing: Promise<void> | undefined;

  constructor(options: JournalOptions, port: WorkerPort, boot: number, opened: JournalReply) {
    this.#clock = options.clock;
    this.#port = port;
    this.#boot = boot;
    this.#groupDelayMsMax = options.groupDelayMsMax ?? GROUP_DELAY_MS_MAX;
    const groupEventsMax = options.groupEventsMax ?? GROUP_EVENTS_MAX;
    this.#groupEventsMax = Math.max(1, Math.min(groupEventsMax, COMMIT_EVENTS_MAX));
    this.#pendingEventsMax = options.pendingEventsMax ?? PENDING_EVENTS_MAX;
    port.onReply = (reply) => this.#take(reply);
    this.#take(opened);
  }

  append(event: BoxEvent): Promise<EventId> {
    if (this.#closing !== undefined) return Promise.reject(closed());
    if (this.#pendingEvents >= this.#pendingEventsMax) {
      return Promise.reject(
        new JournalError("full", `${this.#pendingEvents} events wait for the disk already`),
      );
    }
    return this.#append(event, undefined);
  }

  state(): JournalState {
    return this.#state;
  }

  onDurable(listener: (lanes: readonly Lane[]) => void): Cancel {
    // A listener that is given twice counts twice.
    const own = (lanes: readonly Lane[]) => listener(lanes);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  async read(
    lane: Lane,
    afterSeq: number,
    limit: { readonly eventsMax: number; readonly bytesMax: number },
  ): Promise<StoredBatch | undefined> {
    const { eventsMax, bytesMax } = limit;
    const { result } = await this.#ask({
      kind: "read",
      wallMs: this.#clock.wallMs(),
      epoch: this.#state.epoch,
      lane,
      afterSeq,
      eventsMax,
      bytesMax,
    }, "read");
    if (result.found === undefined) return undefined;
    const { epoch, firstSeq, prevHash, headHash, bytes, lengths } = result.found;
    const events: Uint8Array[] = [];
    let offset = 0;
    for (const length of lengths) {
      events.push(new Uint8Array(bytes, offset, length));
      offset += length;
    }
    return { lane, epoch, firstSeq, prevHash, headHash, events };
  }

  async acknowledge(acks: readonly EventId[]): Promise<void> {
    await this.#ask({ kind: "acknowledge", wallMs: this.#clock.wallMs(), acks }, "acknowledged");
  }

  async firstSeen(id: string, expiresWallMs: number): Promise<boolean> {
    const { result } = await this.#ask({
      kind: "firstSeen",
      wallMs: this.#clock.wallMs(),
      command: id,
      expiresWallMs,
      // A clock that is off by years would forget a command that can still be replayed.
      forget: this.#clock.wallQuality() === "synchronised",
    }, "firstSeen");
    return result.first;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const group of this.#groups) group.due = true;
    this.#post();
    await this.#port.idle();
    try {
      await this.#port.ask({ kind: "close", wallMs: this.#clock.wallMs() }, "closed");
    } finally {
      this.#port.terminate();
    }
  }

  #ask: WorkerPort["ask"] = (request, kind) =>
    this.#closing === undefined ? this.#port.ask(request, kind) : Promise.reject(closed());

  #append(event: BoxEvent, notice: Notice | undefined): Promise<EventId> {
    let bytes: Uint8Array;
    try {
      bytes = encodeEventView({
        wallMs: this.#clock.wallMs(),
        monotonicMs: Math.floor(this.#clock.monotonicMs()),
        boot: this.#boot,
        clock: this.#clock.wallQuality(),
        event,
      });
      if (bytes.length > WIRE_LIMITS.eventBytesMax) {
        throw new RangeError(`${event.kind}: ${bytes.length} bytes are too many for an event`);
      }
    } catch (error) {
      return Promise.reject(error);
    }
    const lane = LANE_OF[event.kind];
    const group = this.#openGroup();
    const durable = group.add(lane, bytes);
    if (notice !== undefined) group.notices.push(notice);
    this.#pendingEvents++;
    if (lane === "alarm") group.urgent = true;
    if (group.urgent || group.count >= this.#groupEventsMax) this.#post();
    return durable;
  }

  /** The group that the next event joins. */
  #openGroup(): EventGroup {
    const last = this.#groups.at(-1);
    if (last !== undefined && last.count < this.#groupEventsMax) return last;
    const group = new EventGroup();
    this.#groups.push(group);
    group.cancel = this.#clock.schedule(this.#groupDelayMsMax, () => {
      group.due = true;
      this.#post();
    });
    return group;
  }

  /** Posts what is to be posted now. */
  #post(): void {
    for (;;) {
      const group = this.#groups[0];
      if (group === undefined || this.#groupsInFlight >= GROUPS_IN_FLIGHT_MAX) return;
      const ready = group.urgent || group.count >= this.#groupEventsMax ||
        // While a commit is under way, what waits for the next one goes on growing.
        group.due && this.#groupsInFlight === 0;
      if (!ready) return;
      this.#groups.shift();
      group.cancel();
      void this.#commit(group);
    }
  }

  /** Has a group stored and settles its promises. Never rejects. */
  async #commit(group: EventGroup): Promise<void> {
    this.#groupsInFlight++;
    const { blocks, bytes } = group.pack();
    const headsBefore = this.#state;
    try {
      const reply = await this.#port.ask({
        kind: "commit",
        wallMs: this.#clock.wallMs(),
        epoch: group.notices.length > 0 ? this.#state.epoch : 0,
        blocks,
        bytes: bytes.buffer,
        notices: group.notices.map(({ id }) => id),
      }, "committed");
      group.resolve(blocks, reply.state?.epoch ?? 0, reply.result.firstSeqs);
    } catch (error) {
      group.reject(blocks, error as JournalError);
      // Told once there is room again.
      if (this.#state.epoch === headsBefore.epoch) this.#notices.push(...group.notices);
    }
    this.#groupsInFlight--;
    this.#pendingEvents -= group.count;
    this.#post();
  }

  /** Takes in what every answer brings. */
  #take({ state, notices, result }: JournalReply): void {
    const before = this.#state;
    if (state !== undefined) {
      this.#state = state;
      if (state.epoch !== before.epoch) this.#notices = [];
    }
    this.#notices.push(...notices);
    const grown = this.#state.lanes.filter(({ head }, index) =>
      this.#state.epoch === before.epoch ? head > before.lanes[index]!.head : head > 0
    ).map(({ lane }) => lane);
    if (grown.length > 0) {
      for (const listener of this.#listeners) listener(grown);
    }
    // After a failure the next one would most likely fail too.
    if (this.#notices.length > 0 && result.kind !== "failed" && this.#closing === undefined) {
      for (const notice of this.#notices.splice(0)) {
        this.#append(notice.event, notice).catch(() => {});
      }
    }
  }
}

function closed(): JournalError {
  return new JournalError("closed", "the journal is closed");
}
