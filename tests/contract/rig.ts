// deno-lint-ignore-file no-explicit-any -- each driver parses its own options; here they only pass through
import type { DeviceHost, SerialDriverHost } from "../../drivers/contract.ts";
import { type Cancel, HalError } from "../../hal/mod.ts";
import { DevicePlayback, type DevicePlaybackOptions, VirtualClock } from "../../hal/sim/mod.ts";
import type { AnyDriver } from "../../runtime/config/mod.ts";
import type { Example } from "./example.ts";
import {
  watchBaton,
  type Watched,
  watchExpander,
  watchInput,
  watchOutput,
  watchReader,
  watchSensor,
} from "./watch.ts";

/** In virtual time; a real device that is told to close is closed at once. */
const CLOSE_MS_MAX = 10_000;
/** What a driver may take to open, in virtual time; a device that does not answer must not hold it up. */
const OPEN_MS_MAX = 30_000;
/** Files of a library that is loaded on opening come in real time, which virtual time outruns. */
export const LOAD_MS_MAX = 10_000;
/** What else may need real time: a turn or two of the event loop. */
const REAL_MS_MAX = 200;
/** One step of virtual time between two looks. */
const STEP_MS = 10;

/** Moves time on until `promise` settles. @throws Error when it does not within `limitMs`. */
export async function settle<T>(
  clock: VirtualClock,
  promise: Promise<T>,
  limitMs: number,
  what: string,
  realMsMax = REAL_MS_MAX,
): Promise<T> {
  let settled = false;
  const mark = () => void (settled = true);
  promise.then(mark, mark);
  for (let waitedMs = 0; !settled && waitedMs <= limitMs; waitedMs += STEP_MS) {
    await clock.advance(STEP_MS);
  }
  for (let waitedMs = 0; !settled; waitedMs += STEP_MS) {
    if (waitedMs > realMsMax) throw new Error(`${what} took longer than ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    await clock.advance(0);
  }
  return await promise;
}

/** A driver, its recorded device and what it reported. */
export class Rig {
  readonly clock: VirtualClock;
  readonly playback: DevicePlayback;
  /** Every report since the opening, in order. */
  readonly reports: string[] = [];
  readonly logs: string[] = [];
  readonly #driver: AnyDriver;
  readonly #example: Example;
  readonly #abort = new AbortController();
  #watched: Watched[] = [];
  #opened: AsyncDisposable | undefined;
  #lines: Promise<void> = Promise.resolve();
  #requested = false;
  readonly #cancels: Cancel[] = [];

  /** Opens nothing yet. */
  constructor(driver: AnyDriver, example: Example, options: DevicePlaybackOptions) {
    this.clock = new VirtualClock(example.wallMs === undefined ? {} : { wallMs: example.wallMs });
    this.playback = new DevicePlayback(example.trace, this.clock, options);
    this.#driver = driver;
    this.#example = example;
  }

  /** Opens the driver and subscribes before anything else can happen. */
  async open(signal: AbortSignal = this.#abort.signal): Promise<void> {
    await settle(this.clock, this.opening(signal), OPEN_MS_MAX, "opening", LOAD_MS_MAX);
  }

  /** The same without moving time. */
  async opening(signal: AbortSignal): Promise<void> {
    const options = this.#example.options.map((one) => this.#driver.parseOptions(one));
    const opened = await this.#openDriver(options, signal);
    this.#opened = opened;
    const devices = "readers" in opened
      ? opened.readers
      : "expanders" in opened
      ? opened.expanders
      : [opened];
    const many = devices.length > 1;
    this.#watched = devices.map((device: any, index: number) =>
      this.#watch(device, (line) => this.#report(many ? `${index}: ${line}` : line))
    );
  }

  /** Starts the device and the acts that have a time. */
  start(): void {
    this.playback.start();
    this.act();
  }

  /** Does the acts that have a time, from now on. */
  act(): void {
    for (const act of this.#example.acts) {
      if (act.afterMs === undefined) continue;
      this.#cancels.push(this.clock.schedule(act.afterMs, () => this.#do(act)));
    }
  }

  /** Ends the driver by its signal. */
  abort(): void {
    this.#abort.abort(new Error("the box stops"));
  }

  /** Whether it was ever open. */
  get isOpen(): boolean {
    return this.#opened !== undefined;
  }

  /** Disposes of it twice, as must be possible; then nothing may be left. */
  async close(): Promise<void> {
    for (const cancel of this.#cancels.splice(0)) cancel();
    const closing = (async () => {
      await this.#lines.catch(() => {});
      for (const one of this.#watched) await one.close?.();
      await this.#opened?.[Symbol.asyncDispose]();
      await this.#opened?.[Symbol.asyncDispose]();
    })();
    await settle(this.clock, closing, CLOSE_MS_MAX, "closing");
    // What a serial line heard last is still on its way.
    await this.clock.advance(0);
    this.#watched = [];
    this.#opened = undefined;
  }

  /** What a closed driver left: things opened and not disposed of, timers that run on. */
  leftovers(): string[] {
    this.playback.stop();
    const left = this.playback.bench.held().map((what) => `not disposed of: ${what}`);
    const timers = this.clock.pendingTimers();
    if (timers > 0) left.push(`${timers} timers still run`);
    return left;
  }

  #openDriver(options: readonly any[], signal: AbortSignal): Promise<any> {
    const { clock, playback } = this;
    const log = (level: string, message: string, fields: object = {}) =>
      void this.logs.push(`${level}: ${message} ${JSON.stringify(fields)}`);
    const driver = this.#driver;
    if (driver.bus === "serial") {
      const host: SerialDriverHost = { clock, log, openPort: playback.openPort };
      return driver.open(host, options, signal);
    }
    if (options.length !== 1) throw new Error("only devices on a serial line come as a list");
    const { connectUnix, bench: { gpio, analog, hid, oneWire } } = playback;
    const host: DeviceHost = { clock, log, gpio, analog, hid, oneWire, connectUnix };
    return driver.open(host, options[0], signal);
  }

  #watch(device: any, report: (line: string) => void): Watched {
    const { kind } = this.#driver;
    switch (kind) {
      case "card-reader":
        return watchReader(device, report);
      case "output":
        return watchOutput(device, report);
      case "input":
        return watchInput(device, report);
      case "sensor":
        return watchSensor(device, report);
      case "expander":
        return watchExpander(device, report);
      case "patrol-baton":
        return watchBaton(device, report);
      default:
        return kind satisfies never;
    }
  }

  #report(line: string): void {
    this.reports.push(line);
    if (line === "online" && this.#watched.length === 0) {
      // Told while it is being subscribed to: its lines are asked for once it is known.
      queueMicrotask(() => this.#requestLines());
    } else if (line === "online") this.#requestLines();
    for (const act of this.#example.acts) if (act.when === line) this.#do(act);
  }

  #requestLines(): void {
    const [expander] = this.#watched;
    if (this.#requested || expander?.requestLines === undefined) return;
    this.#requested = true;
    this.#lines = expander.requestLines(this.#example.lines, this.#abort.signal);
    this.#lines.catch((error) => this.reports.push(`lines refused: ${error}`));
  }

  #do(act: Example["acts"][number]): void {
    for (const text of act.do) {
      try {
        this.#watched[act.device]?.do(text.split(" "));
      } catch (error) {
        // A device that is gone may say so.
        if (!(error instanceof HalError)) throw error;
      }
    }
  }
}
