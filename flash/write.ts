import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { createZstdDecompress } from "node:zlib";
import { pipeline } from "node:stream/promises";

/** Written and read at once; a whole number of every card's blocks. */
const CHUNK_BYTES = 4 << 20;
/** Holds the partition table: written last, so that what is half written is no card. */
const HEAD_BYTES = 1 << 20;

/** What could not be done, and what to do. */
export class FlashError extends Error {
  /** Says so. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "FlashError";
  }
}

/** The image as its `.json` describes it. */
export interface ImageFacts {
  readonly image: { readonly bytes: number; readonly sha256: string };
  readonly setup: { readonly offset: number; readonly bytes: number };
}

/** What is written, and to where. */
export interface FlashOptions {
  /** The packed image (`.img.zst`), or the image itself. */
  readonly source: string;
  readonly facts: ImageFacts;
  /** A disk or a file. */
  readonly target: string;
  /** The target is larger than the image by what may be left of an older card at its end. */
  readonly targetBytes: number;
  /** Instead of the image's own settings; as long as they are. */
  readonly setup: Uint8Array;
  /** Drops what the system keeps in memory of the target, so that it is read from the card. */
  readonly forget: () => Promise<void>;
  readonly onProgress: (doing: "writing" | "verifying", bytes: number) => void;
}

/**
 * Writes an image with its settings, and reads it back. Whatever ends it before its end leaves a disk
 * without a partition table, which no machine starts from.
 *
 * @throws {@link FlashError}
 */
export async function flash(options: FlashOptions): Promise<void> {
  const { facts, target, targetBytes, forget } = options;
  const file = await open(target);
  let sha256: string;
  try {
    await wipe(file, 0, target);
    // A table of an older card may be at the end as well; firmware would take that one.
    if (targetBytes - HEAD_BYTES >= facts.image.bytes) {
      await wipe(file, targetBytes - HEAD_BYTES, target);
    }
    await synced(file, target);
    const { head, written } = await writeBody(options, file);
    await synced(file, target);
    await writeAt(file, 0, head, target);
    await synced(file, target);
    sha256 = written;
  } finally {
    file.close();
  }
  await forget();
  if (await hashOf(options) !== sha256) {
    const again = await open(target);
    try {
      await wipe(again, 0, target);
      await synced(again, target);
    } finally {
      again.close();
    }
    throw new FlashError(`${target} does not give back what was written to it: use another card`);
  }
}

async function open(target: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(target, { read: true, write: true });
  } catch (cause) {
    const denied = cause instanceof Deno.errors.PermissionDenied ||
      (cause as { code?: string }).code === "EACCES";
    const hint = denied ? ": run it as root (sudo)" : "";
    throw new FlashError(`${target} cannot be opened: ${(cause as Error).message}${hint}`, {
      cause,
    });
  }
}

async function wipe(file: Deno.FsFile, at: number, target: string): Promise<void> {
  await writeAt(file, at, new Uint8Array(HEAD_BYTES), target);
}

/** All but the head, which is returned; checks that the image is the one that it says it is. */
async function writeBody(options: FlashOptions, file: Deno.FsFile) {
  const { facts, target, source, onProgress } = options;
  const [inImage, onCard] = [createHash("sha256"), createHash("sha256")];
  let at = 0;
  const head = new Uint8Array(HEAD_BYTES);
  await eachChunk(source, facts.image.bytes, async (chunk) => {
    inImage.update(chunk);
    const bytes = withSetup(chunk, at, options);
    onCard.update(bytes);
    if (at < HEAD_BYTES) {
      head.set(bytes.subarray(0, HEAD_BYTES - at), at);
      await writeAt(file, HEAD_BYTES, bytes.subarray(HEAD_BYTES - at), target);
    } else await writeAt(file, at, bytes, target);
    at += chunk.length;
    onProgress("writing", at);
  });
  if (at !== facts.image.bytes || inImage.digest("hex") !== facts.image.sha256) {
    throw new FlashError(`${source} is damaged: it is not what its .json says; fetch it again`);
  }
  return { head, written: onCard.digest("hex") };
}

/** The chunk that stands at `at`, with the settings where they belong. */
function withSetup(chunk: Uint8Array, at: number, { facts, setup }: FlashOptions): Uint8Array {
  const { offset } = facts.setup;
  const from = Math.max(offset, at);
  const to = Math.min(offset + setup.length, at + chunk.length);
  if (from >= to) return chunk;
  const bytes = chunk.slice();
  bytes.set(setup.subarray(from - offset, to - offset), from - at);
  return bytes;
}

/** Calls with each piece of the image, {@link CHUNK_BYTES} long but for the last. */
async function eachChunk(
  source: string,
  bytesMax: number,
  act: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  let held: Uint8Array[] = [];
  let count = 0;
  let total = 0;
  const give = async () => {
    const chunk = new Uint8Array(count);
    let at = 0;
    for (const one of held) {
      chunk.set(one, at);
      at += one.length;
    }
    const whole = Math.min(CHUNK_BYTES, count);
    await act(chunk.subarray(0, whole));
    held = count > whole ? [chunk.subarray(whole)] : [];
    count -= whole;
  };
  // What ends a pipeline from within comes out of it as "aborted".
  let fault: FlashError | undefined;
  const take = async (chunks: AsyncIterable<Uint8Array>) => {
    try {
      await taken(chunks);
    } catch (error) {
      if (error instanceof FlashError) fault = error;
      throw error;
    }
  };
  const taken = async (chunks: AsyncIterable<Uint8Array>) => {
    for await (const chunk of chunks) {
      total += chunk.length;
      if (total > bytesMax) throw new FlashError(`${source} is longer than its .json says`);
      held.push(chunk);
      count += chunk.length;
      while (count >= CHUNK_BYTES) await give();
    }
    if (count > 0) await give();
  };
  try {
    if (source.endsWith(".zst")) {
      await pipeline(createReadStream(source), createZstdDecompress(), take);
    } else await pipeline(createReadStream(source), take);
  } catch (cause) {
    throw fault ??
      new FlashError(`${source} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

async function writeAt(
  file: Deno.FsFile,
  at: number,
  bytes: Uint8Array,
  target: string,
): Promise<void> {
  try {
    await file.seek(at, Deno.SeekMode.Start);
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
  } catch (cause) {
    throw gone(target, at, cause as Error);
  }
}

async function synced(file: Deno.FsFile, target: string): Promise<void> {
  try {
    await file.sync();
  } catch (cause) {
    throw gone(target, 0, cause as Error);
  }
}

function gone(target: string, at: number, cause: Error): FlashError {
  const where = at === 0 ? "" : ` at byte ${at}`;
  return new FlashError(
    `${target} took no more${where} (${cause.message}): was it pulled out, or is it worn out? ` +
      `It starts nothing now; flash it again`,
    { cause },
  );
}

async function hashOf({ target, facts, onProgress }: FlashOptions): Promise<string> {
  const hash = createHash("sha256");
  const chunk = new Uint8Array(CHUNK_BYTES);
  using file = await open(target);
  let done = 0;
  try {
    while (done < facts.image.bytes) {
      const count = await file.read(chunk.subarray(0, facts.image.bytes - done));
      if (count === null) break;
      hash.update(chunk.subarray(0, count));
      done += count;
      onProgress("verifying", done);
    }
  } catch (cause) {
    throw gone(target, done, cause as Error);
  }
  return hash.digest("hex");
}
