import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { createZstdDecompress } from "node:zlib";

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
  const head = new Uint8Array(HEAD_BYTES);
  let at = 0;
  for await (const chunk of chunksOf(source, facts.image.bytes)) {
    inImage.update(chunk);
    putSetup(chunk, at, options);
    onCard.update(chunk);
    const held = Math.min(Math.max(HEAD_BYTES - at, 0), chunk.length);
    if (held > 0) head.set(chunk.subarray(0, held), at);
    await writeAt(file, at + held, chunk.subarray(held), target);
    at += chunk.length;
    onProgress("writing", at);
  }
  if (at !== facts.image.bytes || inImage.digest("hex") !== facts.image.sha256) {
    throw new FlashError(`${source} is damaged: it is not what its .json says; fetch it again`);
  }
  return { head, written: onCard.digest("hex") };
}

/** Puts the settings where they belong, as far as that is in the chunk that stands at `at`. */
function putSetup(chunk: Uint8Array, at: number, { facts, setup }: FlashOptions): void {
  const { offset } = facts.setup;
  const from = Math.max(offset, at);
  const to = Math.min(offset + setup.length, at + chunk.length);
  if (from < to) chunk.set(setup.subarray(from - offset, to - offset), from - at);
}

/** The image in pieces of {@link CHUNK_BYTES} but for the last; each is good until the next one. */
async function* chunksOf(source: string, bytesMax: number): AsyncGenerator<Uint8Array> {
  const file = createReadStream(source);
  const image = source.endsWith(".zst") ? file.pipe(createZstdDecompress()) : file;
  file.once("error", (cause) => image.destroy(cause));
  const chunk = new Uint8Array(CHUNK_BYTES);
  let [held, total] = [0, 0];
  try {
    for await (const piece of image as AsyncIterable<Uint8Array>) {
      total += piece.length;
      if (total > bytesMax) throw new FlashError(`${source} is longer than its .json says`);
      for (let at = 0; at < piece.length;) {
        const part = piece.subarray(at, at + CHUNK_BYTES - held);
        chunk.set(part, held);
        held += part.length;
        at += part.length;
        if (held < CHUNK_BYTES) continue;
        yield chunk;
        held = 0;
      }
    }
  } catch (cause) {
    if (cause instanceof FlashError) throw cause;
    throw new FlashError(`${source} cannot be read: ${(cause as Error).message}`, { cause });
  } finally {
    file.destroy();
  }
  if (held > 0) yield chunk.subarray(0, held);
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
