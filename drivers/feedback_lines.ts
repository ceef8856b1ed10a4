/**
 * LED and buzzer of a reader that has no commands for them, on two output lines.
 *
 * @module
 */
import * as v from "valibot";
import type { Cancel, Clock, GpioHost, GpioLine } from "../hal/mod.ts";
import type { DriverLog, ReaderFeedback } from "./contract.ts";
import { ActiveLowSchema, GpioChipSchema, GpioLineSchema } from "./gpio_schema.ts";

/** An output line of a reader. */
export interface FeedbackLine {
  readonly chip: string;
  readonly line: number;
  readonly activeLow: boolean;
}

/** The schema of one such line. */
export const FeedbackLineSchema: v.GenericSchema<unknown, FeedbackLine> = v.strictObject({
  chip: GpioChipSchema,
  line: GpioLineSchema,
  activeLow: ActiveLowSchema,
});

/** The options `led` and `buzzer` of a reader. */
export interface FeedbackOptions {
  /** Line that lights the reader's green LED. */
  readonly led?: FeedbackLine | undefined;
  /** Line that sounds the reader's buzzer. */
  readonly buzzer?: FeedbackLine | undefined;
}

/** What lines are taken with. */
export interface FeedbackHost {
  readonly clock: Clock;
  readonly log: DriverLog;
  readonly gpio: GpioHost;
}

/** LED and buzzer for a feedback: on and off in turn, in ms. */
const LED_MS: Readonly<Record<ReaderFeedback, readonly number[] | boolean>> = {
  granted: [2_000],
  denied: false,
  idle: false,
  locked: false,
  free: true,
  alarm: false,
};
const BUZZER_MS: Readonly<Record<ReaderFeedback, readonly number[]>> = {
  granted: [150],
  denied: [100, 100, 100, 100, 100],
  idle: [],
  locked: [],
  free: [],
  alarm: [500, 300, 500, 300, 500],
};

/** A line that plays a pattern and then rests. */
class Signal {
  readonly #line: GpioLine;
  readonly #host: FeedbackHost;
  #resting = false;
  #cancel: Cancel = () => {};

  constructor(line: GpioLine, host: FeedbackHost) {
    this.#line = line;
    this.#host = host;
  }

  rest(active: boolean): void {
    this.#resting = active;
    this.play([]);
  }

  play(pattern: readonly number[], active = true): void {
    this.#cancel();
    const [firstMs, ...rest] = pattern;
    try {
      this.#line.write(firstMs === undefined ? this.#resting : active);
    } catch (error) {
      this.#host.log("error", "a reader's LED or buzzer line is lost", { cause: String(error) });
      return;
    }
    if (firstMs === undefined) return;
    this.#cancel = this.#host.clock.schedule(firstMs, () => this.play(rest, !active));
  }

  async close(): Promise<void> {
    this.rest(false);
    await this.#line[Symbol.asyncDispose]();
  }
}

/** The lines of one reader, as far as they are wired. Disposal puts them out and lets go of them. */
export class FeedbackLines implements AsyncDisposable {
  readonly #led: Signal | undefined;
  readonly #buzzer: Signal | undefined;

  private constructor(led: Signal | undefined, buzzer: Signal | undefined) {
    this.#led = led;
    this.#buzzer = buzzer;
  }

  /** Takes the lines that `options` name. @throws `HalError` when one cannot be had. */
  static async open(
    host: FeedbackHost,
    options: FeedbackOptions,
    signal: AbortSignal,
  ): Promise<FeedbackLines> {
    await using stack = new AsyncDisposableStack();
    const output = async (settings: FeedbackLine | undefined) =>
      settings === undefined ? undefined : new Signal(
        stack.use(await host.gpio.request({ ...settings, direction: "output" }, signal)),
        host,
      );
    const [led, buzzer] = [await output(options.led), await output(options.buzzer)];
    stack.move();
    return new FeedbackLines(led, buzzer);
  }

  /** Lights and sounds what is wired. Never waits. */
  show(feedback: ReaderFeedback): void {
    const led = LED_MS[feedback];
    if (typeof led === "boolean") {
      // A refusal leaves the resting light alone.
      if (feedback !== "denied") this.#led?.rest(led);
    } else this.#led?.play(led);
    if (BUZZER_MS[feedback].length > 0) this.#buzzer?.play(BUZZER_MS[feedback]);
  }

  /** See the class. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#led?.close();
    await this.#buzzer?.close();
  }
}
