import { dirname } from "node:path";
import { syncFolder } from "../../hal/mod.ts";

/** What must outlive the store: both only ever grow. */
export interface EpochRecord {
  /** Epoch of the newest store. */
  readonly epoch: number;
  /** Starts of the process so far. */
  readonly boot: number;
}

const FORMAT = /^gatehouse-journal 1\nepoch (\d{1,15})\nboot (\d{1,15})\n$/;
/** A malformed file is not read further than this. */
const FILE_BYTES_MAX = 256;

/** Reads the record at `path`: `undefined` when there is none, `malformed` when it is something else. */
export function readEpochFile(path: string): EpochRecord | "malformed" | undefined {
  let text: string;
  try {
    using file = Deno.openSync(path);
    const bytes = new Uint8Array(FILE_BYTES_MAX);
    text = new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? undefined : "malformed";
  }
  const match = FORMAT.exec(text);
  if (match === null) return "malformed";
  return { epoch: Number(match[1]), boot: Number(match[2]) };
}

/** Writes the record durably: whoever reads finds the whole old one or the whole new one. */
export function writeEpochFile(path: string, { epoch, boot }: EpochRecord): void {
  const temporary = `${path}.new`;
  // A name that is taken by a folder or a link is nothing that was put there by this program.
  removeAny(temporary);
  {
    using file = Deno.openSync(temporary, { write: true, createNew: true, mode: 0o600 });
    const bytes = new TextEncoder().encode(
      `gatehouse-journal 1\nepoch ${epoch}\nboot ${boot}\n`,
    );
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    file.syncSync();
  }
  try {
    Deno.renameSync(temporary, path);
  } catch {
    removeAny(path);
    Deno.renameSync(temporary, path);
  }
  syncFolder(dirname(path));
}

function removeAny(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
