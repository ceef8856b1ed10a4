import { Buffer } from "node:buffer";
import { DownloadHTTPError, DownloadLengthMismatchError } from "tuf-js/dist/error.js";
import type { Clock } from "../../hal/mod.ts";
import { Watch } from "../fetch/watch.ts";
import { TrustError } from "./errors.ts";

/** Where files of the repository come from: the district, or a folder. */
export interface RepositorySource {
  /**
   * Asks for a file, such as `metadata/3.root.json`, from byte `fromByte` (default 0) on. The status
   * is 200 with the whole file, 206 with what follows `fromByte`, or one of HTTP's that say why not;
   * then `body` is `null`. No more than `bytes` are needed, if that is given, but more may come. The
   * caller cancels the body when it has seen enough.
   */
  get(
    path: string,
    signal: AbortSignal,
    fromByte?: number,
    bytes?: number,
  ): Promise<{ readonly status: number; readonly body: ReadableStream<Uint8Array> | null }>;
}

/** Metadata has a few kilobytes: a source that needs longer for one file is stalling on purpose. */
const FILE_MS_MAX = 120_000;
/** `tuf-js` wants URLs; what stands behind this one is taken off again. */
export const METADATA_URL = "https://repository.invalid/metadata/";

/**
 * Fetches metadata for `tuf-js` with a bound on length, on silence and on the whole time. Keeps the
 * typed error that ended it, since `tuf-js` wraps what it catches into text.
 */
export class BoundedFetcher {
  readonly #source: RepositorySource;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  /** The first fault of the source, which matters more than what it was wrapped into. */
  fault: TrustError | undefined;

  /** Fetches from `source` until `signal` aborts. */
  constructor(source: RepositorySource, clock: Clock, signal: AbortSignal) {
    this.#source = source;
    this.#clock = clock;
    this.#signal = signal;
  }

  /** See `Fetcher` of `tuf-js`. @throws `DownloadHTTPError` with the status when it is not 200. */
  async downloadBytes(url: string, bytesMax: number): Promise<Buffer> {
    const path = `metadata/${url.slice(METADATA_URL.length)}`;
    using watch = new Watch(path, this.#clock, this.#signal, FILE_MS_MAX);
    try {
      const { status, body } = await watch.wait(this.#source.get(path, watch.signal));
      if (status !== 200 || body === null) {
        await body?.cancel();
        throw new DownloadHTTPError(`${path}: the source answers ${status}`, status);
      }
      return await readAll(path, body, bytesMax, watch);
    } catch (error) {
      if (error instanceof DownloadHTTPError) throw error;
      this.#signal.throwIfAborted();
      this.fault ??= error instanceof TrustError
        ? error
        : new TrustError("unreachable", `${path}: ${(error as Error).message}`, { cause: error });
      throw new DownloadLengthMismatchError(this.fault.message);
    }
  }

  /** Targets are not fetched by `tuf-js`. */
  downloadFile(): Promise<never> {
    return Promise.reject(new Error("targets are streamed by the updater"));
  }
}

async function readAll(
  path: string,
  body: ReadableStream<Uint8Array>,
  bytesMax: number,
  watch: Watch,
): Promise<Buffer> {
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await watch.wait(reader.read());
      if (done) return Buffer.concat(chunks);
      bytes += value.length;
      if (bytes > bytesMax) {
        throw new TrustError("too-large", `${path}: more than ${bytesMax} bytes`);
      }
      chunks.push(value);
    }
  } finally {
    // A source that does not even take this must not hold the update up.
    reader.cancel().catch(() => {});
  }
}
