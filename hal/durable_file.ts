import { dirname } from "node:path";

/**
 * Replaces a file in one step that survives a power cut: whoever reads finds the whole old one or the
 * whole new one. Temporary file beside it, fsync, rename, fsync of the folder. Synchronous: a file
 * of this kind is small and written rarely.
 *
 * `mode` is of the new file; 0600 unless given, since most of these are, or stand beside, a secret.
 */
export function writeFileDurably(
  path: string,
  content: string | Uint8Array,
  mode = 0o600,
): void {
  const temporary = `${path}.new`;
  {
    using file = Deno.openSync(temporary, { write: true, create: true, truncate: true, mode });
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    file.syncSync();
  }
  Deno.renameSync(temporary, path);
  syncFolder(dirname(path));
}

/** The same without holding up the thread; the caller sees to it that one at a time does so. */
export async function replaceFileDurably(
  path: string,
  content: string,
  mode = 0o600,
): Promise<void> {
  const temporary = `${path}.new`;
  {
    using file = await Deno.open(temporary, { write: true, create: true, truncate: true, mode });
    const bytes = new TextEncoder().encode(content);
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await file.sync();
  }
  await Deno.rename(temporary, path);
  using folder = await Deno.open(dirname(path));
  await folder.sync();
}

/** Makes renames and new names in `folder` durable. */
export function syncFolder(folder: string): void {
  using file = Deno.openSync(folder);
  file.syncSync();
}
