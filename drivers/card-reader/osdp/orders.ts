/**
 * What waits to be told to one reader. Bounded by its shape: the last order for each output, one LED
 * pattern of each layer, one buzzer pattern; a newer one takes the place of an older.
 *
 * @module
 */
import type { ReaderFeedback } from "../../contract.ts";
import { type Command, OUTPUT_CONTROL, type OutputControl } from "./commands.ts";
import type { FeedbackPatterns } from "./feedback.ts";
import type { OsdpOutput, OutputOrder } from "./lines.ts";
import type { Reply } from "./replies.ts";

/** Outputs of one reader: more than any sold one has, and a full OUT stays within 128 bytes. */
export const OUTPUTS_MAX = 14;
/**
 * How old an order to open, or an answer to a card, may be when it reaches the reader. Whoever it
 * was meant for stands there no more.
 */
export const ORDER_AGE_MS_MAX = 2_000;
/** The longest time that OUT can say: 65,535 units of 100 ms. */
const TIMER_MAX = 0xffff;

/** A command on its way, with what is to happen around it. */
export interface Order {
  readonly command: Command;
  /** After this it must not be sent any more, not even again. */
  readonly expiresMs?: number;
  /** Called once, when the line has taken it. */
  readonly onWritten?: (atMonotonicMs: number) => void;
  /** How long it may take to begin its reply, where that is longer than usual. */
  readonly replyMs?: number;
  /** Called with its answer, a refusal too; `undefined` when that could not be read. */
  readonly onReply?: (reply: Reply | undefined) => void;
  /** Called instead when the conversation began anew before the answer: nobody knows what became of it. */
  readonly onLost?: () => void;
}

/** What of a reader may be used. */
export interface FeedbackUse {
  readonly led: boolean;
  readonly buzzer: boolean;
  readonly text: boolean;
}

interface Waiting {
  readonly order: OutputOrder;
  /** Told again to a reader that may have forgotten, not ordered anew. */
  readonly restored: boolean;
}

/** What waits to be told to one reader. */
export class OrderQueue {
  readonly #outputs: ReadonlyMap<number, OsdpOutput>;
  readonly #patterns: FeedbackPatterns;
  readonly #waiting = new Map<number, Waiting>();
  #answerLed: Order | undefined;
  #restingLed: Order | undefined;
  #answerText: Order | undefined;
  #restingText: Order | undefined;
  #buzzer: Order | undefined;
  #resting: ReaderFeedback | undefined;

  /** `outputs` is the reader's own table, which may grow. */
  constructor(outputs: ReadonlyMap<number, OsdpOutput>, patterns: FeedbackPatterns) {
    this.#patterns = patterns;
    this.#outputs = outputs;
  }

  /** Whether anything waits. */
  get empty(): boolean {
    return this.#waiting.size === 0 && this.#answerLed === undefined &&
      this.#restingLed === undefined && this.#buzzer === undefined &&
      this.#answerText === undefined && this.#restingText === undefined;
  }

  /** Puts an order for output `index` in the place of an older one. */
  output(index: number, order: OutputOrder): void {
    this.#waiting.set(index, { order, restored: false });
  }

  /** Puts a feedback in the place of an older one of its layer. */
  feedback(feedback: ReaderFeedback, use: FeedbackUse, nowMs: number): void {
    const { resting, led, buzzer, text } = this.#patterns[feedback];
    const expiresMs = nowMs + ORDER_AGE_MS_MAX;
    if (resting) this.#resting = feedback;
    if (use.led) {
      if (resting) this.#restingLed = { command: led };
      else this.#answerLed = { command: led, expiresMs };
    }
    if (use.text && text !== undefined) {
      if (resting) this.#restingText = { command: text };
      else this.#answerText = { command: text, expiresMs };
    }
    if (use.buzzer && buzzer !== undefined) this.#buzzer = { command: buzzer, expiresMs };
  }

  /** Asks for everything that a reader which may have forgotten must be told again. */
  restore(use: Omit<FeedbackUse, "buzzer">): void {
    for (const [index, output] of this.#outputs) {
      output.permanent = undefined;
      if (output.lastOrder === undefined || this.#waiting.has(index)) continue;
      this.#waiting.set(index, { order: output.lastOrder, restored: true });
    }
    if (this.#resting === undefined) return;
    const { led, text } = this.#patterns[this.#resting];
    if (use.led) this.#restingLed ??= { command: led };
    if (use.text && text !== undefined) this.#restingText ??= { command: text };
  }

  /** Takes the next command out, outputs first; `stale` hears of those that came too late. */
  take(nowMs: number, stale: (what: string) => void): Order | undefined {
    const outputs = this.#takeOutputs(nowMs, stale);
    if (outputs !== undefined) return outputs;
    const slots = [
      this.#answerLed,
      this.#buzzer,
      this.#answerText,
      this.#restingLed,
      this.#restingText,
    ];
    for (const slot of slots) {
      if (slot === undefined) continue;
      if (slot === this.#answerLed) this.#answerLed = undefined;
      else if (slot === this.#buzzer) this.#buzzer = undefined;
      else if (slot === this.#answerText) this.#answerText = undefined;
      else if (slot === this.#restingLed) this.#restingLed = undefined;
      else this.#restingText = undefined;
      if (slot.expiresMs === undefined || slot.expiresMs >= nowMs) return slot;
      stale(slot.command.kind);
    }
    return undefined;
  }

  #takeOutputs(nowMs: number, stale: (what: string) => void): Order | undefined {
    const controls: OutputControl[] = [];
    const driven: [OsdpOutput, boolean][] = [];
    let expiresMs: number | undefined;
    for (const [index, { order, restored }] of this.#waiting) {
      const output = this.#outputs.get(index)!;
      const record = (control: number, timer100Ms = 0) => {
        controls.push({ output: index, control, timer100Ms });
      };
      if (order.revertAtMs === undefined) {
        record(order.active ? OUTPUT_CONTROL.onAbortTimed : OUTPUT_CONTROL.offAbortTimed);
        output.permanent = order.active;
      } else if (restored) {
        // Its time may still run in the reader: what is below it must be off, it is not repeated.
        record(OUTPUT_CONTROL.offKeepTimed);
        output.permanent = false;
      } else {
        const orderExpiresMs = Math.min(order.orderedMs + ORDER_AGE_MS_MAX, order.revertAtMs);
        if (orderExpiresMs <= nowMs) {
          stale(`output ${index}`);
          continue;
        }
        const timer = Math.ceil((order.revertAtMs - nowMs) / 100);
        record(OUTPUT_CONTROL.timedOn, Math.min(timer, TIMER_MAX));
        // A timed state falls back to the permanent one, which may be on: put it off below.
        if (output.permanent !== false) record(OUTPUT_CONTROL.offKeepTimed);
        output.permanent = false;
        expiresMs = Math.min(expiresMs ?? Infinity, orderExpiresMs);
      }
      if (!restored) driven.push([output, order.active]);
    }
    this.#waiting.clear();
    if (controls.length === 0) return undefined;
    return {
      command: { kind: "output", controls },
      ...(expiresMs === undefined ? {} : { expiresMs }),
      onWritten: (atMonotonicMs) => {
        for (const [output, active] of driven) output.driven(active, atMonotonicMs);
      },
    };
  }
}
