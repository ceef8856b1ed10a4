/**
 * One simulated reader: what a device that follows IEC 60839-11-5 answers to each command. Written
 * from the standard, not from the driver.
 *
 * @module
 */
import type { Cancel, Clock } from "../../mod.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { FileSink, type SimulatedFile } from "./file_sink.ts";
import { Lamp, type SimulatedLed } from "./lamp.ts";
import { layReply, type ReceivedCommand } from "./frames.ts";
import {
  noFaults,
  type SimulatedBeep,
  type SimulatedReaderFaults,
  type SimulatedReaderOptions,
  type SimulatedText,
} from "./options.ts";
import { RelayBank } from "./relays.ts";
import { type Body, Senses } from "./senses.ts";
import { Station } from "./station.ts";
import { SecureReader, type SecureReply } from "./secure_channel.ts";

/** A device drops the conversation after this silence (§5.7). */
const SESSION_MS = 8_000;
const BUSY = { code: 0x79, data: [] };
const ACK = 0x40;
const NAK = 0x41;

/** A simulated reader: its hands and eyes for a test or the demo. */
export class SimulatedOsdpReader {
  /** Its fault switches. */
  readonly faults: SimulatedReaderFaults = noFaults();
  /** Delay of its replies, in ms. */
  readonly replyDelayMs: number;
  readonly #clock: Clock;
  readonly #serial: number;
  readonly #unknown: ReadonlySet<number>;
  readonly #options: SimulatedReaderOptions;
  readonly #security: SecureReader;
  readonly #relays: RelayBank;
  readonly #lamp: Lamp;
  readonly #sink: FileSink | undefined;
  readonly #textListeners = new Set<(text: SimulatedText, atMs: number) => void>();
  readonly #moveListeners = new Set<(address: number, baudRate: number) => void>();
  readonly #station: Station;
  #firmware = [1, 4, 2];
  readonly #senses: Senses;
  readonly #beepListeners = new Set<(beep: SimulatedBeep, atMs: number) => void>();
  readonly #commandListeners = new Set<(code: number, sequence: number, atMs: number) => void>();
  /** `undefined` until a command with sequence 0 begins a conversation. */
  #lastSequence: number | undefined;
  #lastReply: Uint8Array | undefined;
  #lastHeardMs = -Infinity;
  #deadUntilMs = -Infinity;

  /** Makes a reader that was just switched on. */
  constructor(options: SimulatedReaderOptions, clock: Clock) {
    const { address, baudRate = 9_600 } = options;
    this.#station = new Station({ address, baudRate }, options.switches ?? false);
    this.replyDelayMs = options.replyDelayMs ?? 3;
    this.#clock = clock;
    this.#serial = options.serial ?? options.address;
    this.#unknown = new Set(options.unknownCommands);
    this.#options = options;
    this.#security = new SecureReader(
      options.key,
      options.installMode ?? false,
      Uint8Array.from([...this.#identity().slice(0, 8)]),
    );
    this.#senses = new Senses(options.inputs ?? 2);
    this.#relays = new RelayBank(options.outputs ?? 2, clock);
    this.#lamp = new Lamp(clock);
    this.#sink = options.file && new FileSink(options.file, ({ bytes }, rebootMs) => {
      this.#firmware = firmwareOf(bytes);
      // Once its answer is out.
      if (rebootMs !== undefined) clock.schedule(50, () => this.reboot(rebootMs));
    });
  }

  /** Its address on the line. */
  get address(): number {
    return this.#station.now.address;
  }

  /** Files that it was given, whole. */
  get files(): readonly SimulatedFile[] {
    return this.#sink?.files ?? [];
  }

  /** Where each part of a file that it was sent began. */
  get fileOffsets(): readonly number[] {
    return this.#sink?.offsets ?? [];
  }

  /** Calls back when its display is told something. */
  onText(listener: (text: SimulatedText, atMonotonicMs: number) => void): Cancel {
    return subscribe(this.#textListeners, listener);
  }

  /** Calls back when it goes to another address or baud rate, its answer to COMSET being out. */
  onMove(listener: (address: number, baudRate: number) => void): Cancel {
    return subscribe(this.#moveListeners, listener);
  }

  /** Its last answer is on the line. For the line. */
  answered(): void {
    if (!this.#station.answered()) return;
    this.#lastSequence = undefined;
    this.#security.drop();
    const { address, baudRate } = this.#station.now;
    for (const listener of this.#moveListeners) listener(address, baudRate);
  }

  /**
   * Presents a card: `bits` of `data`, first bit in the high bit of byte 0. It waits in the reader
   * for the next poll, however late that comes.
   */
  present(bits: number, data: Uint8Array): void {
    this.#senses.hold(0x50, [
      0,
      0,
      bits & 0xff,
      bits >> 8,
      ...data.subarray(0, Math.ceil(bits / 8)),
    ]);
  }

  /** Presses keys, `0`–`9`, `*`, `#`. */
  press(keys: string): void {
    const digits = Array.from(keys, (key) => {
      if (key === "*") return 0x7f;
      return key === "#" ? 0x0d : key.charCodeAt(0);
    });
    this.#senses.hold(0x53, [0, digits.length, ...digits]);
  }

  /** Hands any reply over to a poll, right or wrong. */
  hand(code: number, data: readonly number[]): void {
    this.#senses.hold(code, data);
  }

  /** Reads that wait for a poll. */
  get waitingReads(): number {
    return this.#senses.waitingReads;
  }

  /** Closes or opens a contact. */
  setInput(index: number, active: boolean): void {
    this.#senses.setInput(index, active);
  }

  /** Opens or closes its housing. */
  setTamper(active: boolean): void {
    this.#senses.setTamper(active);
  }

  /** Takes its power supply away or gives it back (it goes on from a battery). */
  setPowerFailed(failed: boolean): void {
    this.#senses.setPowerFailed(failed);
  }

  /** Whether relay `index` is on. */
  output(index: number): boolean {
    return this.#relays.active(index);
  }

  /** What its LED shows. */
  led(): SimulatedLed {
    return this.#lamp.shown();
  }

  /** Calls back when a relay switches. */
  onOutput(listener: (index: number, active: boolean, atMonotonicMs: number) => void): Cancel {
    return subscribe(this.#relays.listeners, listener);
  }

  /** Calls back when its LED is set, and when it goes back by itself. */
  onLed(listener: (led: SimulatedLed, atMonotonicMs: number) => void): Cancel {
    return subscribe(this.#lamp.listeners, listener);
  }

  /** Calls back when it is told to beep. */
  onBeep(listener: (beep: SimulatedBeep, atMonotonicMs: number) => void): Cancel {
    return subscribe(this.#beepListeners, listener);
  }

  /** Calls back for each command to it that was whole, repetitions too. */
  onCommand(listener: (code: number, sequence: number, atMonotonicMs: number) => void): Cancel {
    return subscribe(this.#commandListeners, listener);
  }

  /** Loses power for `deadMs`: forgets the conversation, relays drop, waiting reads are gone. */
  reboot(deadMs: number): void {
    this.#deadUntilMs = this.#clock.monotonicMs() + deadMs;
    this.#lastSequence = undefined;
    this.#lastReply = undefined;
    this.#security.drop();
    this.#senses.release();
    this.#relays.release();
    this.#lamp.release();
    this.#sink?.release();
  }

  /** Its own key of the secure channel, if it has one. */
  get key(): Uint8Array | undefined {
    return this.#security.key;
  }

  /** Somebody gives it another key, at a bench or by its maker's tool; its session ends. */
  swapKey(key: Uint8Array): void {
    this.#security.key = key;
    this.#security.drop();
  }

  /** Whether it is in a secure session. */
  get secure(): boolean {
    return this.#security.open;
  }

  /** Loses its session, and only that: the controller's next command is a surprise to it. */
  loseSession(): void {
    this.#security.drop();
  }

  /** The frame that it answers to a command that reached it; `undefined` is silence. For the line. */
  answer(command: ReceivedCommand): Uint8Array | undefined {
    const nowMs = this.#clock.monotonicMs();
    if (this.faults.mute || nowMs < this.#deadUntilMs) return undefined;
    if (this.#options.checksumOnly && command.withCrc) return undefined;
    const { sequence } = command;
    const nak = (error: number) => this.#lay(command, { scs: [], code: NAK, data: [error] });
    if (!command.checkOk) return nak(1);
    for (const listener of this.#commandListeners) listener(command.code, sequence, nowMs);
    if (nowMs - this.#lastHeardMs > SESSION_MS) this.#lastSequence = undefined;
    this.#lastHeardMs = nowMs;
    if (sequence === 0 || this.#lastSequence === undefined) this.#security.drop();
    if (sequence !== 0) {
      if (this.#lastSequence === undefined) return nak(4);
      // The very bytes again: laid anew they would not fit the chain of MACs.
      if (sequence === this.#lastSequence && this.#lastReply !== undefined) return this.#lastReply;
      const expected = this.#lastSequence === 3 ? 1 : this.#lastSequence + 1;
      if (sequence !== expected && sequence !== this.#lastSequence) return nak(4);
    }
    if (this.faults.busyReplies > 0) {
      this.faults.busyReplies--;
      return layReply({
        address: this.address,
        sequence: 0,
        withCrc: command.withCrc,
        ...BUSY,
      });
    }
    this.#lastSequence = sequence;
    this.#lastReply = this.#lay(command, this.#reply(command));
    return this.#lastReply;
  }

  /** Goes through the secure channel, or past it. */
  #reply(command: ReceivedCommand): SecureReply {
    const { code, data, scs } = command;
    const clear = (body: Body): SecureReply => ({ scs: [], ...body });
    const refuse = (error: number): SecureReply => clear({ code: NAK, data: [error] });
    if (this.#options.clearOnly && (scs !== 0 || code === 0x76)) return refuse(3);
    if (scs === 0x11 && code === 0x76) return this.#security.challenge(command) ?? refuse(6);
    if (scs === 0x13 && code === 0x77) return this.#security.prove(command) ?? refuse(6);
    if (scs === 0) {
      this.#security.drop();
      if (this.#options.secureOnly && code !== 0x61 && code !== 0x62) return refuse(5);
      return clear(this.#obey(code, data));
    }
    if (!this.#security.open) return refuse(5);
    const plain = scs === 0x15 || scs === 0x17 ? this.#security.unseal(command) : undefined;
    if (plain === undefined) {
      this.#security.drop();
      return refuse(6);
    }
    const body = this.#obey(code, plain);
    if (code === 0x75 && this.#options.clearKeySetAck) return clear(body);
    if (body.data.length > 0) {
      return { scs: [0x18], code: body.code, data: this.#security.encrypt(body.data) };
    }
    return { scs: [this.#options.emptyReplies ?? 0x16], ...body };
  }

  #lay({ address, sequence, withCrc }: ReceivedCommand, reply: SecureReply): Uint8Array {
    const sealed = (reply.scs[0] ?? 0) >= 0x15;
    const forged = sealed && this.faults.forgedReplies > 0;
    if (forged) this.faults.forgedReplies--;
    const seal = (covered: Uint8Array) => {
      const mac = this.#security.seal(covered);
      return forged ? mac.map((byte) => byte ^ 0x01) : mac;
    };
    const config = address === 0x7f && this.#options.configReply === "config";
    const frame = { address: config ? 0x7f : this.address, sequence, withCrc, ...reply };
    return layReply(sealed ? { ...frame, mac: seal } : frame);
  }

  #obey(code: number, data: Uint8Array): Body {
    if (this.#unknown.has(code)) return { code: NAK, data: [3] };
    const wrongLength = { code: NAK, data: [2] };
    switch (code) {
      case 0x60:
        return data.length === 0 ? this.#senses.news() : wrongLength;
      case 0x61:
        return data.length === 1 ? { code: 0x45, data: this.#identity() } : wrongLength;
      case 0x62:
        return data.length === 1
          ? { code: 0x46, data: capabilitiesOf(this.#options, this.#security) }
          : wrongLength;
      case 0x64:
        return data.length === 0 ? this.#senses.local() : wrongLength;
      case 0x65:
        return data.length === 0 ? this.#senses.contacts() : wrongLength;
      case 0x66:
        return data.length === 0 ? { code: 0x4a, data: this.#relays.states() } : wrongLength;
      case 0x67:
        return data.length === 0 ? { code: 0x4b, data: [0] } : wrongLength;
      case 0x68:
        if (data.length === 0 || data.length % 4 !== 0) return wrongLength;
        return this.#relays.obey(data) ? { code: 0x4a, data: this.#relays.states() } : {
          code: NAK,
          data: [9],
        };
      case 0x69:
        if (data.length === 0 || data.length % 14 !== 0) return wrongLength;
        for (let at = 0; at < data.length; at += 14) this.#lamp.obey(data.subarray(at, at + 14));
        return { code: ACK, data: [] };
      case 0x6a:
        return data.length === 5 ? this.#beep(data) : wrongLength;
      case 0x6b:
        return data.length >= 6 && data.length === 6 + data[5]! ? this.#show(data) : wrongLength;
      case 0x6e:
        return data.length === 5 ? this.#station.comset(data) : wrongLength;
      case 0x75:
        if (data.length !== 18 || data[0] !== 1 || data[1] !== 16) return { code: NAK, data: [9] };
        if (!this.#security.open) return { code: NAK, data: [5] };
        this.#security.key = data.slice(2);
        this.#security.installMode = false;
        return { code: ACK, data: [] };
      case 0x7c: {
        if (this.#sink === undefined) return { code: NAK, data: [3] };
        const status = this.#sink.obey(data);
        return status === undefined ? wrongLength : { code: 0x7a, data: status };
      }
      case 0x7b:
        return data.length === 2 ? { code: ACK, data: [] } : wrongLength;
      case 0xa2:
        this.#sink?.forget();
        return { code: ACK, data: [] };
      default:
        return { code: NAK, data: [3] };
    }
  }

  #show(data: Uint8Array): Body {
    if (!this.#options.display) return { code: NAK, data: [3] };
    const text = String.fromCharCode(...data.subarray(6));
    const shown = { text, forS: data[1]! >= 3 ? data[2]! : undefined };
    const atMs = this.#clock.monotonicMs();
    for (const listener of this.#textListeners) listener(shown, atMs);
    return { code: ACK, data: [] };
  }

  #identity(): number[] {
    const serial = [0, 8, 16, 24].map((shift) => (this.#serial >>> shift) & 0xff);
    return [0x0a, 0x00, 0x17, 1, 1, ...serial, ...this.#firmware];
  }

  #beep(data: Uint8Array): Body {
    const beep = { count: data[4]!, onMs: data[2]! * 100, offMs: data[3]! * 100 };
    const atMs = this.#clock.monotonicMs();
    if (data[1] === 2) { for (const listener of this.#beepListeners) listener(beep, atMs); }
    return { code: ACK, data: [] };
  }

  /** Stops what runs by itself. */
  stop(): void {
    this.#relays.stop();
    this.#lamp.stop();
  }
}

/** A file that begins with `GHFW` says its version in the next three bytes; others are 1.5.0. */
function firmwareOf(bytes: Uint8Array): number[] {
  const [magic, version] = [bytes.subarray(0, 4), bytes.subarray(4, 7)];
  return new TextDecoder().decode(magic) === "GHFW" ? [...version] : [1, 5, 0];
}

function subscribe<L>(listeners: Set<L>, listener: L): Cancel {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
