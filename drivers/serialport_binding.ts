/**
 * The interfaces of npm's `serialport` over a {@link SerialPort} of ours, so that libraries which
 * were written for it run on a line that Gatehouse has opened (docs/adr/0018).
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type {
  BindingInterface,
  BindingPortInterface,
  BindingsErrorInterface,
  OpenOptions,
  PortStatus,
} from "@serialport/bindings-interface";
import type { SerialPortStream } from "@serialport/stream";
import { HalError, type SerialPort } from "../hal/mod.ts";

/**
 * One open port as `serialport` sees it. It owns `port`: closing it disposes that. A read or write
 * under way when it is closed ends with `canceled: true`; any other error means that the line is
 * lost, and makes the stream close itself.
 */
export class SerialPortBinding implements BindingPortInterface {
  /** What the port was opened with, in their words. */
  readonly openOptions: Required<OpenOptions>;
  readonly #port: SerialPort;
  readonly #closing = new AbortController();
  /** Received, but not asked for yet. */
  #rest: Uint8Array = new Uint8Array();
  /** A drain waits for the write before it, as the port takes one at a time. */
  #writing: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;

  /** Takes `port` over. */
  constructor(port: SerialPort) {
    this.#port = port;
    const { path, baudRate, parity, stopBits } = port.settings;
    this.openOptions = {
      path,
      baudRate,
      dataBits: 8,
      lock: true,
      stopBits: stopBits ?? 1,
      parity: parity ?? "none",
      rtscts: false,
      xon: false,
      xoff: false,
      xany: false,
      hupcl: true,
    };
  }

  /** Whether {@link SerialPortBinding.close} was not called yet. */
  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  /** Ends what is under way and disposes the port. Idempotent. */
  close(): Promise<void> {
    return this.#closed ??= (async () => {
      this.#closing.abort(canceled());
      this.#rest = new Uint8Array();
      await this.#port[Symbol.asyncDispose]();
    })();
  }

  /** Waits for at least one byte and copies at most `length` into `buffer` from `offset` on. */
  async read(
    buffer: Buffer,
    offset: number,
    length: number,
  ): Promise<{ buffer: Buffer; bytesRead: number }> {
    if (length <= 0) throw new HalError("invalid", "read: no room was given");
    const bytes = this.#rest.length > 0 ? this.#rest : await this.#ends(
      async (signal) => (await this.#port.read(signal)).bytes,
    );
    const taken = bytes.subarray(0, length);
    this.#rest = bytes.subarray(taken.length);
    buffer.set(taken, offset);
    return { buffer, bytesRead: taken.length };
  }

  /** Resolves when the kernel has all of `buffer`. */
  write(buffer: Buffer): Promise<void> {
    return this.#inTurn((signal) => this.#port.write(buffer, signal));
  }

  /** Waits until the last bit has left the port. */
  drain(): Promise<void> {
    return this.#inTurn((signal) => this.#port.drain(signal));
  }

  /** Throws away what was received and not read. What was written goes its way: the line cannot recall it. */
  flush(): Promise<void> {
    return this.#ends(() => {
      this.#port.discardInput();
      this.#rest = new Uint8Array();
      return Promise.resolve();
    });
  }

  /** Takes the rate that the port has already; `box.yaml` sets it. @throws `HalError` `unsupported` for another. */
  update({ baudRate }: { readonly baudRate: number }): Promise<void> {
    const now = this.#port.settings.baudRate;
    if (baudRate === now) return Promise.resolve();
    return Promise.reject(
      new HalError(
        "unsupported",
        `the line runs at ${now} baud, as box.yaml says; change it there`,
      ),
    );
  }

  /** @throws `HalError` `unsupported`: modem lines are left as the kernel sets them. */
  set(): Promise<void> {
    return Promise.reject(new HalError("unsupported", "modem lines cannot be set"));
  }

  /** @throws `HalError` `unsupported`, as {@link SerialPortBinding.set}. */
  get(): Promise<PortStatus> {
    return Promise.reject(new HalError("unsupported", "modem lines cannot be read"));
  }

  /** The rate that the port was opened with. */
  getBaudRate(): Promise<{ baudRate: number }> {
    return Promise.resolve({ baudRate: this.#port.settings.baudRate });
  }

  #inTurn(act: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const turn = this.#writing.then(() => this.#ends(act));
    this.#writing = turn.catch(() => {});
    return turn;
  }

  /** Runs `act`; once closed, whatever it throws is told as `canceled`. */
  async #ends<T>(act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#closing;
    signal.throwIfAborted();
    try {
      return await act(signal);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  }
}

function canceled(): BindingsErrorInterface {
  return Object.assign(new Error("the port was closed"), { canceled: true });
}

/**
 * A binding whose `open` hands out `port`, whatever path and rate are asked for: the line was chosen
 * and set up by `box.yaml`.
 */
export function bindingOf(
  port: SerialPort,
): BindingInterface<SerialPortBinding, OpenOptions> {
  return {
    list: () => Promise.resolve([]),
    open: () => Promise.resolve(new SerialPortBinding(port)),
  };
}

/** Loads the library that {@link openSerialPortStream} needs, ahead of its first call. */
export function loadSerialPortStream(): Promise<typeof import("@serialport/stream")> {
  return import("@serialport/stream");
}

/**
 * `port` as the stream that `serialport` hands its users, open already. Closing or destroying it
 * disposes `port`; a line that is lost closes it with a `DisconnectedError`.
 *
 * The library is loaded on the first call: a box without such devices does without it.
 */
export async function openSerialPortStream(port: SerialPort): Promise<SerialPortStream> {
  const { SerialPortStream } = await loadSerialPortStream();
  const { path, baudRate } = port.settings;
  const stream = new SerialPortStream({
    binding: bindingOf(port),
    path,
    baudRate,
    autoOpen: false,
    highWaterMark: STREAM_BYTES_MAX,
  });
  await new Promise<void>((resolve, reject) => {
    stream.open((error) => error ? reject(error) : resolve());
  });
  return stream;
}

/** Devices on these streams speak in frames of some hundred bytes; more is read when it was taken. */
const STREAM_BYTES_MAX = 4_096;
