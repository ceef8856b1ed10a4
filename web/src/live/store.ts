import {
  type Api,
  ApiFault,
  type BoxView,
  type CommandView,
  type EventView,
  type LiveMessage,
} from "../api/mod.ts";
import { every, sleep } from "../clock.ts";

/** Whether what is shown is up to date. */
export type Connection = "connecting" | "live" | "lost";

/** What everything on the screen is drawn from; replaced as a whole with each change. */
export interface LiveState {
  readonly connection: Connection;
  /** `undefined` until they were loaded once. */
  readonly boxes: readonly BoxView[] | undefined;
  /** Commands given in this session, by id. */
  readonly commands: ReadonlyMap<string, CommandView>;
  /** The newest alarm-lane events, newest first. */
  readonly alarms: readonly EventView[];
  /** Grows with each resync: lists load anew what they may have missed. */
  readonly syncCount: number;
}

/** An EventSource, as far as it is needed. */
export type LiveSource = Pick<EventSource, "onopen" | "onmessage" | "onerror" | "close">;

/** Alarms kept in memory: each door or reader that is not well needs its last; the rest is history. */
const ALARMS_MAX = 200;
/** Commands kept: an operator does not watch more at once. */
const COMMANDS_MAX = 50;
/** First wait after a broken connection, ms; doubles up to {@link RETRY_MS_MAX}. */
const RETRY_MS_MIN = 500;
/** A district that restarts is seen within this. */
const RETRY_MS_MAX = 8_000;
/** Pending commands are asked for this often, should the live message be missed. */
const COMMAND_POLL_MS = 2_000;
/** How long past its expiry a command is asked for. */
const COMMAND_GRACE_MS = 5_000;

/**
 * Keeps what the district says up to date: loads everything, follows `/api/live`, and after each
 * break loads everything again, so that nothing in between is missed.
 */
export class LiveStore {
  readonly #api: Api;
  readonly #open: () => LiveSource;
  readonly #onLoggedOut: () => void;
  readonly #listeners = new Set<() => void>();
  readonly #eventListeners = new Set<(event: EventView) => void>();
  #state: LiveState = {
    connection: "connecting",
    boxes: undefined,
    commands: new Map(),
    alarms: [],
    syncCount: 0,
  };
  #wake: () => void = () => {};
  #resync: () => void = () => {};

  /** `onLoggedOut` is called when the session has ended. */
  constructor(api: Api, open: () => LiveSource, onLoggedOut: () => void) {
    this.#api = api;
    this.#open = open;
    this.#onLoggedOut = onLoggedOut;
  }

  /** What is known now. */
  readonly state = (): LiveState => this.#state;

  /** Calls `listener` after each change of {@link state}. */
  readonly subscribe = (listener: () => void): () => void => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Calls `listener` with each new event. */
  onEvent(listener: (event: EventView) => void): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  /** Tries again now, for instance because the network came back. */
  retryNow(): void {
    this.#wake();
  }

  /** Runs until `signal` aborts or the session ends. */
  async run(signal: AbortSignal): Promise<void> {
    const stopPoll = every(COMMAND_POLL_MS, () => void this.#pollCommands(signal));
    let retryMs = RETRY_MS_MIN;
    try {
      while (!signal.aborted) {
        try {
          await this.#follow(signal, () => retryMs = RETRY_MS_MIN);
        } catch (error) {
          if (signal.aborted) return;
          if (error instanceof ApiFault && error.kind === "unauthenticated") {
            this.#onLoggedOut();
            return;
          }
        }
        this.#set({ connection: "lost" });
        await this.#pause(retryMs, signal);
        retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
      }
    } finally {
      stopPoll();
    }
  }

  /** Remembers a command that was just given. */
  addCommand(command: CommandView): void {
    const known = this.#state.commands.get(command.id);
    // The live message may have come before the answer to the request.
    if (known !== undefined && known.state !== "pending") return;
    const commands = new Map(this.#state.commands).set(command.id, command);
    for (const id of commands.keys()) {
      if (commands.size <= COMMANDS_MAX) break;
      commands.delete(id);
    }
    this.#set({ commands });
  }

  /** Follows one connection until it breaks. */
  async #follow(signal: AbortSignal, onSynced: () => void): Promise<void> {
    const source = this.#open();
    const early: LiveMessage[] = [];
    let synced = false;
    const broken = new Promise<void>((resolve) => {
      source.onerror = () => resolve();
      this.#resync = () => resolve(); // What was missed is loaded by following anew.
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    source.onmessage = ({ data }) => {
      // From the same origin and release; one that does not parse is a newer district's.
      let message: LiveMessage;
      try {
        message = JSON.parse(String(data)) as LiveMessage;
      } catch {
        return;
      }
      if (synced) this.#take(message);
      else early.push(message);
    };
    const opened = new Promise<"open">((resolve) => source.onopen = () => resolve("open"));
    try {
      const first = await Promise.race([opened, broken]);
      if (first !== "open") {
        await this.#api.session(); // Says whether it is the session that ended.
        return;
      }
      // Loaded after the stream stands: what changes meanwhile waits in `early`.
      const [boxes, alarms] = await Promise.all([
        this.#api.boxes(),
        this.#api.events({ lane: "alarm" }, signal),
      ]);
      this.#set({ boxes, alarms, connection: "live", syncCount: this.#state.syncCount + 1 });
      synced = true;
      for (const message of early) this.#take(message);
      onSynced();
      await broken;
    } finally {
      source.close();
    }
  }

  #take(message: LiveMessage): void {
    switch (message.kind) {
      case "event": {
        const { event } = message;
        if (event.lane === "alarm" && !this.#state.alarms.some((known) => known.id === event.id)) {
          this.#set({ alarms: [event, ...this.#state.alarms].slice(0, ALARMS_MAX) });
        }
        for (const listener of this.#eventListeners) listener(event);
        break;
      }
      case "box": {
        const boxes = this.#state.boxes ?? [];
        const known = boxes.some((box) => box.id === message.box.id);
        this.#set({
          boxes: known
            ? boxes.map((box) => box.id === message.box.id ? message.box : box)
            : [...boxes, message.box],
        });
        break;
      }
      case "command":
        this.addCommand(message.command);
        break;
      case "resync":
        this.#resync();
        break;
      default:
        message satisfies never;
    }
  }

  async #pollCommands(signal: AbortSignal): Promise<void> {
    for (const command of this.#state.commands.values()) {
      if (signal.aborted || command.state !== "pending") continue;
      try {
        this.addCommand(await this.#api.commandState(command.id));
      } catch {
        // Asked again soon; whoever shows it has a time-out of its own.
      }
    }
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new Promise<void>((resolve) => this.#wake = resolve);
    return Promise.race([sleep(ms, signal).catch(() => {}), woken]);
  }

  #set(change: Partial<LiveState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}

/** When a pending command is given up, ms since 1970. */
export function commandDeadlineMs(command: Pick<CommandView, "expiresMs">): number {
  return command.expiresMs + COMMAND_GRACE_MS;
}
