/**
 * Readers that are not on a serial line and only tell what they read: a device that is held by
 * sessions, for as long as the reader lives.
 *
 * @module
 */
import { type Clock, HalError } from "../hal/mod.ts";
import type { DriverLog, OfflineReason } from "./contract.ts";
import { PlainReader } from "./plain_reader.ts";

/** Wait before a lost device is asked for again; doubled from the first to the last. */
const REOPEN_MS_MIN = 250;
const REOPEN_MS_MAX = 5_000;

/** Opens the device, calls `up`, and tells what it reads until it throws. */
export type ReaderSession = (reader: PlainReader, signal: AbortSignal) => Promise<void>;

/**
 * A reader by sessions: one ends with an error when the device is lost, and the next is begun, with
 * back-off. Disposal ends the session and waits for it.
 */
export class OneWayReader extends PlainReader implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #log: DriverLog;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #lastFault: string | undefined;

  /**
   * Begins at once; a device that is missing is waited for.
   *
   * @param what names the device in messages: `a PC/SC reader`
   * @param signal ends everything, as disposal does
   */
  constructor(
    what: string,
    host: { readonly clock: Clock; readonly log: DriverLog },
    session: ReaderSession,
    signal: AbortSignal,
  ) {
    super(what, host);
    this.#clock = host.clock;
    this.#log = host.log;
    const end = () => this.#close();
    signal.addEventListener("abort", end, { once: true });
    this.#closing.signal.addEventListener("abort", () => signal.removeEventListener("abort", end));
    this.#running = this.#run(session);
  }

  /** Makes one. @throws the signal's reason. */
  static open(
    what: string,
    host: { readonly clock: Clock; readonly log: DriverLog },
    session: ReaderSession,
    signal: AbortSignal,
  ): Promise<OneWayReader> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      resolve(new OneWayReader(what, host, session, signal));
    });
  }

  /** Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    await this.#running;
  }

  #close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new HalError("disconnected", "the reader was closed"));
    this.down("closed");
  }

  async #run(session: ReaderSession): Promise<void> {
    const { signal } = this.#closing;
    let waitMs = REOPEN_MS_MIN;
    while (!signal.aborted) {
      try {
        await session(this, signal);
      } catch (cause) {
        if (signal.aborted) return;
        if (this.online()) [waitMs, this.#lastFault] = [REOPEN_MS_MIN, undefined];
        this.down(reasonOf(cause));
        this.#fault(cause);
      }
      await this.#clock.sleep(waitMs, signal).catch(() => {});
      waitMs = Math.min(waitMs * 2, REOPEN_MS_MAX);
    }
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
