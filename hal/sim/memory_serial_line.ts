import type { Clock } from "../clock.ts";
import { HalError } from "../error.ts";
import type { SerialChunk, SerialPort, SerialSettings } from "../serial.ts";

/** Which end of a line: `a` is by custom the box, `b` the device. */
export type LineEnd = "a" | "b";

/** What arrives instead of what was sent, and how much later. */
export interface Delivery {
  /** An empty one is nothing. */
  readonly bytes: Uint8Array;
  /** Default 0. Bytes never overtake each other: one that is late holds up what follows. */
  readonly delayMs?: number;
}

/** How a memory line behaves. */
export interface MemoryLineOptions {
  /** What both ends call it. Default `memory`. */
  readonly path?: string;
  /**
   * Called with each write; what it returns arrives at the other end: spoilt, split, late, twice
   * or not at all. Without it each write arrives at once and whole.
   */
  readonly interfere?: (bytes: Uint8Array, from: LineEnd) => readonly Delivery[];
}

/** Two ends of one line. */
export interface MemorySerialLine {
  /** One end. */
  readonly a: SerialPort;
  /** The other end. */
  readonly b: SerialPort;
  /** Pulls the plug: both ends are disconnected, after what has arrived was read. */
  hangUp(): void;
}

/** A tty holds about as much. */
const QUEUE_BYTES_MAX = 65_536;
/** See {@link SerialPort.write}. */
const STALL_MS_MAX = 1_000;

/** Two serial ports that are joined in memory; for tests that step a virtual clock. */
export function memorySerialLine(clock: Clock, options: MemoryLineOptions = {}): MemorySerialLine {
  const settings = { path: options.path ?? "memory", baudRate: 9_600 };
  const interfere = options.interfere ?? ((bytes: Uint8Array) => [{ bytes }]);
  const a = new MemoryEnd(settings, clock, (bytes) => interfere(bytes, "a"));
  const b = new MemoryEnd(settings, clock, (bytes) => interfere(bytes, "b"));
  a.peer = b;
  b.peer = a;
  return {
    a,
    b,
    hangUp: () => {
      a.disconnect("the other end or the adapter is gone");
      b.disconnect("the other end or the adapter is gone");
    },
  };
}

class MemoryEnd implements SerialPort {
  readonly settings: SerialSettings;
  peer: MemoryEnd | undefined;
  readonly #clock: Clock;
  readonly #interfere: (bytes: Uint8Array) => readonly Delivery[];
  readonly #received: SerialChunk[] = [];
  #queuedBytes = 0;
  /** When the last delivery that is under way arrives. */
  #lastDueMs = 0;
  #underWay = 0;
  #goneBecause: string | undefined;
  #reader: { resolve: (chunk: SerialChunk) => void; reject: (error: unknown) => void } | undefined;
  readonly #onSpace = new Set<() => void>();

  constructor(
    settings: SerialSettings,
    clock: Clock,
    interfere: (bytes: Uint8Array) => readonly Delivery[],
  ) {
    this.settings = settings;
    this.#clock = clock;
    this.#interfere = interfere;
  }

  read(signal: AbortSignal): Promise<SerialChunk> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (this.#reader !== undefined) {
        return reject(this.#fault("busy", "another read is waiting already"));
      }
      const chunk = this.#received.shift();
      if (chunk !== undefined) {
        this.#taken(chunk.bytes.length);
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
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      signal.addEventListener("abort", onAbort);
    });
  }

  async write(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#goneBecause !== undefined) throw this.#gone();
    const peer = this.peer!;
    if (peer.#queuedBytes > QUEUE_BYTES_MAX) await peer.#space(signal);
    for (const { bytes: arriving, delayMs = 0 } of this.#interfere(bytes.slice())) {
      if (arriving.length > 0) peer.#deliver(arriving.slice(), delayMs);
    }
  }

  async drain(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#goneBecause !== undefined) throw this.#gone();
    await Promise.resolve();
  }

  discardInput(): void {
    if (this.#goneBecause !== undefined) throw this.#gone();
    this.#drop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    // The other end notices nothing, as on a real line: what it sends from now on is lost.
    this.disconnect("it is closed");
    this.#drop();
    return Promise.resolve();
  }

  disconnect(because: string): void {
    this.#goneBecause ??= because;
    this.#reader?.reject(this.#gone());
    for (const wake of [...this.#onSpace]) wake();
  }

  #deliver(bytes: Uint8Array, delayMs: number): void {
    this.#queuedBytes += bytes.length;
    const nowMs = this.#clock.monotonicMs();
    const dueMs = Math.max(nowMs + delayMs, this.#lastDueMs);
    if (this.#underWay === 0 && dueMs <= nowMs) return this.#arrive(bytes);
    this.#lastDueMs = dueMs;
    this.#underWay++;
    this.#clock.schedule(dueMs - nowMs, () => {
      this.#underWay--;
      this.#arrive(bytes);
    });
  }

  #arrive(bytes: Uint8Array): void {
    if (this.#goneBecause !== undefined) return this.#taken(bytes.length);
    const chunk = { bytes, receivedMonotonicMs: this.#clock.monotonicMs() };
    if (this.#reader === undefined) {
      this.#received.push(chunk);
      return;
    }
    this.#taken(bytes.length);
    this.#reader.resolve(chunk);
  }

  #drop(): void {
    const bytes = this.#received.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
    this.#received.length = 0;
    this.#taken(bytes);
  }

  #taken(bytes: number): void {
    this.#queuedBytes -= bytes;
    for (const wake of [...this.#onSpace]) wake();
  }

  /** Waits until this end has room; on behalf of the peer, which is writing. */
  async #space(signal: AbortSignal): Promise<void> {
    while (this.#queuedBytes > QUEUE_BYTES_MAX) {
      await new Promise<void>((resolve, reject) => {
        const settle = () => {
          cancel();
          this.#onSpace.delete(wake);
          signal.removeEventListener("abort", onAbort);
        };
        const wake = () => {
          settle();
          resolve();
        };
        const onAbort = () => {
          settle();
          reject(signal.reason);
        };
        const cancel = this.#clock.schedule(STALL_MS_MAX, () => {
          settle();
          reject(this.#fault("timeout", `the line took nothing for ${STALL_MS_MAX} ms`));
        });
        this.#onSpace.add(wake);
        signal.addEventListener("abort", onAbort);
      });
      if (this.peer!.#goneBecause !== undefined) throw this.peer!.#gone();
    }
  }

  #gone(): HalError {
    return this.#fault("disconnected", this.#goneBecause!);
  }

  #fault(kind: HalError["kind"], what: string): HalError {
    return new HalError(kind, `${this.settings.path}: ${what}`);
  }
}
