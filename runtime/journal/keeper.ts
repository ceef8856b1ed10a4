/**
 * Keeps a store open: opens it, frees room, opens it again, sets it aside and begins the next epoch,
 * whatever it takes until an event can be stored. Runs in the worker.
 *
 * @module
 */
import { giveUpReserve } from "./disk_reserve.ts";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { syncFolder } from "../../hal/mod.ts";
import type { Lane } from "../../sync/wire/events.ts";
import { BlockWriter } from "./block.ts";
import type { JournalState } from "./contract.ts";
import { type EpochRecord, readEpochFile, writeEpochFile } from "./epoch_file.ts";
import { StoreFault, storeFault } from "./fault.ts";
import type { LaneBlock, LaneQuotas, Notice } from "./protocol.ts";
import { NOTHING_SALVAGED, type Salvage, salvage } from "./salvage.ts";
import { Store, URGENT_LANES } from "./store.ts";

/** Files beside the database that belong to it. */
const COMPANIONS = ["", "-wal", "-shm"] as const;
/** Replaced stores kept for whoever looks into it; each may be as large as the journal. */
const SET_ASIDE_MAX = 2;
const SET_ASIDE = /^journal-(\d{1,16})\.corrupt$/;
/** A detail longer than this is no event. */
const DETAIL_CHARS_MAX = 500;
/** Salvaged events stored by one transaction. */
const SALVAGE_COMMIT_EVENTS = 1000;

/** Where the store is, and how large it may grow. */
export interface KeeperOptions {
  readonly dataDir: string;
  readonly quotas: LaneQuotas;
  readonly storeBytesMax: number;
}

/** What became of a group of blocks. */
export interface Committed {
  /** First seq of each block; 0 where there was no room for it. */
  readonly firstSeqs: readonly number[];
}

/** Keeps the store of one data folder. */
export class StoreKeeper implements Disposable {
  readonly #options: KeeperOptions;
  readonly #path: string;
  readonly #newPath: string;
  readonly #epochPath: string;
  #store: Store | undefined;
  #boot = 0;

  /** Touches nothing yet. */
  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#path = join(options.dataDir, "journal.db");
    this.#newPath = join(options.dataDir, "journal.new");
    this.#epochPath = join(options.dataDir, "journal.epoch");
  }

  /** Starts of the process, this one included; 0 before {@link StoreKeeper.open}. */
  get boot(): number {
    return this.#boot;
  }

  /** Where the store is; `undefined` while there is none. */
  state(): JournalState | undefined {
    return this.#store?.state();
  }

  /** What no event tells of yet. */
  notices(): readonly Notice[] {
    return this.#store?.notices() ?? [];
  }

  /**
   * Opens the store; makes or replaces it where that must be. A full or failing disk is no reason to
   * keep the doors shut: then there is no store for now, and each later call tries again.
   *
   * @throws {@link StoreFault} `other` when the data folder cannot be used at all.
   */
  open(wallMs: number): void {
    try {
      this.#ensure(wallMs);
    } catch (error) {
      const fault = storeFault(error);
      if (fault.kind === "other") throw fault;
    }
    if (this.#boot === 0) {
      const record = readEpochFile(this.#epochPath);
      this.#boot = (typeof record === "object" ? record.boot : 0) + 1;
    }
  }

  /** Stores blocks; where there is no room for all, those of urgent lanes alone. */
  commit(
    blocks: readonly LaneBlock[],
    bytes: Uint8Array,
    notices: { readonly epoch: number; readonly ids: readonly number[] },
    wallMs: number,
  ): Committed {
    const commit = (some: readonly LaneBlock[]) =>
      this.#retrying(
        // Another store numbers its notices anew.
        (store) => store.commit(some, bytes, store.epoch === notices.epoch ? notices.ids : []),
        wallMs,
      );
    try {
      return { firstSeqs: commit(blocks) };
    } catch (error) {
      const urgent = blocks.filter(({ lane }) => URGENT_LANES.has(lane));
      const partly = urgent.length > 0 && urgent.length < blocks.length;
      if (storeFault(error).kind !== "full" || !partly) throw error;
      const stored = commit(urgent);
      return {
        firstSeqs: blocks.map((block) => {
          const index = urgent.indexOf(block);
          return index < 0 ? 0 : stored[index]!;
        }),
      };
    }
  }

  /** Does `work` with the store, once more after replacing it. */
  use<T>(work: (store: Store) => T, wallMs: number): T {
    return this.#retrying(work, wallMs);
  }

  /** Closes the store after a last look at its file. */
  close(wallMs: number): void {
    try {
      if (this.#store !== undefined) this.#retrying((store) => store.checkFiles(Infinity), wallMs);
    } finally {
      this[Symbol.dispose]();
    }
  }

  /** Closes the store as it is; twice is fine. */
  [Symbol.dispose](): void {
    this.#store?.[Symbol.dispose]();
    this.#store = undefined;
  }

  #retrying<T>(work: (store: Store) => T, wallMs: number): T {
    try {
      const store = this.#ensure(wallMs);
      store.checkFiles(wallMs);
      return work(store);
    } catch (error) {
      const fault = storeFault(error);
      switch (fault.kind) {
        case "full":
          if (!giveUpReserve(this.#options.dataDir) && !this.#makeRoom()) throw fault;
          break;
        case "io":
          this[Symbol.dispose]();
          break;
        case "corrupt":
          this.#replace(fault.message, wallMs);
          break;
        case "other":
          throw fault;
        default:
          fault.kind satisfies never;
      }
      return work(this.#ensure(wallMs));
    }
  }

  #makeRoom(): boolean {
    try {
      return this.#store?.makeRoom() ?? false;
    } catch {
      // No room even for that.
      return false;
    }
  }

  #ensure(wallMs: number): Store {
    if (this.#store !== undefined) return this.#store;
    const record = readEpochFile(this.#epochPath);
    if (exists(this.#path)) {
      // One that was being built when the process ended; the old one is still there to begin again.
      this.#removeStore(this.#newPath);
    } else if (exists(this.#newPath)) {
      // Complete, or the old one would not have been taken away.
      this.#takeNew();
    } else if (record !== undefined) {
      this.#replace("journal.db was deleted", wallMs);
      return this.#store!;
    }
    try {
      this.#open(record);
    } catch (error) {
      const fault = storeFault(error);
      const hopeless = fault.kind === "corrupt" || fault.kind === "io" ||
        COMPANIONS.some((suffix) => isFolder(this.#path + suffix));
      if (!hopeless) throw fault;
      this.#replace(fault.message, wallMs);
    }
    return this.#store!;
  }

  #open(record: EpochRecord | "malformed" | undefined): void {
    // An empty file is a first start that was cut short, unless there was a store already.
    const origin = record === undefined ? { epoch: 1, boot: 0 } : undefined;
    const store = new Store(this.#storeOptions(this.#path), origin);
    try {
      const known = typeof record === "object" ? record : { epoch: 0, boot: 0 };
      if (store.epoch < known.epoch) {
        throw new StoreFault(
          "corrupt",
          `the file is of epoch ${store.epoch}, but ${known.epoch} had begun: an old copy`,
        );
      }
      this.#start(store, Math.max(store.boot, known.boot));
    } catch (error) {
      store[Symbol.dispose]();
      throw error;
    }
  }

  /** Counts this start if it was not counted yet, and takes the store into use. */
  #start(store: Store, lastBoot: number): void {
    if (this.#boot === 0) this.#boot = lastBoot + 1;
    store.setBoot(this.#boot);
    writeEpochFile(this.#epochPath, { epoch: store.epoch, boot: this.#boot });
    this.#store = store;
  }

  /**
   * Builds the next epoch's store beside the old one, with what can be saved of that, then changes
   * places. Cut short at any point, the next start does it again or finds it done.
   */
  #replace(reason: string, wallMs: number): void {
    const record = readEpochFile(this.#epochPath);
    const saved = this.#salvage();
    const epochs = [
      saved.epoch,
      typeof record === "object" ? record.epoch : 0,
      // Whatever epoch there was, it was less than the time in seconds.
      record === "malformed" && saved.epoch === 0 ? Math.floor(wallMs / 1000) : 0,
    ];
    const boot = Math.max(typeof record === "object" ? record.boot : 0, saved.boot, this.#boot);
    const file = this.#nameToSetAside(wallMs);
    this.#removeStore(this.#newPath);
    {
      using store = new Store(this.#storeOptions(this.#newPath), {
        epoch: Math.max(...epochs) + 1,
        boot,
      });
      this.#reappend(store, saved.salvage);
      const detail = `${reason}; ${saved.salvage.summary}`.slice(0, DETAIL_CHARS_MAX);
      store.notice({ kind: "journal.replaced", file, detail });
    }
    // Closing removes the WAL by its name, so it must be over before the new one has that name.
    this[Symbol.dispose]();
    this.#setAside(file);
    this.#takeNew();
    const store = new Store(this.#storeOptions(this.#path), undefined);
    try {
      this.#start(store, boot);
    } catch (error) {
      store[Symbol.dispose]();
      throw error;
    }
  }

  #salvage(): { salvage: Salvage; epoch: number; boot: number } {
    if (this.#store !== undefined) {
      return { salvage: this.#store.salvage(), epoch: this.#store.epoch, boot: this.#boot };
    }
    const nothing = { salvage: NOTHING_SALVAGED, epoch: 0, boot: 0 };
    if (!exists(this.#path)) return nothing;
    try {
      using db = new DatabaseSync(this.#path, { timeout: 1000 });
      const meta = (name: string) => {
        try {
          const value = db.prepare("SELECT value FROM meta WHERE name=?").get(name)?.value;
          return Number.isSafeInteger(value) ? value as number : 0;
        } catch {
          return 0;
        }
      };
      return { salvage: salvage(db, undefined), epoch: meta("epoch"), boot: meta("boot") };
    } catch {
      return nothing;
    }
  }

  #reappend(store: Store, { events, seen }: Salvage): void {
    for (const [lane, list] of events) {
      for (let at = 0; at < list.length; at += SALVAGE_COMMIT_EVENTS) {
        const part = list.slice(at, at + SALVAGE_COMMIT_EVENTS);
        const writer = new BlockWriter();
        part.forEach((event, place) => writer.add(event, place));
        const block = { lane: lane as Lane, count: part.length, offset: 0, length: writer.used };
        store.commit([block], writer.bytes(), []);
      }
    }
    store.addSeen(seen);
  }

  /** A name for the file that is there; empty when there is none. */
  #nameToSetAside(wallMs: number): string {
    if (!COMPANIONS.some((suffix) => exists(this.#path + suffix))) return "";
    let stamp = Math.max(0, Math.floor(wallMs));
    while (exists(join(this.#options.dataDir, `journal-${stamp}.corrupt`))) stamp++;
    return `journal-${stamp}.corrupt`;
  }

  /** Renames the file and its companions, and removes the oldest of those set aside before. */
  #setAside(name: string): void {
    const { dataDir } = this.#options;
    for (const suffix of COMPANIONS) {
      if (name === "" || !exists(this.#path + suffix)) continue;
      Deno.renameSync(this.#path + suffix, join(dataDir, name + suffix));
    }
    const names = [...Deno.readDirSync(dataDir)].map((entry) => SET_ASIDE.exec(entry.name));
    const old = names.filter((match) => match !== null)
      .sort((a, b) => Number(b[1]) - Number(a[1])).slice(SET_ASIDE_MAX);
    for (const [oldName] of old) this.#removeStore(join(dataDir, oldName));
    syncFolder(dataDir);
  }

  /** Gives the new store its name. It was closed, so it is one file. */
  #takeNew(): void {
    // Companions without their file are of a store that was deleted, and not of this one.
    this.#removeStore(this.#path);
    Deno.renameSync(this.#newPath, this.#path);
    syncFolder(this.#options.dataDir);
  }

  #removeStore(path: string): void {
    for (const suffix of COMPANIONS) {
      if (exists(path + suffix)) Deno.removeSync(path + suffix, { recursive: true });
    }
  }

  #storeOptions(path: string): { path: string; quotas: LaneQuotas; storeBytesMax: number } {
    const { quotas, storeBytesMax } = this.#options;
    return { path, quotas, storeBytesMax };
  }
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
