/**
 * One question and everything that is heard after it, on a line that no bus serves: for searching.
 *
 * @module
 */
import type { Clock, SerialPort } from "../../../hal/mod.ts";
import { type Command, encodeCommand } from "./commands.ts";
import {
  encodeFrame,
  type Frame,
  type FrameCheck,
  FrameDecoder,
  type FrameSequence,
  type SecurityBlock,
} from "./frame.ts";
import { BITS_A_CHARACTER, INTER_CHARACTER_MS } from "./line_times.ts";

/** Longest that is listened after one question, whatever babbles there. */
const LISTEN_MS_MAX = 1_000;

/** What came after a question. */
export interface Heard {
  /** Whole reply frames, in order, whoever sent them. */
  readonly frames: readonly Frame[];
  /** Everything, frames and not. */
  readonly bytes: number;
}

/** A question to an address. */
export interface Question {
  readonly address: number;
  readonly sequence: FrameSequence;
  readonly check: FrameCheck;
  readonly command: Command;
  readonly security?: SecurityBlock;
}

/** Asks on an open port. */
export class Prober {
  readonly #port: SerialPort;
  readonly #clock: Clock;

  /** The port stays the caller's. */
  constructor(port: SerialPort, clock: Clock) {
    this.#port = port;
    this.#clock = clock;
  }

  /**
   * Asks, and listens for `replyMs` after the last bit of the question, or until the first whole
   * reply unless `toTheEnd`. A reply that has begun may end.
   */
  async ask(
    { address, sequence, check, command, security }: Question,
    { replyMs, toTheEnd = false }: { readonly replyMs: number; readonly toTheEnd?: boolean },
    signal: AbortSignal,
  ): Promise<Heard> {
    const fields = { address, reply: false, sequence, check, ...encodeCommand(command) };
    const bytes = encodeFrame(security === undefined ? fields : { ...fields, security });
    this.#port.discardInput();
    await this.#port.write(bytes, signal);
    const sendingMs = bytes.length * BITS_A_CHARACTER * 1000 / this.#port.settings.baudRate;
    return await this.listen(sendingMs + replyMs, toTheEnd, signal);
  }

  /** Listens for `forMs`, or until the first whole reply unless `toTheEnd`. */
  async listen(forMs: number, toTheEnd: boolean, signal: AbortSignal): Promise<Heard> {
    const startMs = this.#clock.monotonicMs();
    const decoder = new FrameDecoder();
    const frames: Frame[] = [];
    const sink = (frame: Frame) => {
      if (frame.reply) frames.push(frame);
    };
    let bytes = 0;
    let untilMs = startMs + forMs;
    while (toTheEnd || frames.length === 0) {
      const leftMs = untilMs - this.#clock.monotonicMs();
      const chunk = leftMs <= 0 ? undefined : await this.#read(leftMs, signal);
      if (chunk === undefined) {
        // What has begun will not end any more; it may have hidden something.
        decoder.gap(sink);
        break;
      }
      bytes += chunk.length;
      decoder.push(chunk, sink);
      if (decoder.pendingBytes > 0) {
        const nowMs = this.#clock.monotonicMs();
        untilMs = Math.max(
          untilMs,
          Math.min(nowMs + INTER_CHARACTER_MS, startMs + forMs + LISTEN_MS_MAX),
        );
      }
    }
    return { frames, bytes };
  }

  /** What comes within `withinMs`; `undefined` when nothing does. */
  async #read(withinMs: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const over = new AbortController();
    const cancel = this.#clock.schedule(withinMs, () => over.abort());
    const stop = () => over.abort();
    signal.addEventListener("abort", stop, { once: true });
    try {
      signal.throwIfAborted();
      return (await this.#port.read(over.signal)).bytes;
    } catch (cause) {
      signal.throwIfAborted();
      if (over.signal.aborted) return undefined;
      throw cause;
    } finally {
      cancel();
      signal.removeEventListener("abort", stop);
    }
  }
}
