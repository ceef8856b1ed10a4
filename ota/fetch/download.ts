import { createHash, type Hash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { type Clock, syncFolder } from "../../hal/mod.ts";
import { type RepositorySource, type TrustedTarget, TrustError } from "../trust/mod.ts";
import { Watch } from "./watch.ts";

/** What is written before it is made durable: a cut costs no more than this of the download. */
const SYNC_BYTES = 4 << 20;
/** What is read of a part at once when it is hashed again. */
const CHUNK_BYTES = 256 << 10;

/** How a download is made. */
export interface DownloadOptions {
  readonly source: RepositorySource;
  readonly clock: Clock;
  /** Where the file goes. What came of it is kept beside it as `.part` and gone on with. */
  readonly file: string;
  /** The most that is taken a second, in bytes; unbounded without it. */
  readonly bytesPerSecondMax?: number;
  /** The most that it may last, in ms; unbounded without it, as long as bytes come. */
  readonly wholeMsMax?: number;
  /** Told how much there is. */
  readonly onProgress?: (bytes: number) => void;
}

/** Where a target stands in a repository with consistent snapshots. */
export function pathOf({ path, sha256 }: TrustedTarget): string {
  return join("targets", dirname(path), `${sha256}.${basename(path)}`);
}

/**
 * Fetches a target to a file: a piece at a time, so that its size costs no memory; goes on after a
 * cut where it stopped; and only a file with the right length and hash gets its name.
 *
 * @throws {@link TrustError} `unreachable`, `too-slow` (try again), `too-large`, `refused` (what came
 * is another file; what there was is thrown away), `store`; the signal's reason.
 */
export async function download(
  target: TrustedTarget,
  options: DownloadOptions,
  signal: AbortSignal,
): Promise<void> {
  const { file } = options;
  if (await isWhole(file, target, signal)) return;
  const part = `${file}.part`;
  try {
    await Deno.mkdir(dirname(file), { recursive: true });
    using out = await Deno.open(part, { read: true, write: true, create: true, mode: 0o600 });
    const hash = createHash("sha256");
    let at = await hashOf(out, target.lengthBytes, hash, signal);
    if (at < target.lengthBytes) at = await fetchRest(target, options, out, hash, at, signal);
    if (at !== target.lengthBytes || hash.digest("hex") !== target.sha256) {
      throw new TrustError("refused", `${target.path}: what came is another file`);
    }
    await out.sync();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof TrustError) {
      if (error.kind === "refused" || error.kind === "too-large") {
        await Deno.remove(part).catch(() => {});
      }
      throw error;
    }
    throw new TrustError("store", `${file}: ${(error as Error).message}; is the disk full?`, {
      cause: error,
    });
  }
  await Deno.rename(part, file);
  syncFolder(dirname(file));
}

async function fetchRest(
  target: TrustedTarget,
  { source, clock, bytesPerSecondMax, wholeMsMax, onProgress }: DownloadOptions,
  out: Deno.FsFile,
  hash: Hash,
  from: number,
  signal: AbortSignal,
): Promise<number> {
  const path = pathOf(target);
  using watch = new Watch(target.path, clock, signal, wholeMsMax);
  const { status, body } = await heard(target, watch.wait(source.get(path, watch.signal, from)));
  // Who knows no ranges begins again; it is skipped over, since the hash has seen it.
  let skip = status === 200 ? from : 0;
  if ((status !== 200 && status !== 206) || body === null) {
    await body?.cancel();
    throw new TrustError("unreachable", `${target.path}: the source answers ${status}`);
  }
  const reader = body.getReader();
  let at = from;
  let unsynced = 0;
  const begunMs = clock.monotonicMs();
  try {
    for (;;) {
      const { done, value } = await heard(target, watch.wait(reader.read()));
      if (done) break;
      const bytes = value.subarray(Math.min(skip, value.length));
      skip -= value.length - bytes.length;
      if (at + bytes.length > target.lengthBytes) {
        throw new TrustError("too-large", `${target.path}: more than ${target.lengthBytes} bytes`);
      }
      hash.update(bytes);
      for (let done = 0; done < bytes.length;) done += await out.write(bytes.subarray(done));
      at += bytes.length;
      unsynced += bytes.length;
      if (unsynced >= SYNC_BYTES) {
        await out.syncData();
        unsynced = 0;
      }
      onProgress?.(at);
      if (bytesPerSecondMax !== undefined) {
        const dueMs = begunMs + (at - from) / bytesPerSecondMax * 1_000;
        const waitMs = dueMs - clock.monotonicMs();
        if (waitMs > 0) await clock.sleep(waitMs, signal);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
  if (at < target.lengthBytes) {
    throw new TrustError("unreachable", `${target.path}: the line broke at ${at} bytes`);
  }
  return at;
}

/** What goes wrong on the line is no fault of the disk. */
async function heard<T>(target: TrustedTarget, promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (cause) {
    if (cause instanceof TrustError) throw cause;
    throw new TrustError("unreachable", `${target.path}: ${(cause as Error).message}`, { cause });
  }
}

/** Hashes what there is, at most `bytesMax`; more is cut off. Leaves the file at its end. */
async function hashOf(
  file: Deno.FsFile,
  bytesMax: number,
  hash: Hash,
  signal: AbortSignal,
): Promise<number> {
  const chunk = new Uint8Array(CHUNK_BYTES);
  let at = 0;
  while (at < bytesMax) {
    signal.throwIfAborted();
    const count = await file.read(chunk.subarray(0, Math.min(chunk.length, bytesMax - at)));
    if (count === null) break;
    hash.update(chunk.subarray(0, count));
    at += count;
  }
  await file.truncate(at);
  await file.seek(at, Deno.SeekMode.Start);
  return at;
}

async function isWhole(file: string, target: TrustedTarget, signal: AbortSignal) {
  try {
    using there = await Deno.open(file, { read: true, write: true });
    const { size } = await there.stat();
    if (size !== target.lengthBytes) return false;
    const hash = createHash("sha256");
    await hashOf(there, size, hash, signal);
    return hash.digest("hex") === target.sha256;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Deno.errors.NotFound) return false;
    throw new TrustError("store", `${file}: ${(error as Error).message}`, { cause: error });
  }
}
