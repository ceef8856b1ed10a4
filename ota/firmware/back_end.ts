import { join } from "node:path";
import type { Clock } from "../../hal/mod.ts";
import { type BackEnd, UpdateFault } from "../agent/back_end.ts";
import type { Wanted } from "../agent/machine.ts";
import { releaseOf, withFaults } from "../agent/release.ts";
import { download } from "../fetch/mod.ts";
import { parseFirmwareRelease } from "../manifest/mod.ts";
import type { RepositorySource, UpdateTrust } from "../trust/mod.ts";
import { type FirmwareReport, readOrder, readReport, writeOrder } from "./order.ts";

/** What the back end of readers' firmware is made of. */
export interface FirmwareBackEndOptions {
  /** Folder for the file and the order, which the box reads. */
  readonly dir: string;
  /** Where the box says how far it is. */
  readonly report: string;
  readonly trust: UpdateTrust;
  readonly source: RepositorySource;
  readonly clock: Clock;
  /** Bytes that are free where `dir` is. */
  readonly freeBytes: () => Promise<number>;
  /** Has the updater start anew. */
  readonly leave: () => Promise<void>;
  readonly bytesPerSecondMax?: number;
}

/** OSDP's FILETRANSFER could carry more; no reader's firmware comes near. */
const FILE_BYTES_MAX = 64 << 20;
const FREE_BYTES_MIN = 64 << 20;
const LOOK_EVERY_MS = 1_000;
/** A reader may be away for ten minutes and at work for ten more; a box that says nothing for longer is stuck. */
const SILENT_MS_MAX = 25 * 60_000;

/**
 * Has the box give readers their firmware: what runs is the order that the box has. A reader cannot go
 * back by itself, so an order that fails is withdrawn: those that were not given the file keep theirs.
 */
export class FirmwareBackEnd implements BackEnd {
  readonly #options: FirmwareBackEndOptions;
  readonly #order: string;
  /** The order was carried out; it lies there until the next start, which may have to confirm it again. */
  #over = false;

  /** Makes one; nothing is done yet. */
  constructor(options: FirmwareBackEndOptions) {
    this.#options = options;
    Deno.mkdirSync(options.dir, { recursive: true, mode: 0o700 });
    this.#order = join(options.dir, "order.json");
  }

  /** The order that the box has. One that was carried out is none: readers are exchanged. */
  running(): string | undefined {
    return this.#over ? undefined : readOrder(this.#order)?.sha256;
  }

  /** Nothing is given up before it was begun. */
  gaveUpOn(): undefined {
    return undefined;
  }

  /** Brings the file. */
  async fetch(wanted: Wanted, signal: AbortSignal): Promise<void> {
    const { trust, source, clock, freeBytes, bytesPerSecondMax } = this.#options;
    await withFaults(async () => {
      const { target, release } = await trust.look(
        signal,
        (view) => releaseOf(view, wanted, parseFirmwareRelease),
      );
      if (target.lengthBytes > FILE_BYTES_MAX) {
        throw new UpdateFault("refused", `${target.path} is larger than any reader takes`, true);
      }
      const needs = target.lengthBytes + FREE_BYTES_MIN;
      const free = await freeBytes();
      if (free < needs) {
        const mb = (bytes: number) => Math.ceil(bytes / 1e6);
        const why = `it needs ${mb(needs)} MB and the disk has ${mb(free)} MB left`;
        throw new UpdateFault("no-space", why, false);
      }
      const limit = bytesPerSecondMax === undefined ? {} : { bytesPerSecondMax };
      await download(target, { source, clock, file: this.#file(wanted), ...limit }, signal);
      const { vendor, model, version, fileType } = release;
      const order = { vendor, model, version, fileType, sha256: wanted.sha256 };
      writeOrder(this.#staged(wanted), { ...order, file: this.#file(wanted) });
    }, signal);
  }

  /** There is nothing to unpack. */
  stage(): Promise<void> {
    return Promise.resolve();
  }

  /** Orders it. */
  async switch(wanted: Wanted): Promise<void> {
    const order = readOrder(this.#staged(wanted));
    if (order === undefined) throw new UpdateFault("spoilt", "the fetched firmware is gone", true);
    writeOrder(this.#order, order);
    await this.#options.leave();
  }

  /**
   * Resolves when the box has carried the order out: with `undefined` when every reader of the model has
   * the firmware, else with what is wrong.
   */
  async carriedOut(signal: AbortSignal): Promise<string | undefined> {
    const { clock, report } = this.#options;
    const sha256 = this.running();
    let last = "";
    let sinceMs = clock.monotonicMs();
    for (;;) {
      const said = readReport(report);
      if (said?.sha256 === sha256 && said?.over) return wrongOf(said);
      const text = JSON.stringify(said);
      if (text !== last) [last, sinceMs] = [text, clock.monotonicMs()];
      if (clock.monotonicMs() - sinceMs > SILENT_MS_MAX) {
        return "the box says nothing of its readers' firmware";
      }
      await clock.sleep(LOOK_EVERY_MS, signal);
    }
  }

  /** There is no more to do for the box. A cut before this is noted must find what ran, and not a failure. */
  confirm(): Promise<void> {
    this.#over = true;
    return Promise.resolve();
  }

  /** Withdraws the order; the updater's next start finds that it does not run. */
  async revert(): Promise<void> {
    await this.clean();
    await this.#options.leave();
  }

  /** The order first: a box never finds one whose file is gone. */
  clean(): Promise<void> {
    const { dir } = this.#options;
    for (const name of ["order.json", ...[...Deno.readDirSync(dir)].map((one) => one.name)]) {
      try {
        Deno.removeSync(join(dir, name));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    return Promise.resolve();
  }

  #file({ sha256 }: Wanted): string {
    return join(this.#options.dir, `${sha256}.bin`);
  }

  #staged({ sha256 }: Wanted): string {
    return join(this.#options.dir, `${sha256}.json`);
  }
}

function wrongOf({ readers, fault }: FirmwareReport): string | undefined {
  if (fault !== undefined) return fault;
  const failed = readers.filter(({ state }) => state === "failed")
    .map(({ reader, detail }) => `reader ${reader}: ${detail}`);
  return failed.length === 0 ? undefined : failed.join("; ");
}
