import { join } from "node:path";
import { syncFolder, writeFileDurably } from "../../hal/mod.ts";
import { TrustError } from "./errors.ts";

const CURRENT = "current";
const GENERATION = /^gen-(\d{1,12})$/;
/** Metadata files of one box: four roles and a few delegations. */
const FILES_MAX = 256;
/** The largest that the verifier accepts is smaller. */
const FILE_BYTES_MAX = 8 << 20;

/**
 * The metadata that a box trusts, as a folder of files that is replaced as a whole: `tuf-js` works on
 * a copy and writes it with no care for power cuts; {@link MetadataStore.commit} syncs the copy and
 * names it in the file `current` in one step. (Not a symbolic link: Deno makes one only for programs
 * that may write anywhere.) A store that is missing or spoilt is begun anew from
 * the root that came with the program; the time floor then keeps freeze protection (see there).
 */
export class MetadataStore {
  readonly #dir: string;
  #generation: number;

  private constructor(dir: string, generation: number) {
    this.#dir = dir;
    this.#generation = generation;
  }

  /**
   * Opens `dir`, with `root` (the file baked into the program) as the begin of trust unless a newer
   * one is stored. @throws {@link TrustError} `store`
   */
  static open(dir: string, root: Uint8Array): MetadataStore {
    try {
      Deno.mkdirSync(dir, { recursive: true, mode: 0o700 });
      const generations = [...Deno.readDirSync(dir)].flatMap(({ name }) => {
        const match = GENERATION.exec(name);
        return match === null ? [] : [Number(match[1])];
      });
      const store = new MetadataStore(dir, Math.max(0, ...generations));
      const kept = versionOf(store.#read("root.json"));
      if (kept === undefined || kept < versionOf(root)!) {
        const work = store.begin();
        Deno.writeFileSync(join(work, "root.json"), root);
        store.commit(work);
      }
      store.#sweep();
      return store;
    } catch (cause) {
      throw new TrustError(
        "store",
        `the update metadata in ${dir} cannot be kept; check the disk and the folder's owner`,
        { cause },
      );
    }
  }

  /** The folder with what is trusted now. Its files are never changed. */
  get folder(): string {
    return join(this.#dir, this.#current() ?? "gen-0");
  }

  /** The name of what is trusted now. */
  #current(): string | undefined {
    try {
      const name = Deno.readTextFileSync(join(this.#dir, CURRENT)).trim();
      return GENERATION.test(name) ? name : undefined;
    } catch {
      // Nothing is trusted yet.
      return undefined;
    }
  }

  /** Makes a copy to work on, and returns its folder. */
  begin(): string {
    this.#sweep();
    const work = join(this.#dir, `gen-${++this.#generation}`);
    Deno.mkdirSync(work, { mode: 0o700 });
    for (const name of this.#names()) {
      const bytes = this.#read(name);
      if (bytes !== undefined) Deno.writeFileSync(join(work, name), bytes);
    }
    return work;
  }

  /** Puts a copy in the place of what was trusted. After a power cut it is all there, or not at all. */
  commit(work: string): void {
    for (const { name } of Deno.readDirSync(work)) {
      using file = Deno.openSync(join(work, name));
      file.syncSync();
    }
    syncFolder(work);
    syncFolder(this.#dir);
    writeFileDurably(join(this.#dir, CURRENT), work.slice(this.#dir.length + 1));
    this.#sweep();
  }

  #names(): string[] {
    try {
      return [...Deno.readDirSync(this.folder)].slice(0, FILES_MAX).map(({ name }) => name);
    } catch {
      return [];
    }
  }

  #read(name: string): Uint8Array | undefined {
    try {
      const path = join(this.folder, name);
      return Deno.statSync(path).size > FILE_BYTES_MAX ? undefined : Deno.readFileSync(path);
    } catch {
      return undefined;
    }
  }

  /** Removes copies that were begun and never became current. */
  #sweep(): void {
    const current = this.#current();
    for (const { name } of [...Deno.readDirSync(this.#dir)]) {
      if (GENERATION.test(name) && name !== current) remove(join(this.#dir, name));
    }
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Version of a root's bytes; `undefined` when they are none. Its signatures are checked later. */
function versionOf(bytes: Uint8Array | undefined): number | undefined {
  if (bytes === undefined) return undefined;
  try {
    const version = JSON.parse(new TextDecoder().decode(bytes))?.signed?.version;
    return Number.isSafeInteger(version) ? version : undefined;
  } catch {
    return undefined;
  }
}
