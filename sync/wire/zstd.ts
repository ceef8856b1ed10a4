/**
 * zstd (RFC 8878) with a bound on what comes out.
 *
 * `node:zlib` takes a truncated frame without a word and gives what it has: what is inside must
 * show by itself that it is whole, as CBOR does.
 *
 * @module
 */
import {
  constants,
  zstdCompress,
  zstdCompressSync,
  zstdDecompress,
  zstdDecompressSync,
} from "node:zlib";
import { WireError } from "./codec.ts";

/** Below this, handing the work to another thread costs more than the work. */
const INLINE_BYTES_MAX = 64 << 10;

/** Level 3: higher ones gain under 2 % on batches of events and cost several times the time. */
const OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 3 } };

/** Compresses on a thread of the pool, or at once when it is little. */
export function compress(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  if (bytes.length <= INLINE_BYTES_MAX) {
    return Promise.resolve(new Uint8Array(zstdCompressSync(bytes, OPTIONS)));
  }
  return new Promise((resolve, reject) => {
    zstdCompress(
      bytes,
      OPTIONS,
      (error, result) => error ? reject(error) : resolve(new Uint8Array(result)),
    );
  });
}

function failure(what: string, bytesMax: number, cause: unknown): WireError {
  return (cause as { code?: string }).code === "ERR_BUFFER_TOO_LARGE"
    ? new WireError(`${what}: more than ${bytesMax} bytes after zstd`, { cause })
    : new WireError(`${what}: not valid zstd`, { cause });
}

/**
 * Decompresses at most `bytesMax` bytes; memory is bounded by that, whatever comes in.
 *
 * @throws {@link WireError}; `what` names it.
 */
export function decompress(
  bytes: Uint8Array,
  what: string,
  bytesMax: number,
): Promise<Uint8Array> {
  if (bytes.length <= INLINE_BYTES_MAX) {
    try {
      return Promise.resolve(decompressSync(bytes, what, bytesMax));
    } catch (error) {
      return Promise.reject(error);
    }
  }
  return new Promise((resolve, reject) => {
    zstdDecompress(bytes, { maxOutputLength: bytesMax }, (error, result) => {
      error ? reject(failure(what, bytesMax, error)) : resolve(result);
    });
  });
}

/** The same on this thread, for workers and start-up. */
export function decompressSync(bytes: Uint8Array, what: string, bytesMax: number): Uint8Array {
  try {
    return zstdDecompressSync(bytes, { maxOutputLength: bytesMax });
  } catch (cause) {
    throw failure(what, bytesMax, cause);
  }
}
