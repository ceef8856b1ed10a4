/**
 * Owns one RS-485 line: gives each reader its turn, and hands each reply to the reader that was asked. Everything on the injected clock; between the bytes
 * of a card and the listener's call there is no await.
 *
 * @module
 */
import { type Cancel, HalError, type SerialChunk, type SerialPort } from "../../../hal/mod.ts";
import type {
  CardReader,
  ReaderBus,
  ReaderFile,
  ReaderIdentity,
  SerialDriverHost,
} from "../../contract.ts";
import {
  type FileBench,
  type OsdpFileOptions,
  type OsdpFileResult,
  sendFile,
} from "./file_transfer.ts";
import { type Frame, FrameDecoder } from "./frame.ts";
import { installKey } from "./install_key.ts";
import { keySource } from "./key.ts";
import { BITS_A_CHARACTER, INTER_CHARACTER_MS, QUIET_CHARACTERS } from "./line_times.ts";
import type { OsdpOptions } from "./options.ts";
import type { OsdpBusCounts } from "./bus_counts.ts";
import { type Communication, setCommunication } from "./communication.ts";
import type { Conversation } from "./conversation.ts";
import { PortKeeper } from "./port_keeper.ts";
import { OsdpReader } from "./reader.ts";
import type { RandomSource } from "./secure_channel.ts";
import { type OsdpText, showText } from "./text.ts";
import { waitOnline } from "./wait_online.ts";

/** Longest that silence is waited for: a device that never stops talking must not stop the others. */
const QUIET_WAIT_MS_MAX = 50;
/** Longest an exchange may take in all, so that a babbling device cannot hold the line. */
const EXCHANGE_MS_MAX = 1_000;
/** After a turn that a failing reader did not answer, the others have the line for this long. */
const FAILING_GAP_MS = 400;
/** The same after a turn that was not answered for once: everybody else gets a poll between. */
const MISSED_GAP_MS = 40;
/** How often one failing reader is tried. */
const FAILING_RETRY_MS = 1_000;
/** Frames that may go before polls in a row: orders must not keep every reader from being heard. */
const URGENT_RUN_MAX = 8;
interface InFlight {
  readonly talk: Conversation;
  /** When the last bit of the question has left. */
  readonly sentMs: number;
  readonly capMs: number;
}

/** Several OSDP readers on one line. */
export class OsdpBus implements ReaderBus {
  readonly #host: SerialDriverHost;
  readonly #readers: readonly OsdpReader[];
  readonly #talks: readonly Conversation[];
  readonly #replyMs: ReadonlyMap<Conversation, number>;
  readonly #abort = new AbortController();
  #decoder = new FrameDecoder();
  #port: SerialPort | undefined;
  #inFlight: InFlight | undefined;
  /** The one call that is scheduled: a reply's deadline, or the next turn. */
  #timer: Cancel | undefined;
  #lastByteMs = 0;
  /** When the last exchange ended. */
  #freeMs = 0;
  #missingFreeMs = 0;
  #urgentRun = 0;
  #inPush = false;
  #running: Promise<void> = Promise.resolve();
  readonly #keeper: PortKeeper;
  readonly #counts = { sent: 0, answered: 0, missed: 0, stray: 0 };
  readonly #past = { badChecks: 0, garbageBytes: 0 };

  private constructor(
    host: SerialDriverHost,
    options: readonly OsdpOptions[],
    random: RandomSource | undefined,
  ) {
    this.#host = host;
    this.#keeper = new PortKeeper(
      host,
      {
        opened: (port) => this.#opened(port),
        received: (chunk) => this.#received(chunk),
        gone: () => {
          this.#leaveLine();
          for (const talk of this.#talks) talk.lost("bus-lost");
        },
      },
      this.#abort.signal,
    );
    const wake = () => this.#plan();
    const bench = (signal: AbortSignal) => this.#bench(signal);
    this.#readers = options.map((one) =>
      new OsdpReader(one, keySource(one), host.clock, host.log, wake, bench, random)
    );
    this.#talks = this.#readers.map((reader) => reader.conversation);
    this.#replyMs = new Map(this.#talks.map((talk, i) => [talk, options[i]!.replyMs]));
  }

  /**
   * Takes the line and starts polling; resolves after the first attempt to open it.
   *
   * @throws RangeError when two readers have one address; the signal's reason.
   */
  static async open(
    host: SerialDriverHost,
    options: readonly OsdpOptions[],
    signal: AbortSignal,
    /** The system's own unless a recorded conversation is to be had again. */
    random?: RandomSource,
  ): Promise<OsdpBus> {
    signal.throwIfAborted();
    if (new Set(options.map((one) => one.address)).size !== options.length) {
      throw new RangeError("two readers have the same address; give each its own");
    }
    const bus = new OsdpBus(host, options, random);
    const end = () => void bus[Symbol.asyncDispose]();
    signal.addEventListener("abort", end, { once: true });
    bus.#abort.signal.addEventListener("abort", () => signal.removeEventListener("abort", end));
    bus.#running = bus.#keeper.run(await bus.#keeper.open());
    signal.throwIfAborted();
    return bus;
  }

  /** In the order of the options. */
  get readers(): readonly CardReader[] {
    return this.#readers;
  }

  /** The reader at `address`. @throws RangeError when the bus was opened without that address. */
  reader(address: number): CardReader {
    return this.#reader(address);
  }

  #reader(address: number): OsdpReader {
    const reader = this.#readers.find((one) => one.address === address);
    if (reader !== undefined) return reader;
    const known = this.#readers.map((one) => one.address).join(", ");
    throw new RangeError(`no reader with address ${address} on this bus; there are: ${known}`);
  }

  /**
   * Puts a new key of 16 bytes into the reader at `address` (KEYSET). It is the installer's act: with
   * `from: "default"` whoever listens on the line meanwhile learns the key, so the reader should be
   * alone at a bench. Resolves when a session under the new key has been made; the reader keeps to it
   * from then on, and box.yaml has to be given it. After a failure it is back under what was
   * configured; after a `timeout` the reader may have taken the key all the same.
   *
   * @throws {@link OsdpKeyError}; RangeError for a key or address that is none; the signal's reason.
   */
  async installKey(
    address: number,
    key: Uint8Array,
    options: { readonly from: "default" | "current"; readonly timeoutMs?: number },
    signal: AbortSignal,
  ): Promise<void> {
    await installKey(this.#reader(address).conversation, this.#bench(signal), key, options);
  }

  /**
   * Gives the reader at `address` another address or baud rate (COMSET). The bus follows it; box.yaml
   * has to be told. Resolves when the reader answers there.
   *
   * @returns what the reader went to, which is what it had where it has switches for it.
   * @throws {@link HalError} `unsupported`, or `timeout` when it answers neither there nor where it was;
   * RangeError for an address that is none or taken, or for another rate than that of the others on the line.
   */
  async setCommunication(
    address: number,
    to: { readonly address?: number; readonly baudRate?: number },
    signal: AbortSignal,
  ): Promise<Communication> {
    const { conversation } = this.#reader(address);
    const taken = this.#talks.some((talk) => talk !== conversation && talk.address === to.address);
    if (taken) throw new RangeError(`address ${to.address} belongs to another reader on this line`);
    const baudRate = this.#port?.settings.baudRate;
    if (baudRate === undefined) throw new HalError("disconnected", "the line is not open");
    const others = this.#talks.length > 1 && to.baudRate !== undefined && to.baudRate !== baudRate;
    if (others) {
      throw new RangeError(
        "others on the line speak at its rate; change each reader's alone on it",
      );
    }
    return await setCommunication(conversation, this.#bench(signal), { address, baudRate }, to, {
      changeRate: (rate) => this.#keeper.changeRate(rate),
    });
  }

  /**
   * Shows a text on the display of the reader at `address` (TEXT), for `forS` seconds or for good.
   *
   * @throws {@link HalError} `unsupported` when it has none; {@link OsdpRequestError}.
   */
  async showText(
    address: number,
    text: OsdpText,
    signal: AbortSignal,
  ): Promise<void> {
    await showText(this.#reader(address).conversation, this.#bench(signal), text);
  }

  /**
   * Gives the reader at `address` a file, such as its firmware (FILETRANSFER). Taps at it and at the
   * others go on meanwhile; an outage, also of the whole line, is waited out for ten minutes.
   *
   * @throws {@link HalError} `unsupported`, `protocol` when the reader rejects the file, `timeout`;
   * RangeError for a size or offset that cannot be; the signal's reason, having told the reader to abort.
   */
  async sendFile(
    address: number,
    source: ReaderFile,
    options: OsdpFileOptions,
    signal: AbortSignal,
  ): Promise<OsdpFileResult> {
    return await sendFile(this.#reader(address).conversation, this.#bench(signal), source, options);
  }

  /** What the reader at `address` says of itself; `undefined` while it is unknown. */
  identity(address: number): ReaderIdentity | undefined {
    return this.#reader(address).conversation.presence.identity;
  }

  /** Waits until the reader at `address` can be talked to; `false` when it cannot within `withinMs`. */
  async waitOnline(address: number, withinMs: number, signal: AbortSignal): Promise<boolean> {
    return await waitOnline(this.#reader(address).conversation, this.#bench(signal), withinMs);
  }

  /** What an installer's act needs besides the reader. */
  #bench(signal: AbortSignal): FileBench {
    signal.throwIfAborted();
    this.#abort.signal.throwIfAborted();
    const baudRate = () => this.#port?.settings.baudRate ?? 9_600;
    return { clock: this.#host.clock, signal, closed: this.#abort.signal, baudRate };
  }

  /** What the line has seen so far. */
  counts(): OsdpBusCounts {
    const { badChecks, garbageBytes } = this.#decoder.counts;
    return {
      ...this.#counts,
      reopened: this.#keeper.reopened,
      badChecks: this.#past.badChecks + badChecks,
      garbageBytes: this.#past.garbageBytes + garbageBytes,
    };
  }

  /** Closes the port and reports each reader offline. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#abort.signal.aborted) {
      this.#abort.abort(new HalError("disconnected", "the OSDP bus was closed"));
      this.#leaveLine();
      for (const talk of this.#talks) talk.lost("closed");
    }
    await this.#running;
  }

  #opened(port: SerialPort): void {
    this.#port = port;
    const nowMs = this.#host.clock.monotonicMs();
    this.#lastByteMs = nowMs;
    for (const talk of this.#talks) talk.connected(nowMs);
    this.#plan();
  }

  #leaveLine(): void {
    this.#port = undefined;
    this.#inFlight = undefined;
    this.#timer?.();
    this.#timer = undefined;
    const { badChecks, garbageBytes } = this.#decoder.counts;
    this.#past.badChecks += badChecks;
    this.#past.garbageBytes += garbageBytes;
    this.#decoder = new FrameDecoder();
  }

  #received({ bytes, receivedMonotonicMs }: SerialChunk): void {
    this.#lastByteMs = receivedMonotonicMs;
    this.#feed((sink) => this.#decoder.push(bytes, sink), receivedMonotonicMs);
  }

  #feed(decode: (sink: (frame: Frame) => void) => void, receivedMs: number): void {
    // Whatever a listener orders is sent when all that came with its event was looked at.
    this.#inPush = true;
    try {
      decode((frame) => this.#take(frame, receivedMs));
    } finally {
      this.#inPush = false;
    }
    this.#plan();
  }

  #take(frame: Frame, receivedMs: number): void {
    const inFlight = this.#inFlight;
    if (inFlight === undefined || !inFlight.talk.accept(frame, receivedMs)) {
      // Adapters that echo show us our own commands: those are nothing strange.
      if (frame.reply) this.#counts.stray++;
      return;
    }
    const replyingMs = frame.bytes.length * this.#characterMs();
    inFlight.talk.patience.answered(receivedMs - inFlight.sentMs - replyingMs);
    this.#counts.answered++;
    this.#freeMs = receivedMs;
    this.#inFlight = undefined;
    this.#timer?.();
    this.#timer = undefined;
  }

  /** Sends what is due, or schedules it. Called whenever anything has changed. */
  #plan(): void {
    if (this.#port === undefined || this.#inFlight !== undefined || this.#inPush) return;
    this.#timer?.();
    this.#timer = undefined;
    const nowMs = this.#host.clock.monotonicMs();
    const quietMs = Math.min(
      this.#lastByteMs + QUIET_CHARACTERS * this.#characterMs(),
      this.#freeMs + QUIET_WAIT_MS_MAX,
    );
    const { talk, atMs } = this.#pick(nowMs);
    if (talk === undefined) return;
    const waitMs = Math.max(atMs, quietMs) - nowMs;
    if (waitMs <= 0) this.#send(talk, nowMs);
    else this.#timer = this.#host.clock.schedule(waitMs, () => this.#plan());
  }

  /** Whose turn it is, and when: orders first, then whoever has waited longest. */
  #pick(nowMs: number): { talk: Conversation | undefined; atMs: number } {
    let poll: Conversation | undefined;
    let pollMs = Infinity;
    let urgent: Conversation | undefined;
    for (const talk of this.#talks) {
      const { dueMs } = talk;
      const atMs = talk.patience.misses > 0 ? Math.max(dueMs, this.#missingFreeMs) : dueMs;
      // Of several that may go at the same moment, the one that has waited longest: none starves.
      if (atMs < pollMs || (atMs === pollMs && dueMs < poll!.dueMs)) {
        [poll, pollMs] = [talk, atMs];
      }
      if (talk.urgent && (urgent === undefined || dueMs < urgent.dueMs)) urgent = talk;
    }
    if (urgent === undefined) return { talk: poll, atMs: pollMs };
    if (this.#urgentRun >= URGENT_RUN_MAX && pollMs <= nowMs) return { talk: poll, atMs: pollMs };
    return { talk: urgent, atMs: nowMs };
  }

  #send(talk: Conversation, nowMs: number): void {
    const port = this.#port!;
    // Bytes from before the question are no answer to it, even if they turn out to hold a frame.
    this.#decoder.discard();
    this.#urgentRun = talk.urgent ? this.#urgentRun + 1 : 0;
    const { bytes, onWritten, replyMs: longer } = talk.next(nowMs);
    const usualMs = this.#replyMs.get(talk)!;
    const hurried = talk.ready && longer === undefined;
    const replyMs = hurried ? talk.patience.waitMs(usualMs) : Math.max(usualMs, longer ?? 0);
    const sendingMs = bytes.length * this.#characterMs();
    const deadlineMs = sendingMs + replyMs;
    const sentMs = nowMs + sendingMs;
    this.#inFlight = { talk, sentMs, capMs: nowMs + Math.max(deadlineMs, EXCHANGE_MS_MAX) };
    this.#counts.sent++;
    this.#timer = this.#host.clock.schedule(deadlineMs, () => this.#deadline());
    port.write(bytes, this.#abort.signal).then(
      () => onWritten?.(this.#host.clock.monotonicMs()),
      (cause: unknown) => this.#keeper.writeFailed(port, cause),
    );
  }

  #deadline(): void {
    const inFlight = this.#inFlight;
    if (inFlight === undefined) return;
    const nowMs = this.#host.clock.monotonicMs();
    // A reply that has begun may go on, with the gaps that adapters make, but not for ever.
    const untilMs = Math.min(this.#lastByteMs + INTER_CHARACTER_MS, inFlight.capMs);
    if (this.#decoder.pendingBytes > 0 && untilMs > nowMs) {
      this.#timer = this.#host.clock.schedule(untilMs - nowMs, () => this.#deadline());
      return;
    }
    this.#timer = undefined;
    this.#feed((sink) => {
      this.#decoder.gap(sink);
      if (this.#inFlight !== undefined) this.#miss(inFlight.talk, nowMs);
    }, nowMs);
  }

  #miss(talk: Conversation, nowMs: number): void {
    this.#counts.missed++;
    this.#freeMs = nowMs;
    this.#inFlight = undefined;
    talk.missed(nowMs);
    if (talk.failing) talk.dueMs = nowMs + FAILING_RETRY_MS;
    this.#missingFreeMs = nowMs + (talk.failing ? FAILING_GAP_MS : MISSED_GAP_MS);
  }

  #characterMs(): number {
    return BITS_A_CHARACTER * 1000 / (this.#port?.settings.baudRate ?? 9600);
  }
}
