import { join } from "node:path";
import { syncFolder, writeFileDurably } from "../../hal/mod.ts";

/** A slot's name: the SHA-256 of the tar that it was unpacked from, in hex. */
const ID = /^[0-9a-f]{64}$/;
/** Starts of a release that is tried: one that was unlucky with the power gets another. */
export const STARTS_MAX = 3;
/** The starter reads no more; a file of ours has 67 bytes. */
const FILE_BYTES_MAX = 128;

/**
 * The releases on a box, and which of them is started: the files that `start` reads. Each change is
 * one rename, so that a box that is cut off starts what it started before or what it should now.
 */
export class AppSlots {
  readonly #dir: string;

  /** Opens `dir`, which is made when it is not there. */
  constructor(dir: string) {
    this.#dir = dir;
    Deno.mkdirSync(join(dir, "slots"), { recursive: true, mode: 0o755 });
  }

  /** The release that is known to work. `undefined`: the one of the system image. */
  good(): string | undefined {
    return this.#id("good");
  }

  /** The release that the next start tries. */
  trial(): string | undefined {
    return this.#id("trial");
  }

  /** The release whose starts were used up, until {@link AppSlots.forgetGivenUp}. */
  gaveUpOn(): string | undefined {
    return this.#id("gave-up");
  }

  /** Says that the giving up was heard of. */
  forgetGivenUp(): void {
    this.#remove("gave-up");
  }

  /** Where `id` is, or is to be unpacked. */
  folder(id: string): string {
    if (!ID.test(id)) throw new RangeError(`${id} is no slot`);
    return join(this.#dir, "slots", id);
  }

  /** Whether `id` is there as a whole. */
  has(id: string): boolean {
    try {
      return Deno.statSync(this.folder(id)).isDirectory;
    } catch {
      return false;
    }
  }

  /** Has the next starts try `id`. */
  try(id: string): void {
    if (!this.has(id)) throw new Error(`slot ${id} is not there`);
    writeFileDurably(join(this.#dir, "trial"), `${id} ${STARTS_MAX}\n`, 0o644);
  }

  /** Makes `id` the good one. Between the two steps both files name it. */
  confirm(id: string): void {
    writeFileDurably(join(this.#dir, "good"), `${id}\n`, 0o644);
    this.#remove("trial");
  }

  /** Has the next start take the good one. */
  revert(): void {
    this.#remove("trial");
  }

  /** Removes every release that is neither good, tried, nor in `keep`, and what was half unpacked. */
  sweep(keep: readonly string[] = []): void {
    const kept = new Set([this.good(), this.trial(), ...keep]);
    for (const { name } of [...Deno.readDirSync(join(this.#dir, "slots"))]) {
      if (!kept.has(name)) {
        Deno.removeSync(join(this.#dir, "slots", name), { recursive: true });
      }
    }
  }

  #id(name: string): string | undefined {
    try {
      const path = join(this.#dir, name);
      if (Deno.statSync(path).size > FILE_BYTES_MAX) return undefined;
      const [id = ""] = Deno.readTextFileSync(path).split(/\s/);
      return ID.test(id) ? id : undefined;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  #remove(name: string): void {
    try {
      Deno.removeSync(join(this.#dir, name));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    syncFolder(this.#dir);
  }
}
