/** Reads `length` bytes from `at` on, fewer at the file's end, so that a file is never held whole. */
export async function readPart(
  handle: Deno.FsFile,
  at: number,
  length: number,
): Promise<Uint8Array> {
  await handle.seek(at, Deno.SeekMode.Start);
  const part = new Uint8Array(length);
  let read = 0;
  while (read < length) {
    const count = await handle.read(part.subarray(read));
    if (count === null) break;
    read += count;
  }
  return part.subarray(0, read);
}
