/**
 * Whether a reader counts as online, and who is told so.
 *
 * @module
 */
import type { Cancel, Clock } from "../../../hal/mod.ts";
import type { DriverLog, OfflineReason, ReaderIdentity } from "../../contract.ts";
import type { ReaderReports } from "./reports.ts";

/** The presence of one reader. */
export class Presence {
  /** What it says of itself. */
  identity: ReaderIdentity | undefined;
  readonly #clock: Clock;
  readonly #offlineMs: number;
  readonly #reports: ReaderReports;
  readonly #log: DriverLog;
  #lastReplyMs: number;
  /** When it last was what it should be; chatter that leads nowhere does not count. */
  #soundMs: number;
  readonly #onReady = new Set<() => void>();
  /** What was last told to listeners. */
  #announced: boolean | undefined;

  /** Nobody was told anything yet. */
  constructor(clock: Clock, offlineMs: number, reports: ReaderReports, log: DriverLog) {
    this.#clock = clock;
    this.#offlineMs = offlineMs;
    this.#reports = reports;
    this.#log = log;
    this.#lastReplyMs = clock.monotonicMs();
    this.#soundMs = this.#lastReplyMs;
  }

  /** Whether listeners were told that it is online. */
  get online(): boolean {
    return this.#announced === true;
  }

  /** When it was heard last, or the line came. */
  get lastReplyMs(): number {
    return this.#lastReplyMs;
  }

  /** Calls back when it can be talked to again, also after a loss too short to be told. */
  onReady(listener: () => void): Cancel {
    this.#onReady.add(listener);
    return () => this.#onReady.delete(listener);
  }

  /** The line is there: from now on silence is the reader's own. */
  connected(nowMs: number): void {
    this.#lastReplyMs = nowMs;
    this.#soundMs = nowMs;
  }

  /** A reply came; returns how long there was none, in ms. */
  heard(nowMs: number): number {
    const silenceMs = nowMs - this.#lastReplyMs;
    this.#lastReplyMs = nowMs;
    return silenceMs;
  }

  /** It is what it should be. */
  sound(nowMs: number): void {
    this.#soundMs = nowMs;
  }

  /** A conversation has begun: the time until it is online counts from here. */
  begun(): void {
    if (!this.online) this.#soundMs = this.#lastReplyMs;
  }

  /** Whether it has not been what it should be for so long that it counts as offline. */
  overdue(nowMs: number): boolean {
    return nowMs - this.#soundMs >= this.#offlineMs;
  }

  /** It is online; listeners are told unless they know. */
  came(): void {
    for (const listener of this.#onReady) listener();
    if (this.#announced === true) return;
    this.#announced = true;
    this.#log("info", "reader online", { firmware: this.identity?.firmware ?? "unknown" });
    this.#reports.events.emit({ kind: "online", identity: this.identity });
  }

  /** It is offline; listeners are told unless they know. */
  went(reason: OfflineReason): void {
    if (this.#announced === false) return;
    this.#announced = false;
    this.#reports.forget(this.#clock.monotonicMs());
    this.#log("warn", "reader offline", { reason });
    this.#reports.events.emit({ kind: "offline", reason });
  }
}
