import { createHash } from "node:crypto";

/** A bundle ends in the length of its signature: 8 bytes, the most significant first. */
export const TAIL_LENGTH_BYTES = 8;
/** As the manifest's schema bounds it. */
const TAIL_BYTES_MAX = 64 << 10;

/**
 * The end of a bundle in the format `verity`: its signature (CMS), in which the manifest with the
 * root of the hash tree is, and the length of it. Who knows this end knows every block before it.
 * RAUC, docs/reference.rst, "Bundle Formats".
 *
 * @throws an `Error` when `path` does not end as a bundle does.
 */
export async function readTail(path: string): Promise<{ bytes: number; sha256: string }> {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  const length = await readAt(file, Math.max(size - TAIL_LENGTH_BYTES, 0), TAIL_LENGTH_BYTES);
  const signature = Number(new DataView(length.buffer).getBigUint64(0));
  const bytes = signature + TAIL_LENGTH_BYTES;
  if (signature === 0 || bytes > TAIL_BYTES_MAX || bytes >= size) {
    throw new Error(`${path} is no bundle of RAUC: it does not end in a signature`);
  }
  const tail = await readAt(file, size - bytes, bytes);
  return { bytes, sha256: createHash("sha256").update(tail).digest("hex") };
}

async function readAt(file: Deno.FsFile, at: number, bytes: number): Promise<Uint8Array> {
  await file.seek(at, Deno.SeekMode.Start);
  const chunk = new Uint8Array(bytes);
  for (let done = 0; done < bytes;) {
    const count = await file.read(chunk.subarray(done));
    if (count === null) break;
    done += count;
  }
  return chunk;
}
