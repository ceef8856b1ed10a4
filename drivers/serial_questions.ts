/**
 * Questions and answers on a serial line that knows only one device.
 *
 * @module
 */
import { type Clock, HalError, type SerialPort } from "../hal/mod.ts";
import { readAll } from "./serial_link.ts";

/** Finds frames in bytes. It bounds what it holds back, and finds the next frame after any garbage. */
export interface FrameFinder<F> {
  /** Takes bytes as they come and gives each whole frame to `sink`. */
  push(bytes: Uint8Array, sink: (frame: F) => void): void;
  /** Forgets a frame that has begun. */
  reset(): void;
}

/** An answer. */
export interface Answer<F> {
  readonly frame: F;
  /** When its last byte became readable. */
  readonly receivedMonotonicMs: number;
}

interface Waiting<F> {
  readonly accept: (frame: F) => boolean;
  readonly resolve: (answer: Answer<F>) => void;
  readonly reject: (cause: unknown) => void;
}

/** One line with one device that speaks when it is asked. */
export class SerialQuestions<F> {
  readonly #port: SerialPort;
  readonly #clock: Clock;
  readonly #finder: FrameFinder<F>;
  #waiting: Waiting<F> | undefined;

  private constructor(port: SerialPort, clock: Clock, finder: FrameFinder<F>) {
    this.#port = port;
    this.#clock = clock;
    this.#finder = finder;
  }

  /** Reads `port` while `talk` asks; throws when either throws, after both have ended. */
  static async serve<F>(
    port: SerialPort,
    clock: Clock,
    finder: FrameFinder<F>,
    talk: (line: SerialQuestions<F>, signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const line = new SerialQuestions(port, clock, finder);
    const done = new AbortController();
    const end = AbortSignal.any([signal, done.signal]);
    const reading = readAll(port, (chunk) => {
      finder.push(chunk.bytes, (frame) => line.#take(frame, chunk.receivedMonotonicMs));
    }, end).catch((cause: unknown) => {
      line.#waiting?.reject(cause);
      throw cause;
    });
    const talking = talk(line, end);
    try {
      await Promise.race([reading, talking]);
    } finally {
      done.abort(new HalError("disconnected", `${port.settings.path}: the talk is over`));
      await Promise.allSettled([reading, talking]);
    }
  }

  /**
   * Sends `question` and waits for the first frame that `accept` takes; what came before is no
   * answer. Also with a `question` of no bytes, for a further frame.
   *
   * @throws `HalError` `timeout` after `timeoutMs` without an answer, `disconnected`; the signal's reason.
   */
  async ask(
    question: Uint8Array,
    timeoutMs: number,
    accept: (frame: F) => boolean,
    signal: AbortSignal,
  ): Promise<Answer<F>> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Answer<F>>();
    // It may fail while the question is still being written.
    promise.catch(() => {});
    if (question.length > 0) this.#finder.reset();
    this.#waiting = { accept, resolve, reject };
    const aborted = () => reject(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    const cancel = this.#clock.schedule(timeoutMs, () => {
      const path = this.#port.settings.path;
      reject(new HalError("timeout", `${path}: no answer in ${timeoutMs} ms`));
    });
    try {
      if (question.length > 0) await this.#port.write(question, signal);
      return await promise;
    } finally {
      this.#waiting = undefined;
      cancel();
      signal.removeEventListener("abort", aborted);
    }
  }

  #take(frame: F, receivedMonotonicMs: number): void {
    if (this.#waiting?.accept(frame) !== true) return;
    this.#waiting.resolve({ frame, receivedMonotonicMs });
    this.#waiting = undefined;
  }
}
