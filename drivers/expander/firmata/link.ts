/**
 * One connection to an Arduino with StandardFirmata: `firmata-io` speaks the protocol; what waits, and
 * for how long, is decided here on the injected clock.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import type { SerialPortStream } from "@serialport/stream";
import { type Clock, HalError, type SerialPort } from "../../../hal/mod.ts";
import { loadSerialPortStream, openSerialPortStream } from "../../serialport_binding.ts";
import { INFRARED_PROTOCOLS, type InfraredCode } from "./options.ts";

/** Modes of a pin (protocol 2.5.1, supported modes). */
export const MODE = { input: 0, output: 1, analog: 2, pullUp: 11 } as const;

/** One pin as the library keeps it. */
export interface FirmataPin {
  readonly supportedModes: readonly number[];
  readonly mode?: number;
  /** As the board says it: of an output its level. */
  readonly state?: number;
}

/** What is used of a board of `firmata-io`; the package has no types. */
export interface FirmataIo extends EventEmitter {
  readonly isReady: boolean;
  readonly pins: readonly FirmataPin[];
  /** Pin of each analog channel. */
  readonly analogPins: readonly number[];
  readonly version: { readonly major?: number; readonly minor?: number };
  readonly firmware: { readonly name?: string };
  readonly RESOLUTION: { readonly ADC: number | null };
  readonly buffer: readonly number[];
  readonly reportVersionTimeoutId: number;
  pinMode(pin: number, mode: number): void;
  reportDigitalPin(pin: number, on: 0 | 1): void;
  reportAnalogPin(channel: number, on: 0 | 1): void;
  sysexCommand(message: readonly number[]): void;
}

/** What is used of the library. */
export interface FirmataLibrary {
  readonly Firmata: new (
    transport: EventEmitter,
    options: { readonly samplingInterval: number },
  ) => FirmataIo;
}

/** Loads the library: a box without an Arduino does without it. */
export async function loadFirmata(): Promise<FirmataLibrary> {
  const { default: library } = await import("firmata-io");
  await loadSerialPortStream();
  return library as unknown as FirmataLibrary;
}

const SET_DIGITAL_PIN_VALUE = 0xf5;
const SET_PIN_MODE = 0xf4;
const REPORT_VERSION = 0xf9;
const QUERY_FIRMWARE = 0x79;
const PIN_STATE_QUERY = 0x6d;
/** Of the range for users' own messages (0x01 to 0x0F); see docs/installer/arduino. */
const SEND_INFRARED = 0x0c;
/** Opening a port resets most Arduinos; their boot loaders take up to 2 s, and some lose the first question. */
const ASK_AGAIN_MS = 1_000;
const GREETING_MS_MAX = 10_000;
/** The longest message of a board is its list of capabilities: 128 pins of some 20 bytes. */
const MESSAGE_BYTES_MAX = 8_192;

/** What a connection tells its owner. */
export interface LinkListener {
  readonly digital: (pin: number, high: boolean) => void;
  /** `ratio` of full scale. */
  readonly analog: (channel: number, ratio: number) => void;
  /** The board answered a {@link FirmataLink.ask}. */
  readonly state: (pin: number, state: FirmataPin) => void;
  /** It greeted although nobody asked: it has been reset. */
  readonly reset: () => void;
}

/** A board that has greeted. Disposal closes the port. */
export class FirmataLink implements AsyncDisposable {
  /** The library's board, ready. */
  readonly io: FirmataIo;
  /** Aborted with the reason when the line is lost or the board speaks no Firmata. */
  readonly lost: AbortSignal;
  readonly #transport: Transport;
  readonly #clock: Clock;

  private constructor(io: FirmataIo, transport: Transport, clock: Clock) {
    this.io = io;
    this.#transport = transport;
    this.#clock = clock;
    this.lost = transport.lost;
  }

  /**
   * Takes over `port`, and waits for the board's greeting.
   *
   * @throws `HalError` `timeout` when no Firmata board answers, `protocol`, `disconnected`; the signal's
   * reason.
   */
  static async open(
    clock: Clock,
    port: SerialPort,
    library: FirmataLibrary,
    samplingMs: number,
    listener: LinkListener,
    signal: AbortSignal,
  ): Promise<FirmataLink> {
    const stream = await openSerialPortStream(port);
    const transport = new Transport(stream, clock);
    try {
      const io = new library.Firmata(transport, { samplingInterval: samplingMs });
      // It would ask for the version after five seconds of its own.
      clearTimeout(io.reportVersionTimeoutId);
      io.on("error", (cause: Error) => transport.fail("protocol", cause.message, cause));
      transport.check = () => {
        if (io.buffer.length <= MESSAGE_BYTES_MAX) return;
        transport.fail("protocol", "a message without end; is StandardFirmata on the board?");
      };
      await greeted(io, transport, clock, signal);
      const { major = 0, minor = 0 } = io.version;
      if (major !== 2 || minor < 5) {
        throw new HalError(
          "unsupported",
          `the board speaks Firmata ${major}.${minor}; upload StandardFirmata of a Firmata library ` +
            `from 2.5 on (Arduino IDE, File, Examples, Firmata)`,
        );
      }
      const link = new FirmataLink(io, transport, clock);
      link.#listen(listener);
      return link;
    } catch (cause) {
      await transport[Symbol.asyncDispose]();
      throw cause;
    }
  }

  /** When the board was last heard. */
  get heardMs(): number {
    return this.#transport.heardMs;
  }

  /** Sets the level of one output; resolves when the bytes are with the line. */
  write(pin: number, high: boolean): Promise<void> {
    // Not by the library's writing of whole ports: that would switch on pull-ups of inputs beside it.
    return this.#transport.send([SET_DIGITAL_PIN_VALUE, pin, high ? 1 : 0]);
  }

  /** Sets a pin's mode; also to analog, which the library would only note. */
  setMode(pin: number, mode: number): Promise<void> {
    return this.#transport.send([SET_PIN_MODE, pin, mode]);
  }

  /** Has the sketch's infrared sender send one code. */
  sendInfrared({ protocol, address, command, repeats }: InfraredCode): void {
    const seven = (value: number) => [value & 0x7f, value >> 7 & 0x7f, value >> 14];
    this.io.sysexCommand([
      SEND_INFRARED,
      INFRARED_PROTOCOLS.indexOf(protocol),
      ...seven(address),
      ...seven(command),
      repeats,
    ]);
  }

  /** Asks for the mode and state of `pin`: also a sign of life. */
  ask(pin: number): void {
    this.io.sysexCommand([PIN_STATE_QUERY, pin]);
  }

  /** Resolves when all that was written is with the line, or that is lost. */
  flushed(): Promise<void> {
    return this.#transport.flushed();
  }

  /** Idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#transport[Symbol.asyncDispose]();
  }

  #listen(listener: LinkListener): void {
    const { io } = this;
    io.on("digital-read", ({ pin, value }: { readonly pin: number; readonly value: number }) => {
      listener.digital(pin, value !== 0);
    });
    io.on("analog-read", ({ pin, value }: { readonly pin: number; readonly value: number }) => {
      listener.analog(pin, value / (io.RESOLUTION.ADC ?? 1_023));
    });
    for (const [pin, state] of io.pins.entries()) {
      io.on(`pin-state-${pin}`, () => listener.state(pin, state));
    }
    io.on("reportversion", () => listener.reset());
  }
}

async function greeted(
  io: FirmataIo,
  transport: Transport,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const ready = new Promise<void>((resolve) => io.once("ready", resolve));
  const untilMs = clock.monotonicMs() + GREETING_MS_MAX;
  while (!io.isReady) {
    if (clock.monotonicMs() >= untilMs) {
      throw new HalError(
        "timeout",
        transport.heardMs > 0
          ? "what is there speaks no Firmata; upload StandardFirmata, and check the baud rate (57600)"
          : "no board answers; check its USB cable, and that StandardFirmata is on it",
      );
    }
    // A board that was not reset when the port was opened waits to be asked.
    if (io.version.major === undefined) void transport.send([REPORT_VERSION]);
    if (io.firmware.name === undefined) io.sysexCommand([QUERY_FIRMWARE]);
    const rest = new AbortController();
    const end = AbortSignal.any([signal, transport.lost, rest.signal]);
    await Promise.race([ready, clock.sleep(ASK_AGAIN_MS, end).catch(() => {})]);
    rest.abort();
    signal.throwIfAborted();
    transport.lost.throwIfAborted();
  }
}

/** The stream as `firmata-io` wants it, with what the library throws on bytes that lie held back. */
class Transport extends EventEmitter implements AsyncDisposable {
  /** Looks at what the library holds, after each chunk. */
  check: () => void = () => {};
  /** 0 before the first byte. */
  heardMs = 0;
  readonly #stream: SerialPortStream;
  readonly #lost = new AbortController();
  readonly #onFlushed = new Set<() => void>();
  #writing = 0;
  #closed: Promise<void> | undefined;

  constructor(stream: SerialPortStream, clock: Clock) {
    super();
    this.#stream = stream;
    stream.on(
      "close",
      (cause: Error | null) => this.fail("disconnected", cause?.message ?? "it is closed", cause),
    );
    stream.on("error", (cause: Error) => this.fail("disconnected", cause.message, cause));
    stream.on("data", (bytes: Buffer) => {
      if (this.lost.aborted) return;
      this.heardMs = clock.monotonicMs();
      try {
        this.emit("data", bytes);
        this.check();
      } catch (cause) {
        this.fail("protocol", "the board sends what Firmata does not allow", cause);
      }
    });
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** As the library calls it. */
  write(bytes: Buffer, callback: () => void): void {
    this.#writing++;
    this.#stream.write(bytes, () => {
      // Also when it failed: then the stream closes.
      callback();
      if (--this.#writing === 0) { for (const flushed of [...this.#onFlushed]) flushed(); }
    });
  }

  send(bytes: readonly number[]): Promise<void> {
    return new Promise((resolve) => this.write(Buffer.from(bytes), resolve));
  }

  flushed(): Promise<void> {
    if (this.#writing === 0 || this.lost.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.#onFlushed.delete(done);
        resolve();
      };
      this.#onFlushed.add(done);
      this.lost.addEventListener("abort", done, { once: true });
    });
  }

  fail(kind: "protocol" | "disconnected", why: string, cause?: unknown): void {
    if (this.lost.aborted) return;
    this.#lost.abort(new HalError(kind, `the Arduino is lost: ${why}`, { cause }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= new Promise((resolve) => {
      this.fail("disconnected", "it is closed");
      // It may be closed already, which the library calls an error.
      this.#stream.close(() => resolve());
    });
  }
}
