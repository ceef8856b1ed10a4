import type { Clock, SerialChunk, SerialPort, SerialSettings } from "../../hal/mod.ts";
import { HalError } from "../../hal/mod.ts";
import { connectUnix } from "./lines.ts";

/** The wire behind the guest's USB serial adapter: a reader's end of the line. */
export class Wire implements SerialPort {
  readonly settings: SerialSettings;
  readonly #connection: Deno.UnixConn;
  readonly #clock: Clock;

  private constructor(path: string, connection: Deno.UnixConn, clock: Clock) {
    this.settings = { path, baudRate: 9_600 };
    this.#connection = connection;
    this.#clock = clock;
  }

  /** Takes the end of the wire that QEMU offers at `path`. */
  static async connect(path: string, clock: Clock): Promise<Wire> {
    return new Wire(path, await connectUnix(path, clock), clock);
  }

  async read(signal: AbortSignal): Promise<SerialChunk> {
    signal.throwIfAborted();
    const chunk = new Uint8Array(4_096);
    const count = await this.#connection.read(chunk).catch(() => null);
    if (count === null) throw new HalError("disconnected", "the guest is gone");
    return { bytes: chunk.subarray(0, count), receivedMonotonicMs: this.#clock.monotonicMs() };
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }

  discardInput(): void {
    // A reader throws nothing away.
  }

  [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#connection.close();
    } catch {
      // It was closed by its end.
    }
    return Promise.resolve();
  }
}
