import { statfsSync } from "node:fs";
import { join } from "node:path";
import type { Cancel, Clock } from "../../hal/mod.ts";

/** Journal and policy cannot be opened on a disk without room; with this much a box works for days. */
const RESERVE_BYTES = 8 << 20;
/** The reserve is given up below this. */
const LOW_BYTES = 2 << 20;
/** It is only made where it leaves this much. */
const ROOM_BYTES = 16 << 20;
const CHECK_MS = 5_000;
const FILE = "reserve";
const CHUNK_BYTES = 256 << 10;

/** Gives up what was kept back in `dataDir`; false when there is nothing. */
export function giveUpReserve(dataDir: string): boolean {
  try {
    Deno.removeSync(join(dataDir, FILE));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Keeps room on the disk for the day on which something has filled it: whatever that was, the door
 * must go on deciding and its events must be stored.
 */
export class DiskReserve implements Disposable {
  readonly #dir: string;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #report: (message: string) => void;
  readonly #stop = new AbortController();
  #cancel: Cancel = () => {};

  /** Gives up what is kept in `dir` at once if there is no room, then looks after it. */
  constructor(dir: string, clock: Clock, report: (message: string) => void) {
    this.#dir = dir;
    this.#path = join(dir, FILE);
    this.#clock = clock;
    this.#report = report;
    this.check();
    this.#again();
  }

  /** Gives the reserve up if there is no room. */
  check(): void {
    if (this.#freeBytes() >= LOW_BYTES || !giveUpReserve(this.#dir)) return;
    this.#report(`${this.#dir}: the disk is full, its reserve is used now; make room`);
  }

  /** Leaves it where it is. */
  [Symbol.dispose](): void {
    this.#stop.abort();
    this.#cancel();
  }

  #again(): void {
    this.#cancel = this.#clock.schedule(CHECK_MS, () => {
      this.#look().catch((error) => this.#report(`${this.#path}: ${error.message}`)).finally(() => {
        if (!this.#stop.signal.aborted) this.#again();
      });
    });
  }

  async #look(): Promise<void> {
    this.check();
    if (this.#freeBytes() < RESERVE_BYTES + ROOM_BYTES) return;
    try {
      if ((await Deno.stat(this.#path)).size === RESERVE_BYTES) return;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    // Written, for a hole has no room in it; in pieces, for a card is slow and the journal waits.
    using file = await Deno.open(this.#path, { write: true, create: true, truncate: true });
    for (let at = 0; at < RESERVE_BYTES && !this.#stop.signal.aborted;) {
      at += await file.write(new Uint8Array(CHUNK_BYTES));
    }
    await file.syncData();
  }

  #freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#dir);
    return bavail * bsize;
  }
}
