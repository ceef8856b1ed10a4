/**
 * One question and its answer on a Modbus RTU line: `modbus-serial` makes and reads the frames; what
 * waits, and for how long, is decided here on the injected clock.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import type modbusSerial from "modbus-serial";
import type { SerialPortStream } from "@serialport/stream";
import { type Clock, HalError, type SerialPort } from "../../../hal/mod.ts";
import { loadSerialPortStream, openSerialPortStream } from "../../serialport_binding.ts";

/** What a board is asked. Functions as in Modbus Application Protocol V1.1b3 §6. */
export type ModbusRequest =
  | { readonly code: 1 | 2 | 3 | 4; readonly at: number; readonly count: number }
  | { readonly code: 5; readonly at: number; readonly on: boolean }
  /** Function 5 with a value of the maker's own. */
  | { readonly code: 5; readonly at: number; readonly value: number }
  | { readonly code: 6; readonly at: number; readonly value: number };

/** How an exchange went. */
export type ModbusResult =
  | { readonly kind: "bits"; readonly bits: readonly boolean[] }
  | { readonly kind: "words"; readonly words: readonly number[] }
  | { readonly kind: "done" }
  /** The board refuses; the code of §7. */
  | { readonly kind: "exception"; readonly code: number }
  | { readonly kind: "silent" }
  /** Bytes came that are no answer: noise, two boards at one address, a wrong baud rate. */
  | { readonly kind: "damaged" };

/** Longest frame (Modbus over Serial Line V1.02 §2.5.1). */
const FRAME_BYTES_MAX = 256;
/** Address, function, exception code, check. */
const EXCEPTION_BYTES = 5;
/** Start, eight data bits, stop. */
const BITS_A_CHARACTER = 10;
/** Silence between two frames (§2.5.1.1): 3.5 characters, and above 19200 baud a fixed time. */
const QUIET_CHARACTERS = 3.5;
const QUIET_MS_MIN = 1.75;
/** Gap within an answer: the standard allows 1.5 characters, USB adapters show up to 110 ms. */
const INTER_CHARACTER_MS = 120;
/** An answer that has begun may take so much longer than it should, and no longer. */
const LATE_MS_MAX = 500;

type ModbusRTU = InstanceType<typeof modbusSerial.default>;

/** What is used of `modbus-serial`. */
export interface ModbusLibrary {
  readonly ModbusRTU: new (port: unknown) => ModbusRTU;
  readonly crc16: (bytes: Buffer) => number;
}

/** Loads the library: a box without such boards does without it. */
export async function loadModbus(): Promise<ModbusLibrary> {
  const { default: { default: ModbusRTU } } = await import("modbus-serial");
  const { default: crc16 } = await import("modbus-serial/utils/crc16.js");
  await loadSerialPortStream();
  return { ModbusRTU, crc16 };
}

/** The client of one open line, for one exchange at a time. Disposal closes the line. */
export class ModbusClient implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #stream: SerialPortStream;
  readonly #frames: RtuFrames;
  readonly #modbus: ModbusRTU;
  readonly #baudRate: number;
  readonly #onLost: () => void;
  #lost: HalError | undefined;
  #fail: ((error: HalError) => void) | undefined;
  #closed: Promise<void> | undefined;

  private constructor(
    clock: Clock,
    port: SerialPort,
    stream: SerialPortStream,
    library: ModbusLibrary,
    onLost: () => void,
  ) {
    this.#clock = clock;
    this.#stream = stream;
    this.#baudRate = port.settings.baudRate;
    this.#onLost = onLost;
    this.#frames = new RtuFrames(stream, clock, library.crc16);
    this.#modbus = new library.ModbusRTU(this.#frames);
    this.#modbus.open(() => {});
    stream.on("close", (cause: Error | null) => this.#lose(cause));
    stream.on("error", (cause: Error) => this.#lose(cause));
  }

  /** Takes over `port`. `onLost` is called once when the line is gone. */
  static async open(
    clock: Clock,
    port: SerialPort,
    library: ModbusLibrary,
    onLost: () => void,
  ): Promise<ModbusClient> {
    const stream = await openSerialPortStream(port);
    return new ModbusClient(clock, port, stream, library, onLost);
  }

  /** When the silence between two frames is over. */
  quietAtMs(): number {
    const quietMs = Math.max(QUIET_CHARACTERS * this.#charactersMs(1), QUIET_MS_MIN);
    return this.#frames.lastByteMs + quietMs;
  }

  /**
   * Asks the board at `address` and waits for at most `replyMs` after the last bit has left.
   *
   * @throws `HalError` `disconnected` when the line is lost.
   */
  exchange(address: number, request: ModbusRequest, replyMs: number): Promise<ModbusResult> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) return reject(this.#lost);
      const size = answerBytes(request);
      const dueMs = this.#charactersMs(8 + size) + replyMs;
      const startMs = this.#clock.monotonicMs();
      let cancel = this.#clock.schedule(dueMs, () => late());
      const settle = (result: ModbusResult) => {
        cancel();
        this.#fail = undefined;
        this.#frames.end();
        resolve(result);
      };
      const late = () => {
        const nowMs = this.#clock.monotonicMs();
        const untilMs = Math.min(
          this.#frames.lastByteMs + INTER_CHARACTER_MS,
          startMs + dueMs + LATE_MS_MAX,
        );
        if (this.#frames.pendingBytes > 0 && untilMs > nowMs) {
          cancel = this.#clock.schedule(untilMs - nowMs, () => late());
          return;
        }
        settle({ kind: this.#frames.pendingBytes > 0 ? "damaged" : "silent" });
      };
      this.#fail = (error) => {
        cancel();
        this.#fail = undefined;
        reject(error);
      };
      this.#frames.begin(address, request.code, size);
      this.#send(address, request, (error, answer) => settle(resultOf(request, error, answer)));
    });
  }

  /** Closes the line; an exchange under way ends as disconnected. Idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= new Promise((resolve) => {
      this.#lose(null);
      // It may be closed already, which the library calls an error.
      this.#stream.close(() => resolve());
    });
  }

  #send(address: number, request: ModbusRequest, next: Next): void {
    const { code, at } = request;
    switch (code) {
      case 1:
        return this.#modbus.writeFC1(address, at, request.count, next);
      case 2:
        return this.#modbus.writeFC2(address, at, request.count, next);
      case 3:
        return this.#modbus.writeFC3(address, at, request.count, next);
      case 4:
        return this.#modbus.writeFC4(address, at, request.count, next);
      case 5:
        if ("on" in request) return this.#modbus.writeFC5(address, at, request.on, next);
        return this.#modbus.writeCustomFC(
          address,
          code,
          [at >> 8, at & 0xff, request.value >> 8, request.value & 0xff],
          next,
        );
      case 6:
        return this.#modbus.writeFC6(address, at, request.value, next);
      default:
        return code satisfies never;
    }
  }

  #lose(cause: Error | null): void {
    if (this.#lost !== undefined) return;
    const why = cause?.message ?? "it is closed";
    this.#lost = new HalError("disconnected", `the Modbus line is lost: ${why}`, { cause });
    this.#fail?.(this.#lost);
    this.#onLost();
  }

  #charactersMs(count: number): number {
    return count * BITS_A_CHARACTER * 1_000 / this.#baudRate;
  }
}

/** What the library calls back with, by its own kinds of answer; they are told apart by the request. */
type Next = (error: Error | null, answer?: object) => void;

/**
 * Cuts the answer to the question that is open out of what comes in; the library's own ports want
 * npm's `serialport`. Bytes that came before the question, or belong to another board, are dropped.
 */
class RtuFrames extends EventEmitter {
  /** The library keeps its questions under these. */
  _transactionIdRead = 1;
  _transactionIdWrite = 1;
  lastByteMs: number;
  readonly #stream: SerialPortStream;
  readonly #crc16: ModbusLibrary["crc16"];
  #held: number[] = [];
  #open: { readonly address: number; readonly code: number; readonly size: number } | undefined;

  constructor(stream: SerialPortStream, clock: Clock, crc16: ModbusLibrary["crc16"]) {
    super();
    this.#stream = stream;
    this.#crc16 = crc16;
    this.lastByteMs = clock.monotonicMs();
    stream.on("data", (bytes: Buffer) => {
      this.lastByteMs = clock.monotonicMs();
      this.#received(bytes);
    });
  }

  get isOpen(): boolean {
    return this.#stream.isOpen;
  }

  get pendingBytes(): number {
    return this.#held.length;
  }

  open(callback: () => void): void {
    callback();
  }

  write(bytes: Buffer): void {
    this.#stream.write(bytes);
  }

  begin(address: number, code: number, size: number): void {
    this.#held = [];
    this.#open = { address, code, size };
  }

  end(): void {
    this.#open = undefined;
    this.#held = [];
  }

  #received(bytes: Uint8Array): void {
    if (this.#open === undefined) return;
    this.#held.push(...bytes);
    // Of a babbling board only the newest bytes can still become an answer.
    if (this.#held.length > FRAME_BYTES_MAX) {
      this.#held.splice(0, this.#held.length - FRAME_BYTES_MAX);
    }
    for (let from = 0; from + EXCEPTION_BYTES <= this.#held.length; from++) {
      const { address, code, size } = this.#open;
      if (this.#held[from] !== address) continue;
      const refused = this.#held[from + 1] === (code | 0x80);
      if (!refused && this.#held[from + 1] !== code) continue;
      const end = from + (refused ? EXCEPTION_BYTES : size);
      if (this.#held.length < end) continue;
      const frame = Buffer.from(this.#held.slice(from, end));
      // Noise can look like the beginning of an answer: one that does not check is passed over.
      if (this.#crc16(frame.subarray(0, -2)) !== frame.readUInt16LE(frame.length - 2)) continue;
      this.emit("data", frame);
      return;
    }
  }
}

/** Bytes of the answer, address and check included (Application Protocol §6). */
function answerBytes(request: ModbusRequest): number {
  switch (request.code) {
    case 1:
    case 2:
      return 5 + Math.ceil(request.count / 8);
    case 3:
    case 4:
      return 5 + 2 * request.count;
    default:
      return 8;
  }
}

function resultOf(
  request: ModbusRequest,
  error: Error | null,
  answer: object | undefined,
): ModbusResult {
  if (error !== null) {
    const { modbusCode } = error as { readonly modbusCode?: unknown };
    return typeof modbusCode === "number"
      ? { kind: "exception", code: modbusCode }
      : { kind: "damaged" };
  }
  if (request.code > 4) return { kind: "done" };
  const { data } = answer as { readonly data: unknown };
  const values = data as readonly (boolean | number)[];
  const wanted = values.slice(0, (request as { readonly count: number }).count);
  return request.code <= 2
    ? { kind: "bits", bits: wanted.map(Boolean) }
    : { kind: "words", words: wanted.map(Number) };
}
