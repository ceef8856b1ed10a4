import type { Clock } from "../clock.ts";
import { HalError } from "../error.ts";
import type { SerialChunk, SerialPort, SerialSettings } from "../serial.ts";

/** One transceiver on a line. It hears what the others send, not itself. */
export interface Rs485Station extends SerialPort {
  /** It talks and listens at another rate from now on. */
  setBaudRate(baudRate: number): void;
  /** The adapter is pulled: it reads and writes `disconnected`. */
  unplug(): void;
}

/** A two-wire line with any number of stations on it. */
export interface Rs485Line {
  /** Puts a station on it. A controller that opens its port again joins again. */
  join(baudRate: number, path?: string): Rs485Station;
}

/** Start, eight data bits, stop. */
const BITS_A_BYTE = 10;
/** A UART hands its bytes on in pieces of about this many; half of a 16550's buffer. */
const PIECE_BYTES = 8;
/** What a station holds unread; a tty holds about as much. */
const QUEUE_BYTES_MAX = 65_536;
/** UARTs look for the start bit this many times a bit. */
const OVERSAMPLING = 16;

interface Burst {
  readonly from: Station;
  readonly bytes: Uint8Array;
  readonly startMs: number;
  readonly endMs: number;
  readonly bitMs: number;
  /** It has ended and was heard. */
  heard: boolean;
}

/**
 * An RS-485 line in memory: bytes take the time that their bits take at the sender's rate; two who
 * send at once pull the line low together, so that the others hear neither; who listens at another
 * rate hears what a UART would sample. Timed by `clock`, exact on a virtual one.
 *
 * ```ts
 * const line = rs485Line(clock);
 * const box = line.join(38_400);
 * simulateOsdpReaders(line.join(38_400), clock, [{ address: 0 }], signal);
 * ```
 */
export function rs485Line(clock: Clock): Rs485Line {
  const stations = new Set<Station>();
  // What is on the line now, and what ended so lately that it can still overlap.
  let bursts: Burst[] = [];
  const send = (burst: Burst) => {
    bursts.push(burst);
    clock.schedule(burst.endMs - clock.monotonicMs(), () => {
      for (const station of stations) {
        if (station === burst.from) continue;
        const mine = bursts.some((one) => one.from === station && overlap(one, burst));
        // A transceiver that sends has its receiver switched off.
        if (mine) continue;
        const others = bursts.filter((one) => one.from !== burst.from && overlap(one, burst));
        const heard = hear(burst, others, station.baudRate);
        if (heard.length > 0) station.hear(heard);
      }
      burst.heard = true;
      const onTheWay = bursts.filter((one) => !one.heard);
      const fromMs = Math.min(...onTheWay.map((one) => one.startMs));
      bursts = bursts.filter((one) => one.endMs > fromMs);
    });
  };
  return {
    join: (baudRate, path = "rs485") => {
      const station: Station = new Station({ path, baudRate }, clock, send, () => {
        stations.delete(station);
      });
      stations.add(station);
      return station;
    },
  };
}

class Station implements Rs485Station {
  #settings: SerialSettings;
  readonly #clock: Clock;
  readonly #send: (burst: Burst) => void;
  readonly #leave: () => void;
  readonly #heard: SerialChunk[] = [];
  #heardBytes = 0;
  #freeMs = 0;
  #goneBecause: string | undefined;
  #reader: { resolve: (chunk: SerialChunk) => void; reject: (cause: unknown) => void } | undefined;

  constructor(
    settings: SerialSettings,
    clock: Clock,
    send: (burst: Burst) => void,
    leave: () => void,
  ) {
    this.#settings = settings;
    this.#clock = clock;
    this.#send = send;
    this.#leave = leave;
  }

  get settings(): SerialSettings {
    return this.#settings;
  }

  get baudRate(): number {
    return this.#settings.baudRate;
  }

  setBaudRate(baudRate: number): void {
    this.#settings = { ...this.#settings, baudRate };
  }

  unplug(): void {
    this.#go("the adapter is gone");
  }

  hear(bytes: Uint8Array): void {
    const chunk = { bytes, receivedMonotonicMs: this.#clock.monotonicMs() };
    if (this.#reader !== undefined) return this.#reader.resolve(chunk);
    // Overrun: what nobody reads is lost, as in a tty.
    if (this.#heardBytes + bytes.length > QUEUE_BYTES_MAX) return;
    this.#heardBytes += bytes.length;
    this.#heard.push(chunk);
  }

  read(signal: AbortSignal): Promise<SerialChunk> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (this.#reader !== undefined) {
        return reject(this.#fault("busy", "another read is waiting already"));
      }
      const chunk = this.#heard.shift();
      if (chunk !== undefined) {
        this.#heardBytes -= chunk.bytes.length;
        return resolve(chunk);
      }
      if (this.#goneBecause !== undefined) return reject(this.#gone());
      const settle = () => {
        this.#reader = undefined;
        signal.removeEventListener("abort", onAbort);
      };
      const onAbort = () => {
        settle();
        reject(signal.reason);
      };
      this.#reader = {
        resolve: (got) => {
          settle();
          resolve(got);
        },
        reject: (cause) => {
          settle();
          reject(cause);
        },
      };
      signal.addEventListener("abort", onAbort);
    });
  }

  write(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      if (this.#goneBecause !== undefined) throw this.#gone();
      const bitMs = 1000 / this.baudRate;
      let startMs = Math.max(this.#clock.monotonicMs(), this.#freeMs);
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        const piece = bytes.slice(at, at + PIECE_BYTES);
        const endMs = startMs + piece.length * BITS_A_BYTE * bitMs;
        this.#send({ from: this, bytes: piece, startMs, endMs, bitMs, heard: false });
        startMs = endMs;
      }
      this.#freeMs = startMs;
      resolve();
    });
  }

  async drain(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const leftMs = this.#freeMs - this.#clock.monotonicMs();
    if (leftMs > 0) await this.#clock.sleep(leftMs, signal);
  }

  discardInput(): void {
    if (this.#goneBecause !== undefined) throw this.#gone();
    this.#heard.length = 0;
    this.#heardBytes = 0;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#go("it is closed");
    return Promise.resolve();
  }

  #go(because: string): void {
    this.#leave();
    this.#goneBecause ??= because;
    this.#reader?.reject(this.#gone());
  }

  #gone(): HalError {
    return this.#fault("disconnected", this.#goneBecause!);
  }

  #fault(kind: HalError["kind"], what: string): HalError {
    return new HalError(kind, `${this.#settings.path}: ${what}`);
  }
}

function overlap(a: Burst, b: Burst): boolean {
  return a !== b && a.startMs < b.endMs && b.startMs < a.endMs;
}

/** What a UART at `baudRate` makes of `burst` while `others` send too. */
function hear(burst: Burst, others: readonly Burst[], baudRate: number): Uint8Array {
  const bitMs = 1000 / baudRate;
  // UARTs bear about 2% of difference in all.
  if (others.length === 0 && Math.abs(bitMs / burst.bitMs - 1) < 0.02) return burst.bytes.slice();
  const sending = [burst, ...others];
  // Whoever pulls it low wins.
  const level = (atMs: number) => sending.every((one) => levelOf(one, atMs));
  const bytes: number[] = [];
  let atMs = burst.startMs;
  while (atMs < burst.endMs) {
    if (level(atMs)) {
      atMs += bitMs / OVERSAMPLING;
      continue;
    }
    let byte = 0;
    for (let bit = 0; bit < 8; bit++) {
      if (level(atMs + (1.5 + bit) * bitMs)) byte |= 1 << bit;
    }
    // A missing stop bit is a framing error; a tty in raw mode hands the byte on all the same.
    bytes.push(byte);
    atMs += 9.5 * bitMs;
    while (atMs < burst.endMs && !level(atMs)) atMs += bitMs / OVERSAMPLING;
  }
  return Uint8Array.from(bytes);
}

/** Whether `burst` leaves the line high at a moment. */
function levelOf(burst: Burst, atMs: number): boolean {
  if (atMs < burst.startMs || atMs >= burst.endMs) return true;
  const bit = Math.floor((atMs - burst.startMs) / burst.bitMs);
  const place = bit % BITS_A_BYTE;
  if (place === 0) return false;
  if (place === BITS_A_BYTE - 1) return true;
  return (burst.bytes[Math.floor(bit / BITS_A_BYTE)]! >> (place - 1) & 1) === 1;
}
