/**
 * Plays a recorded device, on whatever it hangs on, to a driver under test.
 *
 * @module
 */
import type { Cancel, Clock } from "../clock.ts";
import { HalError } from "../error.ts";
import type { SerialPort } from "../serial.ts";
import {
  type DeviceHappening,
  type DeviceStep,
  parseDeviceTrace,
  textOfHappening,
} from "./device_trace.ts";
import { type MemorySerialLine, memorySerialLine } from "./memory_serial_line.ts";
import { PlaybackBench } from "./playback_bench.ts";

/** How a recorded device is played. */
export interface DevicePlaybackOptions {
  /**
   * - `exact`: the box must do what it did then, in that order; after the last step the device is
   *   silent and hears nothing
   * - `tolerant`: a device with a memory of its own. It answers what it hears with what followed
   *   those bytes in the trace, looking on from where it is and then from the start; it ignores
   *   what it does not know, and begins again when the trace is over or nobody asks for 5 s.
   */
  readonly mode: "exact" | "tolerant";
  /** Time between two bytes of a step on a line or socket, in ms; default 0: a step arrives whole. */
  readonly byteEveryMs?: number;
}

/** A two-way stream, as a driver gets it from `connectUnix`. */
export interface PlaybackStream extends AsyncDisposable {
  /** Waits for bytes; `null` at the end. */
  read(signal: AbortSignal): Promise<Uint8Array | null>;
  /** Writes all of `bytes`. */
  write(bytes: Uint8Array, signal: AbortSignal): Promise<void>;
}

/** After so long without a step a tolerant device begins again. */
const RESTART_MS = 5_000;

type ByteLine = "serial" | "socket";

/** One recorded device, with the hosts that a driver takes it from. */
export class DevicePlayback {
  /** Hosts of what the device hangs on, apart from byte lines. */
  readonly bench: PlaybackBench;
  readonly #steps: readonly DeviceStep[];
  /** The state that the device was found in: leading steps without a wait, of what has a state. */
  readonly #initial: number;
  readonly #clock: Clock;
  readonly #options: DevicePlaybackOptions;
  readonly #lines = new Map<ByteLine, MemorySerialLine>();
  readonly #end = new AbortController();
  #started = false;
  #at: number;
  /** Bytes of the step at `#at` that were sent already, where they come one by one. */
  #sentBytes = 0;
  /** Bytes of the next step that the box has written already. */
  #written: number[] = [];
  #lastMs: number;
  #cancel: Cancel = () => {};
  #cutAt: number | undefined;
  #onCut: () => void = () => {};
  #fault: string | undefined;

  /** Reads `text`. @throws `TraceError` naming its line. */
  constructor(text: string, clock: Clock, options: DevicePlaybackOptions) {
    this.#steps = parseDeviceTrace(text);
    this.#clock = clock;
    this.#options = options;
    this.#lastMs = clock.monotonicMs();
    const leading = this.#steps.findIndex((step) =>
      step.direction === ">" || step.afterMs > 0 || "bytes" in step.what ||
      step.what.on === "hid-unplug"
    );
    this.#initial = leading < 0 ? this.#steps.length : leading;
    this.#at = this.#initial;
    this.bench = new PlaybackBench(clock, (what) => this.#hear(what));
    this.#beginAnew();
  }

  /** The serial line, as a serial driver's host opens it. */
  readonly openPort = async (signal: AbortSignal): Promise<SerialPort> =>
    this.bench.track("serial port", await this.#open("serial", signal));

  /** The daemon's socket, as a driver's host connects to it. */
  readonly connectUnix = async (_path: string, signal: AbortSignal): Promise<PlaybackStream> => {
    const port = await this.#open("socket", signal);
    return this.bench.track("socket", {
      read: async (abort: AbortSignal) => {
        try {
          return (await port.read(abort)).bytes;
        } catch (error) {
          if (error instanceof HalError && error.kind === "disconnected") return null;
          throw error;
        }
      },
      write: (bytes: Uint8Array, abort: AbortSignal) => port.write(bytes, abort),
      [Symbol.asyncDispose]: () => port[Symbol.asyncDispose](),
    });
  };

  /** Lets the device speak of itself; before this it only answers. */
  start(): void {
    this.#started = true;
    this.#lastMs = Math.max(this.#lastMs, this.#clock.monotonicMs());
    this.#arm();
  }

  /** Steps that were not played yet, as the trace writes them; none when it is complete. */
  left(): readonly string[] {
    return this.#steps.slice(this.#at).map((step) =>
      `line ${step.lineNumber}: ${step.direction} ${textOfHappening(step.what)}`
    );
  }

  /** What the box did that it had not done then; `undefined` while there is nothing. */
  fault(): string | undefined {
    return this.#fault;
  }

  /** Steps of the device that a cut can fall into. */
  deviceSteps(): readonly number[] {
    return this.#steps.flatMap((step, index) =>
      step.direction === "<" && index >= this.#initial ? [index] : []
    );
  }

  /** Calls back in the middle of step `index`: half of its bytes have arrived. */
  cutAt(index: number, onCut: () => void): void {
    this.#cutAt = index;
    this.#onCut = onCut;
  }

  /** Pulls the device: whatever is open is disconnected, and opening fails with `not-found`. */
  unplug(): void {
    this.#cancel();
    for (const line of this.#lines.values()) line.hangUp();
    this.#lines.clear();
    this.bench.unplug(this.#steps.map(({ what }) => what));
  }

  /** Puts it back, as it was found first. */
  plug(): void {
    this.bench.plug();
    this.#beginAnew();
    this.#arm();
  }

  /** Makes the device do one senseless thing, chosen by `random(n)`, which gives 0 to n - 1. */
  babble(random: (n: number) => number): void {
    for (const line of this.#lines.values()) {
      void this.#send(line, Uint8Array.from({ length: 1 + random(64) }, () => random(256)));
    }
    const spoken = this.#steps.filter((step) => step.direction === "<");
    const what = spoken[random(spoken.length)]?.what;
    if (what !== undefined) this.bench.babble(what, random);
  }

  /** Ends the playing; nothing is left of it on the clock. */
  stop(): void {
    this.#cancel();
    this.#end.abort();
    this.#started = false;
    this.#cutAt = undefined;
  }

  #beginAnew(): void {
    for (const step of this.#steps.slice(0, this.#initial)) this.bench.act(step.what);
    this.#at = this.#initial;
    this.#sentBytes = 0;
    this.#written = [];
    this.#lastMs = this.#clock.monotonicMs();
  }

  async #open(on: ByteLine, signal: AbortSignal): Promise<SerialPort> {
    signal.throwIfAborted();
    this.bench.mustBePresent(on === "serial" ? "serial port" : "socket");
    if (!this.#steps.some(({ what }) => what.on === on)) {
      throw new HalError("not-found", `the trace has no ${on}`);
    }
    const line = memorySerialLine(this.#clock, { path: on });
    this.#lines.set(on, line);
    void this.#listen(on, line);
    if (this.#options.mode === "tolerant") this.#beginAnew();
    this.#arm();
    return await Promise.resolve(line.a);
  }

  async #listen(on: ByteLine, line: MemorySerialLine): Promise<void> {
    try {
      for (;;) {
        const { bytes } = await line.b.read(this.#end.signal);
        this.#hear({ on, bytes: [...bytes] });
      }
    } catch {
      // Pulled or over: that is how a playback's line ends.
    }
  }

  async #send(line: MemorySerialLine, bytes: Uint8Array): Promise<void> {
    // A line that is gone, or that nobody reads, takes no bytes.
    await line.b.write(bytes, this.#end.signal).catch(() => {});
  }

  /** Plans the device's next deed. */
  #arm(): void {
    this.#cancel();
    const tolerant = this.#options.mode === "tolerant";
    if (this.#end.signal.aborted || !this.bench.present || this.#steps.length === 0) return;
    let step = this.#steps[this.#at];
    while (tolerant && step?.direction === ">" && step.what.on === "gpio") {
      // What the box lights is not what the device waits for.
      step = this.#steps[++this.#at];
    }
    if (step?.direction !== "<") {
      if (tolerant && this.#started) {
        this.#cancel = this.#clock.schedule(RESTART_MS, () => {
          this.#beginAnew();
          this.#arm();
        });
      }
      return;
    }
    const unasked = !this.#steps.slice(0, this.#at).some((one) => one.direction === ">");
    if (unasked && !this.#started) return;
    const waitMs = this.#lastMs + step.afterMs - this.#clock.monotonicMs();
    this.#cancel = this.#clock.schedule(waitMs, () => this.#play(step.what, this.#sentBytes));
  }

  /** Plays a step from its byte `from` on. */
  #play(what: DeviceHappening, from: number): void {
    const isLine = what.on === "serial" || what.on === "socket";
    const line = isLine ? this.#lines.get(what.on) : undefined;
    if (isLine && line === undefined) return;
    const bytes = "bytes" in what ? what.bytes as readonly number[] : undefined;
    if (this.#at === this.#cutAt) {
      this.#cutAt = undefined;
      if (line !== undefined) {
        void this.#send(line, Uint8Array.from(bytes!.slice(0, bytes!.length >> 1)));
      }
      return this.#onCut();
    }
    const { byteEveryMs = 0 } = this.#options;
    if (line !== undefined && byteEveryMs > 0 && from + 1 < bytes!.length) {
      void this.#send(line, Uint8Array.of(bytes![from]!));
      this.#sentBytes = from + 1;
      this.#cancel = this.#clock.schedule(byteEveryMs, () => this.#play(what, from + 1));
      return;
    }
    if (line !== undefined) void this.#send(line, Uint8Array.from(bytes!.slice(from)));
    else this.bench.act(what);
    this.#next();
  }

  #next(): void {
    this.#at++;
    this.#sentBytes = 0;
    this.#written = [];
    this.#lastMs = this.#clock.monotonicMs();
    this.#arm();
  }

  /** The box did something. */
  #hear(what: DeviceHappening): void {
    if (this.#end.signal.aborted) return;
    if (this.#options.mode === "tolerant") return this.#answer(what);
    if (this.#fault !== undefined) return;
    if (!("bytes" in what)) return this.#expect(what, (step) => isSame(step.what, what));
    if (this.#at >= this.#steps.length) return;
    for (const byte of what.bytes) {
      this.#written.push(byte!);
      this.#expect({ on: what.on, bytes: this.#written }, (step) => {
        if (step.what.on !== what.on || !("bytes" in step.what)) return false;
        return startsWith(step.what.bytes, this.#written);
      });
      if (this.#fault !== undefined || this.#at >= this.#steps.length) return;
    }
  }

  #expect(did: DeviceHappening, fits: (step: DeviceStep) => boolean): void {
    const step = this.#steps[this.#at];
    if (step?.direction !== ">" || !fits(step)) {
      const [first] = this.left();
      this.#fault = `expected ${first ?? "nothing more"}; the box did ${textOfHappening(did)}`;
      this.#cancel();
      return;
    }
    if ("bytes" in step.what && this.#written.length < step.what.bytes.length) return;
    this.#next();
  }

  /** Looks for what was heard from here on, then from the start, and goes on from there. */
  #answer(what: DeviceHappening): void {
    if (!("bytes" in what)) return;
    this.#written.push(...what.bytes as number[]);
    const count = this.#steps.length;
    for (const heard of [this.#written, [...what.bytes] as number[]]) {
      for (let offset = 0; offset < count; offset++) {
        const index = (this.#at + offset) % count;
        const step = this.#steps[index]!;
        if (step.direction !== ">" || step.what.on !== what.on || !("bytes" in step.what)) continue;
        if (!startsWith(step.what.bytes, heard)) continue;
        this.#written = heard;
        if (heard.length < step.what.bytes.length) return;
        this.#at = index;
        return this.#next();
      }
    }
    this.#written = [];
  }
}

function startsWith(
  wanted: readonly (number | undefined)[],
  got: readonly (number | undefined)[],
): boolean {
  return got.length <= wanted.length &&
    got.every((byte, index) => wanted[index] === undefined || wanted[index] === byte);
}

function isSame(a: DeviceHappening, b: DeviceHappening): boolean {
  return textOfHappening(a) === textOfHappening(b);
}
