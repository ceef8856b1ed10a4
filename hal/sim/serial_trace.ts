import type { Clock } from "../clock.ts";
import { HalError } from "../error.ts";
import type { SerialChunk, SerialPort, SerialSettings } from "../serial.ts";

/** One step of a recorded conversation. */
export interface TraceStep {
  /** `>` the box wrote, `<` the device sent. */
  readonly direction: ">" | "<";
  /** Time since the step before, in ms. */
  readonly afterMs: number;
  /** At least one byte. */
  readonly bytes: Uint8Array;
  /** Where it stands in the file, from 1. */
  readonly lineNumber: number;
}

/** A trace is read into memory; an hour at 9600 baud is about this long as text. */
const TRACE_CHARACTERS_MAX = 16 << 20;
const HEADER = "# gatehouse serial trace 1";
const STEP = /^\+(\d{1,9}(?:\.\d{1,6})?) ([<>])((?: [0-9a-f]{2})+)(?:\s*#.*)?$/i;

/** A trace that cannot be played, or a conversation that went another way than the recorded one. */
export class TraceError extends Error {
  /** Says in which line of the trace, and what was expected there. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "TraceError";
  }
}

/**
 * Reads a trace: a header line, then one step a line, `+MILLISECONDS > HEX` or `<`; `#` starts a
 * comment.
 *
 * ```text
 * # gatehouse serial trace 1
 * +0 > 53 00 08 00 04 60 e9 b8
 * +4.2 < 53 80 08 00 04 40 59 46   # ACK
 * ```
 *
 * @throws {@link TraceError} naming the line.
 */
export function parseTrace(text: string): readonly TraceStep[] {
  if (text.length > TRACE_CHARACTERS_MAX) throw new TraceError("the trace is too long");
  const lines = text.split(/\r?\n/);
  if (lines[0]?.trim() !== HEADER) throw new TraceError(`line 1: expected "${HEADER}"`);
  return lines.flatMap((line, index) => {
    if (line.trim() === "" || line.startsWith("#")) return [];
    const [, after, direction, hex] = STEP.exec(line.trim()) ?? [];
    if (after === undefined || hex === undefined) {
      throw new TraceError(`line ${index + 1}: expected "+MS > HEX" or "+MS < HEX"`);
    }
    return [{
      direction: direction as ">" | "<",
      afterMs: Number(after),
      bytes: Uint8Array.from(hex.trim().split(" "), (byte) => parseInt(byte, 16)),
      lineNumber: index + 1,
    }];
  });
}

const hexOf = (bytes: Uint8Array) =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");

/**
 * A port that passes everything through to `port`, and hands each line of a trace to `sink`, the
 * header first. Disposal disposes `port`.
 */
export function recordSerial(
  port: SerialPort,
  clock: Clock,
  sink: (line: string) => void,
): SerialPort {
  sink(HEADER);
  sink(`# ${port.settings.path}, ${port.settings.baudRate} baud`);
  let lastMs = clock.monotonicMs();
  const step = (direction: string, bytes: Uint8Array, atMs: number) => {
    sink(`+${Math.max(0, atMs - lastMs).toFixed(3)} ${direction} ${hexOf(bytes)}`);
    lastMs = Math.max(lastMs, atMs);
  };
  return {
    settings: port.settings,
    read: async (signal) => {
      const chunk = await port.read(signal);
      step("<", chunk.bytes, chunk.receivedMonotonicMs);
      return chunk;
    },
    write: async (bytes, signal) => {
      // Before the write: the answer may be read before the write's promise is looked at.
      if (bytes.length > 0) step(">", bytes, clock.monotonicMs());
      await port.write(bytes, signal);
    },
    drain: (signal) => port.drain(signal),
    discardInput: () => port.discardInput(),
    [Symbol.asyncDispose]: () => port[Symbol.asyncDispose](),
  };
}

/** A recorded device. */
export interface SerialPlayback extends SerialPort {
  /** Steps that were not played yet; 0 when the conversation is complete. */
  leftSteps(): number;
}

/**
 * Plays the device's part of a trace. What the box writes must be what it wrote then, byte for
 * byte, in chunks of any size; what the device sent comes once all that stands before it happened
 * and its time is over. After the last step the line is silent.
 *
 * A wrong write throws at once. Disposal throws {@link TraceError} as well if a write was wrong
 * (drivers may well catch it) or if steps are left.
 */
export function playbackSerial(text: string, clock: Clock): SerialPlayback {
  return new Playback(parseTrace(text), clock);
}

class Playback implements SerialPlayback {
  readonly settings: SerialSettings = { path: "playback", baudRate: 9_600 };
  readonly #steps: readonly TraceStep[];
  readonly #clock: Clock;
  /** The step that is played next. */
  #at = 0;
  /** Bytes of it that were written already. */
  #written = 0;
  /** When the step before it was over. */
  #lastMs: number;
  #fault: TraceError | undefined;
  #disposed = false;
  readonly #closing = new AbortController();
  #reading = false;
  #onProgress: (() => void) | undefined;

  constructor(steps: readonly TraceStep[], clock: Clock) {
    this.#steps = steps;
    this.#clock = clock;
    this.#lastMs = clock.monotonicMs();
  }

  leftSteps(): number {
    return this.#steps.length - this.#at;
  }

  async read(signal: AbortSignal): Promise<SerialChunk> {
    signal.throwIfAborted();
    this.#check();
    if (this.#reading) throw new HalError("busy", "playback: another read is waiting already");
    this.#reading = true;
    const end = AbortSignal.any([signal, this.#closing.signal]);
    try {
      for (;;) {
        const step = this.#steps[this.#at];
        const waitMs = step?.direction === "<"
          ? this.#lastMs + step.afterMs - this.#clock.monotonicMs()
          : Infinity;
        if (step !== undefined && waitMs <= 0) {
          this.#next();
          return { bytes: step.bytes.slice(), receivedMonotonicMs: this.#clock.monotonicMs() };
        }
        if (waitMs < Infinity) await this.#clock.sleep(waitMs, end);
        else await this.#progress(end);
      }
    } catch (error) {
      this.#check();
      throw error;
    } finally {
      this.#reading = false;
    }
  }

  write(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      this.#check();
      for (const [index, byte] of bytes.entries()) {
        const step = this.#steps[this.#at];
        if (step?.direction !== ">" || step.bytes[this.#written] !== byte) {
          this.#wrong(step, bytes, index);
        }
        if (++this.#written === step.bytes.length) this.#next();
      }
      resolve();
    });
  }

  drain(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      this.#check();
      resolve();
    });
  }

  discardInput(): void {
    this.#check();
    // What is due was received; a driver that throws it away did so when it was recorded.
    for (;;) {
      const step = this.#steps[this.#at];
      if (step?.direction !== "<") return;
      if (this.#lastMs + step.afterMs > this.#clock.monotonicMs()) return;
      this.#next();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return new Promise((resolve) => {
      if (this.#disposed) return resolve();
      this.#disposed = true;
      this.#closing.abort();
      if (this.#fault !== undefined) throw this.#fault;
      const step = this.#steps[this.#at];
      if (step !== undefined) {
        throw new TraceError(
          `line ${step.lineNumber}: ${this.leftSteps()} steps were left, the first ` +
            `${step.direction} ${hexOf(step.bytes)}`,
        );
      }
      resolve();
    });
  }

  #next(): void {
    this.#at++;
    this.#written = 0;
    this.#lastMs = this.#clock.monotonicMs();
    this.#onProgress?.();
  }

  #wrong(step: TraceStep | undefined, bytes: Uint8Array, index: number): never {
    const wanted = step === undefined
      ? "nothing: the trace is over"
      : step.direction === "<"
      ? `the device to send ${hexOf(step.bytes)} first`
      : `${hexOf(step.bytes)}, at its byte ${this.#written}`;
    const where = step === undefined ? "after the last line" : `line ${step.lineNumber}`;
    this.#fault ??= new TraceError(
      `${where}: expected ${wanted}; got ${hexOf(bytes)}, at its byte ${index}`,
    );
    throw this.#fault;
  }

  #progress(end: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (end.aborted) return reject(end.reason);
      const settle = () => {
        this.#onProgress = undefined;
        end.removeEventListener("abort", onAbort);
      };
      const onAbort = () => {
        settle();
        reject(end.reason);
      };
      this.#onProgress = () => {
        settle();
        resolve();
      };
      end.addEventListener("abort", onAbort);
    });
  }

  #check(): void {
    if (this.#disposed) throw new HalError("disconnected", "playback: it is closed");
    if (this.#fault !== undefined) throw this.#fault;
  }
}
