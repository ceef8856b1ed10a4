import type { ByteStream } from "../byte_stream.ts";
import { HalError } from "../error.ts";

/** A socket's buffer holds about as much; a peer that never reads does not fill the memory. */
const QUEUE_BYTES_MAX = 1 << 18;

/** Two ends of one stream, joined in memory; closing one is the end of the other. */
export function memoryStreams(): readonly [ByteStream, ByteStream] {
  const a = new MemoryStream();
  const b = new MemoryStream();
  a.peer = b;
  b.peer = a;
  return [a, b];
}

class MemoryStream implements ByteStream {
  peer: MemoryStream | undefined;
  readonly #chunks: Uint8Array[] = [];
  #queuedBytes = 0;
  #ended = false;
  #closed = false;
  #wake: (() => void) | undefined;

  async read(signal: AbortSignal): Promise<Uint8Array | null> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#closed) throw new HalError("disconnected", "the stream is closed");
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#queuedBytes -= chunk.length;
        return chunk;
      }
      if (this.#ended) return null;
      if (this.#wake !== undefined) throw new HalError("busy", "another read is waiting already");
      await new Promise<void>((resolve) => {
        this.#wake = () => {
          this.#wake = undefined;
          signal.removeEventListener("abort", this.#abort);
          resolve();
        };
        signal.addEventListener("abort", this.#abort);
      });
    }
  }

  write(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      if (this.#closed || this.#ended) {
        throw new HalError("disconnected", "the stream's other end is gone");
      }
      this.peer!.#take(bytes);
      resolve();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#wake?.();
    this.peer!.#end();
    return Promise.resolve();
  }

  readonly #abort = () => this.#wake?.();

  #take(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#queuedBytes += bytes.length;
    if (this.#queuedBytes > QUEUE_BYTES_MAX) throw new HalError("timeout", "nobody reads");
    this.#chunks.push(bytes.slice());
    this.#wake?.();
  }

  #end(): void {
    this.#ended = true;
    this.#wake?.();
  }
}
