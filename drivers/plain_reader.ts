/**
 * What readers on a serial line without addresses have in common: one reader on the line, no relays
 * and no contacts, a card that lies there is reported once.
 *
 * @module
 */
import type { Cancel, Clock, SerialPort } from "../hal/mod.ts";
import type {
  CardReader,
  DriverLog,
  InputLine,
  OfflineReason,
  OutputLine,
  ReaderBus,
  ReaderEvent,
  ReaderFeedback,
  ReaderIdentity,
  SerialDriverHost,
} from "./contract.ts";
import { FeedbackLines, type FeedbackOptions } from "./feedback_lines.ts";
import { HalError } from "../hal/mod.ts";
import { LimitedLog } from "./limited_log.ts";
import { Listeners } from "./listeners.ts";
import { SerialLink } from "./serial_link.ts";

/** Tags that lie on one reader at once; a pad sees some dozens. */
const PRESENT_MAX = 256;

/** One reader, as its driver tells of it. */
export class PlainReader implements CardReader {
  /** Warnings about what the reader sends. */
  readonly limited: LimitedLog;
  readonly #what: string;
  readonly #host: { readonly clock: Clock; readonly log: DriverLog };
  readonly #events: Listeners<[ReaderEvent]>;
  readonly #showing: Listeners<[ReaderFeedback]>;
  /** When each tag was seen last. */
  readonly #present = new Map<string, number>();
  #online = false;
  #closed = false;

  /** `what` is the reader's kind for messages: `a QR scanner`. */
  constructor(what: string, host: { readonly clock: Clock; readonly log: DriverLog }) {
    this.#what = what;
    this.#host = host;
    this.limited = new LimitedLog(host.clock, host.log);
    const fault = (cause: unknown) =>
      host.log("error", "a listener failed", { cause: String(cause) });
    this.#events = new Listeners(fault);
    this.#showing = new Listeners(fault);
  }

  online(): boolean {
    return this.#online;
  }

  onEvent(listener: (event: ReaderEvent) => void): Cancel {
    return this.#events.add(listener);
  }

  show(feedback: ReaderFeedback): void {
    this.#showing.emit(feedback);
  }

  /** @throws RangeError: it has none. */
  output(index: number): OutputLine {
    throw new RangeError(`${this.#what} has no output ${index}`);
  }

  /** @throws RangeError: it has none. */
  input(index: number): InputLine {
    throw new RangeError(`${this.#what} has no input ${index}`);
  }

  /** Calls `show` with each feedback. */
  onShow(show: (feedback: ReaderFeedback) => void): Cancel {
    return this.#showing.add(show);
  }

  /** The reader is there. */
  up(identity?: ReaderIdentity): void {
    if (this.#online || this.#closed) return;
    this.#online = true;
    this.#events.emit({ kind: "online", identity });
  }

  /** The reader is not there; `closed` is told once, the others only when it was there. */
  down(reason: OfflineReason): void {
    if (this.#closed || (!this.#online && reason !== "closed")) return;
    this.#closed = reason === "closed";
    this.#online = false;
    this.#present.clear();
    this.#events.emit({ kind: "offline", reason });
  }

  /**
   * Reports a card of `bits` bits unless it lies there still: it was given here less than `absentMs`
   * ago. Each call counts as seen, so a card that stays is reported once however long it stays.
   */
  card(bits: number, data: Uint8Array, absentMs: number, receivedMonotonicMs: number): void {
    const key = `${bits} ${data.toHex()}`;
    const nowMs = this.#host.clock.monotonicMs();
    const lastMs = this.#present.get(key);
    this.#present.delete(key);
    this.#present.set(key, nowMs);
    if (this.#present.size > PRESENT_MAX) {
      this.#present.delete(this.#present.keys().next().value!);
    }
    if (lastMs !== undefined && nowMs - lastMs < absentMs) return;
    this.#events.emit({ kind: "card", bits, data, receivedMonotonicMs });
  }
}

/** How a driver speaks with its reader. */
export interface PlainProtocol {
  /** For messages: `a QR scanner`. */
  readonly what: string;
  /** A one-way reader cannot be asked: it counts as there while its port is open. */
  readonly oneWay: boolean;
  /** Talks on an open port until it is lost; see {@link import("./serial_link.ts").LinkUser.serve}. */
  readonly serve: (reader: PlainReader, port: SerialPort, signal: AbortSignal) => Promise<void>;
}

/** Opens the one reader of a line. @throws `HalError` when a feedback line cannot be had; the signal's reason. */
export async function openPlainReader(
  host: SerialDriverHost,
  protocol: PlainProtocol,
  feedback: FeedbackOptions,
  signal: AbortSignal,
): Promise<ReaderBus> {
  const reader = new PlainReader(protocol.what, host);
  await using stack = new AsyncDisposableStack();
  if (feedback.led !== undefined || feedback.buzzer !== undefined) {
    const { gpio } = host;
    if (gpio === undefined) {
      throw new HalError("unsupported", "there are no GPIO lines here for led and buzzer");
    }
    const lines = stack.use(await FeedbackLines.open({ ...host, gpio }, feedback, signal));
    reader.onShow((shown) => lines.show(shown));
  }
  stack.use(
    await SerialLink.open(host, {
      serve: async (port, end) => {
        if (protocol.oneWay) reader.up();
        await protocol.serve(reader, port, end);
      },
      lost: (reason) => reader.down(reason),
    }, signal),
  );
  const owned = stack.move();
  return { readers: [reader], [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
