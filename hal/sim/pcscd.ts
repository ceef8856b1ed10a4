/**
 * A PC/SC daemon that is not there, written from pcsc-lite's `winscard_msg.h`, `winscard_svc.c` and
 * `eventhandler.c`: contactless readers with cards laid on them and taken away.
 *
 * @module
 */
import type { ByteStream } from "../byte_stream.ts";
import type { Clock } from "../clock.ts";
import { HalError } from "../error.ts";
import { memoryStreams } from "./memory_stream.ts";

/** A card that lies on a simulated reader. */
export interface VirtualCard {
  readonly atr: Uint8Array;
  /** The card's answer to a command APDU, status bytes last; `undefined` when it is silent. */
  readonly answer: (apdu: Uint8Array) => Uint8Array | undefined;
}

/** A contactless card of ISO/IEC 14443 as a reader of PC/SC part 3 shows it: it tells its UID and nothing else. */
export function contactlessCard(uid: Uint8Array): VirtualCard {
  return {
    // The ATR that part 3 §3.1.3.2.3 makes for a storage card (MIFARE Classic 1K).
    atr: Uint8Array.fromHex("3b8f8001804f0ca000000306030001000000006a"),
    answer: (apdu) =>
      apdu.toHex() === "ffca000000" ? Uint8Array.of(...uid, 0x90, 0x00) : Uint8Array.of(0x6d, 0x00),
  };
}

/** How a simulated daemon behaves. */
export interface VirtualPcscdOptions {
  /** Protocol 4.`minor`. Default 4. */
  readonly minor?: number;
  /** Time that it takes for an exchange with a card, in ms. Default 15. */
  readonly exchangeMs?: number;
}

interface Slot {
  readonly name: string;
  events: number;
  card: VirtualCard | undefined;
  /** The next so many connections say so instead. */
  refusals: number[];
}

const SUCCESS = 0;
const NO_SMARTCARD = 0x8010000c;
const UNKNOWN_READER = 0x80100009;
const INVALID_HANDLE = 0x80100003;
const UNRESPONSIVE = 0x80100066;
const REMOVED = 0x80100069;
const SERVICE_STOPPED = 0x8010001e;

/** The daemon; `connect` is a `connectUnix`. */
export class VirtualPcscd {
  readonly #clock: Clock;
  readonly #minor: number;
  readonly #exchangeMs: number;
  readonly #slots: Slot[] = [];
  readonly #clients = new Set<Client>();
  #running = true;

  /** Runs, with no reader. */
  constructor(clock: Clock, options: VirtualPcscdOptions = {}) {
    this.#clock = clock;
    this.#minor = options.minor ?? 4;
    this.#exchangeMs = options.exchangeMs ?? 15;
  }

  /** Connects a client, wherever it thinks the socket is. */
  readonly connect = (path: string, signal: AbortSignal): Promise<ByteStream> =>
    new Promise((resolve) => {
      signal.throwIfAborted();
      if (!this.#running) {
        throw new HalError("not-found", `connect to ${path}: nobody listens there`);
      }
      const [ours, theirs] = memoryStreams();
      const client = new Client(this, ours, this.#clock, this.#minor, this.#exchangeMs);
      this.#clients.add(client);
      void client.serve().finally(() => this.#clients.delete(client));
      resolve(theirs);
    });

  /** Plugs a reader in. At most 16 are. */
  plug(name: string): void {
    this.#slots.push({ name, events: 0, card: undefined, refusals: [] });
    this.#signal();
  }

  /** Pulls a reader out. */
  unplug(name: string): void {
    this.#slots.splice(this.#slots.findIndex((slot) => slot.name === name), 1);
    this.#signal();
  }

  /** Lays a card on a reader. */
  insert(name: string, card: VirtualCard): void {
    const slot = this.slot(name)!;
    slot.card = card;
    slot.events++;
    this.#signal();
  }

  /** Takes it away. */
  remove(name: string): void {
    const slot = this.slot(name)!;
    slot.card = undefined;
    slot.events++;
    this.#signal();
  }

  /** Makes the next connections to a card on the reader fail with these codes. */
  refuse(name: string, ...codes: readonly number[]): void {
    this.slot(name)!.refusals.push(...codes);
  }

  /** Stops the daemon: its clients are cut off. */
  async stop(): Promise<void> {
    this.#running = false;
    for (const client of [...this.#clients]) await client.close();
  }

  /** Starts it again, with the readers that are plugged in. */
  start(): void {
    this.#running = true;
  }

  /** Clients that are connected. */
  clients(): number {
    return this.#clients.size;
  }

  /** @internal */
  slot(name: string): Slot | undefined {
    return this.#slots.find((slot) => slot.name === name);
  }

  /** @internal `readerStates`: 16 of `READER_STATE`. */
  states(): Uint8Array {
    const bytes = new Uint8Array(16 * 184);
    const view = new DataView(bytes.buffer);
    this.#slots.forEach(({ name, events, card }, index) => {
      const at = index * 184;
      new TextEncoder().encodeInto(name, bytes.subarray(at, at + 127));
      view.setUint32(at + 128, events, true);
      // SCARD_PRESENT | SCARD_POWERED | SCARD_NEGOTIABLE, or SCARD_ABSENT.
      view.setUint32(at + 132, card === undefined ? 0x02 : 0x34, true);
      if (card === undefined) return;
      bytes.set(card.atr, at + 140);
      view.setUint32(at + 176, card.atr.length, true);
      view.setUint32(at + 180, 2, true);
    });
    return bytes;
  }

  #signal(): void {
    for (const client of this.#clients) client.signal();
  }
}

class Client {
  readonly #daemon: VirtualPcscd;
  readonly #stream: ByteStream;
  readonly #clock: Clock;
  readonly #minor: number;
  readonly #exchangeMs: number;
  readonly #stop = new AbortController();
  readonly #handles = new Map<number, { slot: Slot; events: number }>();
  #received: number[] = [];
  #waiting = false;
  #handle = 0x1234;

  constructor(
    daemon: VirtualPcscd,
    stream: ByteStream,
    clock: Clock,
    minor: number,
    exchangeMs: number,
  ) {
    this.#daemon = daemon;
    this.#stream = stream;
    this.#clock = clock;
    this.#minor = minor;
    this.#exchangeMs = exchangeMs;
  }

  /** Answers until the client leaves or asks something unheard of, as the daemon's thread does. */
  async serve(): Promise<void> {
    try {
      for (;;) {
        const [size, command] = this.#fields(await this.#take(8));
        if (!await this.#answer(command!, size!)) break;
      }
    } catch {
      // Gone, or stopped.
    }
    await this.#stream[Symbol.asyncDispose]();
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error("the daemon stops"));
    await this.#stream[Symbol.asyncDispose]();
  }

  /** `EHSignalEventToClients`: once for each wait. */
  signal(): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    void this.#send(0, SUCCESS);
  }

  async #answer(command: number, size: number): Promise<boolean> {
    const body = await this.#take(size);
    const f = this.#fields(body);
    switch (command) {
      case 0x11: {
        if (size !== 12) return false;
        const same = f[0] === 4 && f[1] === this.#minor;
        await this.#send(4, this.#minor, same ? SUCCESS : SERVICE_STOPPED);
        return true;
      }
      case 0x01:
        if (size !== 12) return false;
        await this.#send(f[0]!, 0x0bad5eed, SUCCESS);
        return true;
      case 0x13:
        if (size !== 0) return false;
        this.#waiting = true;
        await this.#stream.write(this.#daemon.states(), this.#stop.signal);
        return true;
      case 0x14:
        // Answered only when no signal crossed it.
        if (this.#waiting) await this.#send(0, SUCCESS);
        this.#waiting = false;
        return true;
      case 0x04: {
        if (size !== 152) return false;
        const name = new TextDecoder().decode(body.subarray(4, body.indexOf(0, 4)));
        const slot = this.#daemon.slot(name);
        const code = slot === undefined ? UNKNOWN_READER : slot.refusals.shift() ??
          (slot.card === undefined ? NO_SMARTCARD : SUCCESS);
        const answer = body.slice();
        const view = new DataView(answer.buffer);
        if (code === SUCCESS) {
          this.#handles.set(++this.#handle, { slot: slot!, events: slot!.events });
          view.setUint32(140, this.#handle, true);
          view.setUint32(144, 2, true);
        }
        view.setUint32(148, code, true);
        await this.#clock.sleep(this.#exchangeMs, this.#stop.signal);
        await this.#stream.write(answer, this.#stop.signal);
        return true;
      }
      case 0x06:
        if (size !== 12) return false;
        await this.#send(f[0]!, f[1]!, this.#handles.delete(f[0]!) ? SUCCESS : INVALID_HANDLE);
        return true;
      case 0x09:
        return size === 32 && await this.#transmit(f);
      default:
        return false;
    }
  }

  async #transmit(f: readonly number[]): Promise<boolean> {
    const apdu = await this.#take(f[3]!);
    const held = this.#handles.get(f[0]!);
    // pcscd ends the conversation over a handle that is none.
    if (held === undefined) return false;
    await this.#clock.sleep(this.#exchangeMs, this.#stop.signal);
    const { slot, events } = held;
    const answer = slot.events === events ? slot.card?.answer(apdu) : undefined;
    const code = answer !== undefined ? SUCCESS : slot.events === events ? UNRESPONSIVE : REMOVED;
    await this.#send(f[0]!, f[1]!, f[2]!, f[3]!, f[4]!, f[5]!, answer?.length ?? 0, code);
    if (answer !== undefined) await this.#stream.write(answer, this.#stop.signal);
    return true;
  }

  async #send(...fields: readonly number[]): Promise<void> {
    const bytes = new Uint8Array(fields.length * 4);
    const view = new DataView(bytes.buffer);
    fields.forEach((field, index) => view.setUint32(index * 4, field, true));
    await this.#stream.write(bytes, this.#stop.signal).catch(() => {});
  }

  async #take(count: number): Promise<Uint8Array> {
    if (count > 65_548) throw new Error("longer than any message");
    while (this.#received.length < count) {
      const more = await this.#stream.read(this.#stop.signal);
      if (more === null) throw new Error("the client is gone");
      this.#received.push(...more);
    }
    return Uint8Array.from(this.#received.splice(0, count));
  }

  #fields(bytes: Uint8Array): number[] {
    const view = new DataView(bytes.buffer);
    return Array.from(
      { length: bytes.length >> 2 },
      (_, index) => view.getUint32(index * 4, true),
    );
  }
}
