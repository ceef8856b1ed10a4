import { type Cancel, type Clock, HalError } from "../hal/mod.ts";
import type { CardNumber } from "./card_number.ts";
import type {
  CardReader,
  DriverLog,
  InputLine,
  OfflineReason,
  OutputLine,
  ReaderEvent,
  ReaderIdentity,
} from "./contract.ts";
import { LimitedLog } from "./limited_log.ts";
import { Listeners } from "./listeners.ts";

/** Wait before a lost device is asked for again; doubled from the first to the last. */
const REOPEN_MS_MIN = 250;
const REOPEN_MS_MAX = 5_000;

/** What the session of a {@link OneWayReader} reports to. */
export interface ReaderSession {
  /** The device answers. Said again, it does nothing. */
  online(identity?: ReaderIdentity): void;
  /** It does not answer any more, while the session goes on. Said again, it does nothing. */
  offline(reason: OfflineReason): void;
  /** A card was presented. */
  card(card: CardNumber, receivedMonotonicMs: number): void;
  /** Something came that is no card. `advice` is for the installer: what to look for, in constant words. */
  refuse(advice: string, fields?: Readonly<Record<string, string | number | boolean>>): void;
}

/**
 * A reader that tells what it reads and nothing else: no LED, no relay, no contact. It has its device
 * by sessions: one ends with an error when the device is lost, and the next is begun, with back-off,
 * for as long as the reader lives.
 */
export class OneWayReader implements CardReader, AsyncDisposable {
  readonly #clock: Clock;
  readonly #log: DriverLog;
  readonly #what: string;
  readonly #limited: LimitedLog;
  readonly #events: Listeners<[ReaderEvent]>;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #online = false;
  #lastFault: string | undefined;

  /**
   * Begins at once; a device that is missing is waited for.
   *
   * @param what names the device in messages
   * @param session opens the device, tells `online`, and reports until it throws
   * @param signal ends everything, as disposal does
   */
  constructor(
    host: { readonly clock: Clock; readonly log: DriverLog },
    what: string,
    session: (to: ReaderSession, signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ) {
    this.#clock = host.clock;
    this.#log = host.log;
    this.#what = what;
    this.#limited = new LimitedLog(host.clock, host.log);
    this.#events = new Listeners((cause) =>
      host.log("error", "a listener failed", { cause: String(cause) })
    );
    const end = () => this.#close();
    signal.addEventListener("abort", end, { once: true });
    this.#closing.signal.addEventListener("abort", () => signal.removeEventListener("abort", end));
    if (signal.aborted) this.#close();
    this.#running = this.#run(session);
  }

  /** See {@link CardReader.online}. */
  online(): boolean {
    return this.#online;
  }

  /** See {@link CardReader.onEvent}. */
  onEvent(listener: (event: ReaderEvent) => void): Cancel {
    return this.#events.add(listener);
  }

  /** There is nothing to show it with. */
  show(): void {}

  /** There are none. @throws RangeError */
  output(index: number): OutputLine {
    throw new RangeError(`${this.#what} has no output ${index}`);
  }

  /** There are none. @throws RangeError */
  input(index: number): InputLine {
    throw new RangeError(`${this.#what} has no input ${index}`);
  }

  /** Ends the session and waits for it; twice is fine. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    await this.#running;
  }

  #close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new HalError("disconnected", `${this.#what}: it is closed`));
    this.#online = false;
    this.#events.emit({ kind: "offline", reason: "closed" });
  }

  async #run(session: (to: ReaderSession, signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = this.#closing;
    let waitMs = REOPEN_MS_MIN;
    const to: ReaderSession = {
      online: (identity) => {
        if (signal.aborted || this.#online) return;
        [this.#online, this.#lastFault, waitMs] = [true, undefined, REOPEN_MS_MIN];
        this.#events.emit({ kind: "online", identity });
      },
      offline: (reason) => this.#offline(reason),
      card: (card, receivedMonotonicMs) => {
        if (!signal.aborted) this.#events.emit({ kind: "card", ...card, receivedMonotonicMs });
      },
      refuse: (advice, fields) => this.#limited.warn(advice, fields),
    };
    while (!signal.aborted) {
      try {
        await session(to, signal);
      } catch (cause) {
        if (signal.aborted) return;
        this.#offline(reasonOf(cause));
        this.#fault(cause);
      }
      await this.#clock.sleep(waitMs, signal).catch(() => {});
      waitMs = Math.min(waitMs * 2, REOPEN_MS_MAX);
    }
  }

  #offline(reason: OfflineReason): void {
    if (!this.#online) return;
    this.#online = false;
    this.#events.emit({ kind: "offline", reason });
  }

  /** A device that stays away is said once, and again when something else is wrong with it. */
  #fault(cause: unknown): void {
    const text = cause instanceof Error ? cause.message : String(cause);
    if (text === this.#lastFault) return;
    this.#lastFault = text;
    this.#log("warn", "the reader cannot be used; trying again", { cause: text });
  }
}

function reasonOf(cause: unknown): OfflineReason {
  if (!(cause instanceof HalError)) return "bus-lost";
  if (cause.kind === "protocol") return "protocol";
  return cause.kind === "timeout" ? "no-reply" : "bus-lost";
}
