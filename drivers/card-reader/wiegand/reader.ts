import type { Cancel, GpioLine } from "../../../hal/mod.ts";
import type {
  CardReader,
  DeviceHost,
  InputLine,
  OutputLine,
  ReaderEvent,
  ReaderFeedback,
} from "../../contract.ts";
import { FeedbackLines } from "../../feedback_lines.ts";
import { LimitedLog } from "../../limited_log.ts";
import { FRAME_BITS_MAX, readFrame, type WiegandFrame, type WiegandPulse } from "./frame.ts";
import type { WiegandOptions } from "./mod.ts";

/** Pulses kept of one burst; a line that never falls silent does not fill the memory. */
const PULSES_MAX = FRAME_BITS_MAX + 1;
/** A timer is this late on a box that has something else to do. */
const LATE_MS = 2;
/** In this time everything that waits for the box's one thread has had its turn. */
const TURN_MS = 5;
/** Wait before a vanished chip is asked for again. */
const RETRY_MS = 2_000;

const ADVICE: Readonly<Record<Extract<WiegandFrame, { kind: "refused" }>["why"], string>> = {
  length: "a burst of pulses is no card; look for noise on the wires",
  unlisted:
    "a burst has a length that bits does not list; add it in box.yaml if the reader sends it, or look for noise on the wires",
  glitch: "pulses came closer than a reader sends them; look for noise, shield the cable",
  parity: "a card's parity does not hold; if its format has none, set parity: ignore",
  swapped: "D0 and D1 are exchanged; swap the wires, or data0 and data1 in box.yaml",
};

/** One reader on two data lines. */
export class WiegandReader implements CardReader, AsyncDisposable {
  readonly #host: DeviceHost;
  readonly #options: WiegandOptions;
  readonly #feedback: FeedbackLines;
  readonly #limited: LimitedLog;
  readonly #listeners = new Set<(event: ReaderEvent) => void>();
  readonly #closing = new AbortController();
  readonly #following: Promise<void>;
  #pulses: WiegandPulse[] = [];
  #cancelFrame: Cancel = () => {};
  #linesFollowed = 0;

  private constructor(
    host: DeviceHost,
    options: WiegandOptions,
    lines: readonly GpioLine[],
    feedback: FeedbackLines,
    signal: AbortSignal,
  ) {
    this.#host = host;
    this.#options = options;
    this.#feedback = feedback;
    this.#limited = new LimitedLog(host.clock, host.log);
    const end = AbortSignal.any([signal, this.#closing.signal]);
    const follow = ([bit, line]: readonly [0 | 1, GpioLine]) => this.#follow(bit, line, end);
    this.#following = Promise.all([follow([0, lines[0]!]), follow([1, lines[1]!])]).then(() => {});
  }

  /** Takes the reader's lines. @throws `HalError` when one cannot be had. */
  static async open(
    host: DeviceHost,
    options: WiegandOptions,
    signal: AbortSignal,
  ): Promise<WiegandReader> {
    await using stack = new AsyncDisposableStack();
    const feedback = stack.use(await FeedbackLines.open(host, options, signal));
    const lines: GpioLine[] = [];
    for (const line of [options.data0, options.data1]) {
      lines.push(stack.use(await host.gpio.request(dataLine(options, line), signal)));
    }
    for (const [index, line] of lines.entries()) {
      if (!line.read()) continue;
      // Pulses still show as edges, so this is advice and not a refusal.
      host.log("warn", `D${index} rests low; is the reader powered, and is there a pull-up?`);
    }
    stack.move();
    return new WiegandReader(host, options, lines, feedback, signal);
  }

  /** Whether both data lines are there; a reader that is unplugged does not show. */
  online(): boolean {
    return this.#linesFollowed === 2;
  }

  /** See {@link CardReader.onEvent}. */
  onEvent(listener: (event: ReaderEvent) => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Lights and sounds what is wired; without LED and buzzer lines it does nothing. */
  show(feedback: ReaderFeedback): void {
    this.#feedback.show(feedback);
  }

  /** A Wiegand reader has no relays. @throws RangeError */
  output(index: number): OutputLine {
    throw new RangeError(`a Wiegand reader has no output ${index}`);
  }

  /** A Wiegand reader has no contacts. @throws RangeError */
  input(index: number): InputLine {
    throw new RangeError(`a Wiegand reader has no input ${index}`);
  }

  /** Lets go of all lines; twice is fine. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    await this.#following;
    this.#cancelFrame();
    await this.#feedback[Symbol.asyncDispose]();
    this.#emit({ kind: "offline", reason: "closed" });
  }

  async #follow(bit: 0 | 1, first: GpioLine, end: AbortSignal): Promise<void> {
    let line: GpioLine | undefined = first;
    while (!end.aborted) {
      try {
        const number = bit === 0 ? this.#options.data0 : this.#options.data1;
        line ??= await this.#host.gpio.request(dataLine(this.#options, number), end);
        if (++this.#linesFollowed === 2) this.#emit({ kind: "online", identity: undefined });
        try {
          let expected = 1;
          for await (const { active, atMonotonicMs: atMs, sequence } of line.edges(end)) {
            const lostBefore = sequence - expected;
            expected = sequence + 1;
            if (lostBefore > 0) this.#take({ bit, atMs, lostBefore });
            else if (active) this.#take({ bit, atMs });
          }
        } finally {
          if (this.#linesFollowed-- === 2 && !end.aborted) {
            this.#emit({ kind: "offline", reason: "bus-lost" });
          }
        }
      } catch (error) {
        if (end.aborted) break;
        this.#host.log("error", "a data line is lost; it is asked for again", {
          line: `D${bit}`,
          cause: String(error),
        });
      }
      await line?.[Symbol.asyncDispose]();
      line = undefined;
      await this.#host.clock.sleep(RETRY_MS, end).catch(() => {});
    }
    await line?.[Symbol.asyncDispose]();
  }

  #take(pulse: WiegandPulse): void {
    if (this.#pulses.length < PULSES_MAX) this.#pulses.push(pulse);
    this.#finishAfter(this.#options.frameGapMs, true);
  }

  /**
   * Ends the frame after a silence. A timer that comes late says that the box was held up and not that
   * the wires were silent: pulses may wait, and are given one turn to come.
   */
  #finishAfter(ms: number, doubtful: boolean): void {
    const { clock } = this.#host;
    const dueMs = clock.monotonicMs() + ms;
    this.#cancelFrame();
    this.#cancelFrame = clock.schedule(ms, () => {
      if (doubtful && clock.monotonicMs() - dueMs > LATE_MS) this.#finishAfter(TURN_MS, false);
      else this.#finish();
    });
  }

  #finish(): void {
    // The two lines report by themselves: only their stamps say who came first.
    const pulses = this.#pulses.sort((a, b) => a.atMs - b.atMs);
    this.#pulses = [];
    const lost = pulses.reduce((sum, { lostBefore = 0 }) => sum + lostBefore, 0);
    if (lost > 0) {
      // Without a bit or two it could be the card of somebody else.
      this.#limited.warn("edges of a card were lost; it has to be shown again", { lost });
      return;
    }
    // Of a box that was held up, pulses of two cards can come at once.
    let from = 0;
    for (let to = 1; to <= pulses.length; to++) {
      const isEnd = to === pulses.length ||
        pulses[to]!.atMs - pulses[to - 1]!.atMs > this.#options.frameGapMs;
      if (isEnd) this.#frame(pulses.slice(from, from = to));
    }
  }

  #frame(pulses: readonly WiegandPulse[]): void {
    const receivedMonotonicMs = pulses.at(-1)!.atMs;
    const frame = readFrame(pulses, this.#options);
    switch (frame.kind) {
      case "card":
        this.#emit({ kind: "card", bits: frame.bits, data: frame.data, receivedMonotonicMs });
        break;
      case "key":
        this.#emit({ kind: "keys", keys: frame.key, receivedMonotonicMs });
        break;
      case "refused":
        this.#limited.warn(ADVICE[frame.why], { pulses: frame.pulses });
        break;
      default:
        frame satisfies never;
    }
  }

  #emit(event: ReaderEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

function dataLine({ chip, bias }: WiegandOptions, line: number) {
  return { chip, line, bias, activeLow: true, direction: "input" } as const;
}
