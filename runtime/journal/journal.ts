import type { Cancel, Clock } from "../../hal/mod.ts";
import {
  type BoxEvent,
  encodeEvent,
  type EventId,
  type Lane,
  LANE_OF,
  LANES,
} from "../../sync/wire/mod.ts";
import {
  type Journal,
  JournalError,
  type JournalState,
  type LaneState,
  type StoredBatch,
} from "./contract.ts";
import {
  type JournalAnswer,
  type JournalRequest,
  packBytes,
  type StorePosition,
  unpackBytes,
} from "./messages.ts";
import { laneNumber, type LaneQuota, QUOTAS } from "./quotas.ts";

/** Longest that an event other than an alarm waits for company. */
const GROUP_WAIT_MS = 20;
/** Events of one commit: beyond it the cost of an event no longer falls. */
const GROUP_EVENTS_MAX = 1_000;
/** Events that may wait for the disk: some 20 MB. A door makes a few a second. */
const WAITING_EVENTS_MAX = 50_000;
/** Groups at the thread at once: one being committed, one ready for it. */
const GROUPS_UNDER_WAY_MAX = 2;

/** How to open a journal. */
export interface JournalOptions {
  /** The box's data folder, which exists. */
  readonly dataDir: string;
  readonly clock: Clock;
  /** Default {@link QUOTAS}. */
  readonly quotas?: Readonly<Record<Lane, LaneQuota>>;
  /** Events of one commit; default 1,000. */
  readonly groupEventsMax?: number;
}

interface Waiting {
  readonly lane: number;
  readonly bytes: Uint8Array;
  readonly resolve: (id: EventId) => void;
  readonly reject: (error: JournalError) => void;
}

/**
 * Opens the journal of a data folder on a thread of its own. A store that cannot be trusted is set
 * aside and replaced on the way; only a folder that cannot be written at all fails.
 *
 * @throws {@link JournalError}
 */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const thread = new JournalThread();
  try {
    const { dataDir, quotas = QUOTAS } = options;
    const wallMs = options.clock.wallMs();
    const opened = await thread.ask({ kind: "open", dataDir, quotas, wallMs });
    return new ThreadedJournal(thread, options, opened);
  } catch (error) {
    thread.terminate();
    throw error;
  }
}

type Success = Extract<JournalAnswer, { ok: true }>;

/** Questions to the journal's thread, answered in order. */
class JournalThread {
  readonly #worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  readonly #asked = new Map<number, {
    resolve: (answer: Success) => void;
    reject: (error: JournalError) => void;
  }>();
  #nextId = 1;
  #dead: JournalError | undefined;

  constructor() {
    this.#worker.onmessage = ({ data: { id, answer } }) => {
      const { resolve, reject } = this.#asked.get(id)!;
      this.#asked.delete(id);
      const result = answer as JournalAnswer;
      if (result.ok) resolve(result);
      else reject(new JournalError(result.full ? "full" : "store", result.message));
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#die(new JournalError("store", `the journal's thread ended: ${event.message}`));
    };
  }

  ask(request: JournalRequest, transfer: ArrayBuffer[] = []): Promise<Success> {
    return new Promise((resolve, reject) => {
      if (this.#dead !== undefined) return reject(this.#dead);
      const id = this.#nextId++;
      this.#asked.set(id, { resolve, reject });
      this.#worker.postMessage({ id, request }, transfer);
    });
  }

  terminate(): void {
    this.#worker.terminate();
    this.#die(new JournalError("closed", "the journal is closed"));
  }

  #die(error: JournalError): void {
    this.#dead ??= error;
    for (const { reject } of this.#asked.values()) reject(error);
    this.#asked.clear();
  }
}

/** The journal as the door's thread sees it. */
class ThreadedJournal implements Journal {
  readonly #thread: JournalThread;
  readonly #clock: Clock;
  readonly #groupEventsMax: number;
  readonly #boot: number;
  readonly #listeners = new Set<(lanes: readonly Lane[]) => void>();
  #group: Waiting[] = [];
  #groupUrgent = false;
  #cancelWait: Cancel | undefined;
  #underWay = 0;
  #waitingEvents = 0;
  #state: JournalState;
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  constructor(thread: JournalThread, options: JournalOptions, opened: Success) {
    this.#thread = thread;
    this.#clock = options.clock;
    this.#groupEventsMax = options.groupEventsMax ?? GROUP_EVENTS_MAX;
    this.#boot = opened.position.boot;
    this.#state = stateOf(opened.position);
    this.#report(opened);
  }

  append(event: BoxEvent): Promise<EventId> {
    const lane = laneNumber(LANE_OF[event.kind]);
    let bytes: Uint8Array;
    try {
      bytes = encodeEvent({
        wallMs: this.#clock.wallMs(),
        monotonicMs: Math.floor(this.#clock.monotonicMs()),
        boot: this.#boot,
        clock: this.#clock.wallQuality(),
        event,
      });
    } catch (cause) {
      return Promise.reject(new JournalError("store", `${event.kind}: not encoded`, { cause }));
    }
    return new Promise((resolve, reject) => {
      if (this.#closing !== undefined) {
        return reject(new JournalError("closed", "the journal is closed"));
      }
      if (this.#waitingEvents >= WAITING_EVENTS_MAX) {
        const message = `${WAITING_EVENTS_MAX} events wait for the disk already`;
        return reject(new JournalError("full", message));
      }
      this.#waitingEvents++;
      this.#group.push({ lane, bytes, resolve, reject });
      if (lane === 0) this.#groupUrgent = true;
      this.#consider();
    });
  }

  state(): JournalState {
    return this.#state;
  }

  onDurable(listener: (lanes: readonly Lane[]) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async read(
    lane: Lane,
    afterSeq: number,
    limit: { readonly eventsMax: number; readonly bytesMax: number },
  ): Promise<StoredBatch | undefined> {
    const { batch } = await this.#ask({
      kind: "read",
      lane,
      afterSeq,
      ...limit,
      wallMs: this.#clock.wallMs(),
    });
    if (batch === undefined) return undefined;
    const { bytes, lengths, ...rest } = batch;
    return { ...rest, events: unpackBytes(bytes, lengths) };
  }

  async acknowledge(acks: readonly EventId[]): Promise<void> {
    await this.#ask({ kind: "acknowledge", acks, wallMs: this.#clock.wallMs() });
  }

  async firstSeen(id: string, expiresWallMs: number): Promise<boolean> {
    const wallMs = this.#clock.wallMs();
    return (await this.#ask({ kind: "first-seen", id, expiresWallMs, wallMs })).first === true;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#groupUrgent = true;
    this.#consider();
    if (this.#underWay > 0) await new Promise<void>((resolve) => this.#idle = resolve);
    try {
      await this.#thread.ask({ kind: "close" });
    } finally {
      this.#thread.terminate();
    }
  }

  async #ask(request: JournalRequest): Promise<Success> {
    const answer = await this.#thread.ask(request);
    this.#state = stateOf(answer.position);
    this.#report(answer);
    return answer;
  }

  /** Sends the group off if it is time, or sees to it that it will be. */
  #consider(): void {
    if (this.#group.length === 0) return;
    const full = this.#group.length >= this.#groupEventsMax;
    // An alarm does not wait for room at the thread.
    if (this.#groupUrgent || (full && this.#underWay < GROUPS_UNDER_WAY_MAX)) return this.#send();
    if (full) return;
    this.#cancelWait ??= this.#clock.schedule(GROUP_WAIT_MS, () => {
      this.#cancelWait = undefined;
      this.#groupUrgent = true;
      this.#consider();
    });
  }

  #send(): void {
    this.#cancelWait?.();
    this.#cancelWait = undefined;
    const group = this.#group.slice(0, this.#groupEventsMax);
    this.#group = this.#group.slice(this.#groupEventsMax);
    if (this.#group.length === 0) this.#groupUrgent = false;
    this.#underWay++;
    this.#commit(group).finally(() => {
      this.#underWay--;
      this.#consider();
      if (this.#underWay === 0) this.#idle?.();
    });
    this.#consider();
  }

  async #commit(group: readonly Waiting[]): Promise<void> {
    const { bytes, lengths } = packBytes(group.map((waiting) => waiting.bytes));
    const lanes = Uint8Array.from(group, (waiting) => waiting.lane);
    const wallMs = this.#clock.wallMs();
    try {
      const answer = await this.#thread.ask(
        { kind: "append", bytes, lengths, lanes, wallMs },
        [bytes.buffer, lengths.buffer],
      );
      this.#waitingEvents -= group.length;
      this.#state = stateOf(answer.position);
      const { epoch } = answer.position;
      // The last of a lane's events in the group has the lane's head as its number.
      const seqs = answer.position.lanes.map((lane) => lane.head);
      for (const { lane } of group) seqs[lane]!--;
      for (const { lane, resolve } of group) {
        resolve({ epoch, lane: LANES[lane]!, seq: ++seqs[lane]! });
      }
      this.#report(answer);
      const grown = LANES.filter((_, lane) => lanes.includes(lane));
      for (const listener of this.#listeners) listener(grown);
    } catch (error) {
      this.#waitingEvents -= group.length;
      for (const { reject } of group) reject(error as JournalError);
    }
  }

  /** Records what the store went through. */
  #report({ replaced, dropped }: Success): void {
    const events: BoxEvent[] = dropped.map((loss) => ({ kind: "journal.dropped", ...loss }));
    if (replaced !== undefined) events.push({ kind: "journal.replaced", ...replaced });
    for (const event of events) {
      this.append(event).catch(() => {
        // The store is failing again, and whoever appends is told so; this was only its history.
      });
    }
  }
}

function stateOf({ epoch, lanes }: StorePosition): JournalState {
  return {
    epoch,
    lanes: lanes.map(({ head, synced, base }, number): LaneState => ({
      lane: LANES[number]!,
      head,
      synced: Math.max(synced, base),
      oldest: base + 1,
    })),
  };
}
