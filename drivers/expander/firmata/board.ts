/**
 * One Arduino: its pins as lines, set up anew whenever it comes back or was reset.
 *
 * @module
 */
import { type Clock, type GpioSettings, HalError, type SerialPort } from "../../../hal/mod.ts";
import type { DriverLog, Expander, ExpanderBus, SerialDriverHost } from "../../contract.ts";
import { ExpanderLines } from "../../expander_lines.ts";
import { SerialLink } from "../../serial_link.ts";
import { type FirmataLibrary, FirmataLink, type FirmataPin, loadFirmata, MODE } from "./link.ts";
import { type FirmataOptions, PIN_MAX } from "./options.ts";

/** How often a pin is asked for its state: is the board there, and as it was told? */
const ASK_MS = 500;
/** Silence after which it counts as gone. */
const SILENT_MS_MAX = 2_000;
/** Analog channels have a message of their own up to this. */
const CHANNEL_MAX = 15;

/** One board on one line. */
export class FirmataBoard implements ExpanderBus {
  readonly #options: FirmataOptions;
  readonly #clock: Clock;
  readonly #log: DriverLog;
  readonly #library: FirmataLibrary;
  readonly #lines: ExpanderLines;
  /** Levels that outputs were told, by pin. */
  readonly #wanted = new Map<number, boolean>();
  /** What the board was told of each pin since it greeted. */
  readonly #modes = new Map<number, number>();
  #link: FirmataLink | undefined;
  #serial: SerialLink | undefined;
  #asked = 0;

  private constructor(host: SerialDriverHost, options: FirmataOptions, library: FirmataLibrary) {
    this.#options = options;
    this.#clock = host.clock;
    this.#log = host.log;
    this.#library = library;
    this.#lines = new ExpanderLines("the Arduino", host.clock, {
      check: (settings) => this.#check(settings),
      checkChannel: (channel) => this.#checkChannel(channel),
      drive: (line, high) => this.#drive(line, high),
      canRevert: () => false,
      driven: async (line) => {
        await this.#link?.flushed();
        this.#wanted.delete(line);
      },
      changed: () => this.#apply(),
    });
  }

  /** Takes the line; resolves after the first attempt to open it. @throws the signal's reason. */
  static async open(
    host: SerialDriverHost,
    [options]: readonly FirmataOptions[],
    signal: AbortSignal,
  ): Promise<FirmataBoard> {
    const board = new FirmataBoard(host, options!, await loadFirmata());
    board.#serial = await SerialLink.open(host, {
      serve: (port, end) => board.#serve(port, end),
      lost: () => board.#lost(),
    }, signal);
    return board;
  }

  /** The one board. */
  get expanders(): readonly Expander[] {
    return [this.#lines];
  }

  /** Closes the port and reports the board offline. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#serial?.[Symbol.asyncDispose]();
  }

  async #serve(port: SerialPort, end: AbortSignal): Promise<void> {
    await using link = await FirmataLink.open(
      this.#clock,
      port,
      this.#library,
      this.#options.samplingMs,
      {
        digital: (pin, high) => this.#lines.level(pin, high),
        analog: (channel, ratio) => this.#lines.sample(channel, ratio),
        state: (pin, state) => this.#state(pin, state),
        reset: () => this.#wasReset(),
      },
      end,
    );
    this.#link = link;
    this.#modes.clear();
    this.#log("info", "an Arduino answers", { firmware: link.io.firmware.name ?? "" });
    this.#apply();
    this.#lines.setOnline(true);
    const over = AbortSignal.any([end, link.lost]);
    for (;;) {
      await this.#clock.sleep(ASK_MS, over);
      if (this.#clock.monotonicMs() - link.heardMs < SILENT_MS_MAX) {
        link.ask(this.#pinToAsk(link));
        continue;
      }
      throw new HalError("timeout", `the Arduino was silent for ${SILENT_MS_MAX} ms`);
    }
  }

  #lost(): void {
    this.#link = undefined;
    this.#lines.setOnline(false);
  }

  #wasReset(): void {
    if (this.#modes.size === 0) return;
    this.#log("warn", "the Arduino was reset; its outputs were off for a moment");
    this.#modes.clear();
    this.#apply();
  }

  /** A pin that is not as it was told to be, after a reset that nobody saw, is told again. */
  #state(pin: number, { mode, state }: FirmataPin): void {
    const told = this.#modes.get(pin);
    if (told === undefined) return;
    const level = told === MODE.output ? this.#wanted.get(pin) : undefined;
    if (mode === told && (level === undefined || state === Number(level))) {
      // A change that was lost on the line is not told twice; a report that is asked for anew begins
      // with what is (StandardFirmata, reportDigitalCallback).
      if (told === MODE.input || told === MODE.pullUp) this.#link?.io.reportDigitalPin(pin, 1);
      return;
    }
    this.#log("warn", "a pin was not as it was told to be; it is told again", { pin });
    this.#modes.delete(pin);
    this.#apply();
  }

  /** In turn those that are used; of an idle board any. */
  #pinToAsk({ io }: FirmataLink): number {
    const used = [...this.#modes.keys()];
    if (used.length > 0) return used[this.#asked++ % used.length]!;
    return Math.max(io.pins.findIndex((pin) => pin.supportedModes.includes(MODE.output)), 0);
  }

  /** Tells the board what it does not know yet of the lines that are held. */
  #apply(): void {
    const link = this.#link;
    if (link === undefined || link.lost.aborted) return;
    const held = this.#lines.held();
    const channels = this.#lines.heldChannels();
    const used = new Set([
      ...held.map(({ line }) => line),
      ...channels.map((channel) => link.io.analogPins[channel]),
    ]);
    for (const pin of [...this.#modes.keys()]) if (!used.has(pin)) this.#modes.delete(pin);
    for (const settings of held) this.#applyLine(link, settings);
    for (const channel of channels) this.#applyChannel(link, channel);
  }

  #applyLine(link: FirmataLink, { line, direction, bias }: GpioSettings): void {
    if (this.#infrared(line) !== undefined) return;
    const mode = direction === "output"
      ? MODE.output
      : bias === "pull-up"
      ? MODE.pullUp
      : MODE.input;
    if (this.#modes.get(line) === mode) return;
    if (!this.#can(link, line, mode)) return;
    this.#modes.set(line, mode);
    link.io.pinMode(line, mode);
    if (direction === "input") link.io.reportDigitalPin(line, 1);
    else this.#write(link, line);
  }

  #applyChannel(link: FirmataLink, channel: number): void {
    const pin = link.io.analogPins[channel];
    if (pin === undefined) {
      return this.#log("error", "the Arduino has no such analog input; mend channel", { channel });
    }
    if (this.#modes.get(pin) === MODE.analog) return;
    this.#modes.set(pin, MODE.analog);
    // The library would only note it, but a pin may have been something else before.
    void link.setMode(pin, MODE.analog);
    link.io.reportAnalogPin(channel, 1);
  }

  #drive(line: number, high: boolean): void {
    const code = this.#infrared(line);
    if (code !== undefined) return this.#send(line, high);
    this.#wanted.set(line, high);
    if (this.#link !== undefined && this.#modes.get(line) === MODE.output) {
      this.#write(this.#link, line);
    }
  }

  #write(link: FirmataLink, pin: number): void {
    const high = this.#wanted.get(pin) ?? false;
    // A callback of the stream, which is not called for a line that is lost.
    void link.write(pin, high).then(() => {
      if (!link.lost.aborted) this.#lines.driven(pin, high);
    });
  }

  /** A code is sent when the line changes: neither its first level nor a return of the board is one. */
  #send(line: number, high: boolean): void {
    const before = this.#wanted.get(line);
    this.#wanted.set(line, high);
    const infrared = this.#infrared(line)!;
    const code = high ? infrared.on : infrared.off;
    if (before === undefined || before === high) return;
    if (this.#link === undefined || code === undefined) return;
    this.#link.sendInfrared(code);
    this.#lines.driven(line, high);
  }

  #infrared(line: number): FirmataOptions["infrared"][number] | undefined {
    return this.#options.infrared.find((one) => one.line === line);
  }

  #can(link: FirmataLink, pin: number, mode: number): boolean {
    const modes = link.io.pins[pin]?.supportedModes ?? [];
    if (modes.includes(mode)) return true;
    this.#log("error", "a pin of the Arduino cannot do what it is wired for; mend line or bias", {
      pin,
    });
    return false;
  }

  #check({ line, direction, bias = "as-is" }: GpioSettings): void {
    const refuse = (kind: HalError["kind"], why: string) => {
      throw new HalError(kind, `pin ${line} of the Arduino: ${why}`);
    };
    if (this.#infrared(line) !== undefined) {
      if (direction === "input") refuse("invalid", "it is a line of the infrared sender");
      return;
    }
    const pins = this.#link?.io.pins;
    const last = pins === undefined ? PIN_MAX : pins.length - 1;
    if (line > last) refuse("not-found", `it has pins up to ${last}`);
    const others = this.#lines.held().filter((held) => held.line === line);
    if (others.length > 0) refuse("busy", `it is an ${others[0]!.direction} already`);
    if (direction === "output") return;
    if (bias === "pull-down") refuse("unsupported", "it has no pull-down; wire a resistor");
  }

  #checkChannel(channel: number): void {
    const channels = this.#link?.io.analogPins.length ?? CHANNEL_MAX + 1;
    const last = Math.min(channels - 1, CHANNEL_MAX);
    if (channel <= last) return;
    throw new HalError(
      "not-found",
      `the Arduino has analog inputs up to A${last}, not A${channel}`,
    );
  }
}
