import { dirname, join } from "node:path";
import { type Clock, syncFolder } from "../../hal/mod.ts";
import { type BackEnd, UpdateFault } from "../agent/back_end.ts";
import type { Wanted } from "../agent/machine.ts";
import { releaseOf, withFaults } from "../agent/release.ts";
import { download } from "../fetch/mod.ts";
import { parseConfigRelease } from "../manifest/mod.ts";
import type { RepositorySource, UpdateTrust } from "../trust/mod.ts";
import { findInBundle } from "./bundle.ts";
import { configHash, notePaths, readNote, writeNote } from "./note.ts";

/** What a box says of the configuration that it runs with. */
export interface RunningConfig {
  /** The bundle that it is from; empty for the box's own file. */
  readonly bundle: string;
  /** Why the one on trial is not taken. */
  readonly fault?: string;
}

/** What the back end of configurations is made of. */
export interface ConfigBackEndOptions {
  /** The updater's folder. */
  readonly updates: string;
  /** The box's own box.yaml. */
  readonly config: string;
  readonly boxId: string;
  readonly trust: UpdateTrust;
  readonly source: RepositorySource;
  readonly clock: Clock;
  /** Asks for a new start of the box. */
  readonly restart: () => Promise<void>;
  /** Has the updater start anew, and nothing else. */
  readonly leave: () => Promise<void>;
  readonly bytesPerSecondMax?: number;
}

/** Some thousand boxes at some kilobytes. */
const BUNDLE_BYTES_MAX = 64 << 20;
const LOOK_EVERY_MS = 1_000;
/** A box is back within seconds; a slow card and a secure channel need longer. */
const TAKEN_MS_MAX = 180_000;

/**
 * Gives a box another configuration: the next start reads it instead of its own box.yaml, until it is
 * confirmed for good or taken away. One that has faults is not taken by the box, which says so.
 */
export class ConfigBackEnd implements BackEnd {
  readonly #options: ConfigBackEndOptions;
  readonly #dir: string;
  readonly #paths: ReturnType<typeof notePaths>;
  /** What is on trial stays; the note lies there until the next start, which may have to confirm it again. */
  #over = false;

  /** Makes one; nothing is done yet. */
  constructor(options: ConfigBackEndOptions) {
    this.#options = options;
    this.#paths = notePaths(options.updates);
    this.#dir = dirname(this.#paths.trial);
    Deno.mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
  }

  /** The one on trial. One that stays may have been changed at the box since. */
  running(): string | undefined {
    return this.#over ? undefined : readNote(this.#paths.trial)?.sha256;
  }

  /** Nothing is given up before it was begun. */
  gaveUpOn(): undefined {
    return undefined;
  }

  /** Brings the bundle. */
  async fetch(wanted: Wanted, signal: AbortSignal): Promise<void> {
    const { trust, source, clock, bytesPerSecondMax } = this.#options;
    await withFaults(async () => {
      const { target } = await trust.look(
        signal,
        (view) => releaseOf(view, wanted, parseConfigRelease),
      );
      if (target.lengthBytes > BUNDLE_BYTES_MAX) {
        throw new UpdateFault("refused", `${target.path} is larger than any bundle`, true);
      }
      const limit = bytesPerSecondMax === undefined ? {} : { bytesPerSecondMax };
      await download(target, { source, clock, file: this.#bundle(wanted), ...limit }, signal);
    }, signal);
  }

  /** Looks this box up in it. */
  async stage(wanted: Wanted, signal: AbortSignal): Promise<void> {
    const { boxId, config } = this.#options;
    await withFaults(async () => {
      using file = await Deno.open(this.#bundle(wanted));
      const yaml = await findInBundle(file.readable, boxId).catch((cause) => {
        const why = `${wanted.path} is no bundle of configurations: ${(cause as Error).message}`;
        throw new UpdateFault("refused", why, true, { cause });
      });
      const base = configHash(await Deno.readTextFile(config));
      const { sha256 } = wanted;
      writeNote(this.#staged(wanted), { sha256, base, ...yaml === undefined ? {} : { yaml } });
    }, signal);
  }

  /** Puts it on trial, and has the box start anew if there is anything for it. */
  async switch(wanted: Wanted): Promise<void> {
    const note = readNote(this.#staged(wanted));
    if (note?.sha256 !== wanted.sha256) {
      throw new UpdateFault("spoilt", "the staged configuration is gone", true);
    }
    writeNote(this.#paths.trial, note);
    try {
      await (note.yaml === undefined ? this.#options.leave() : this.#options.restart());
    } catch (cause) {
      this.#remove(this.#paths.trial);
      const why = `the box cannot be restarted: ${(cause as Error).message}`;
      throw new UpdateFault("internal", why, true, { cause });
    }
  }

  /** Whether there is anything for this box in what is on trial. */
  concerns(): boolean {
    return readNote(this.#paths.trial)?.yaml !== undefined;
  }

  /** Resolves with `undefined` when the box runs with it, else with why it does not. */
  async taken(
    running: (signal: AbortSignal) => Promise<RunningConfig | undefined>,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + TAKEN_MS_MAX;
    const wanted = this.running();
    for (;;) {
      const now = await running(signal);
      signal.throwIfAborted();
      if (now?.fault !== undefined) return now.fault;
      if (now !== undefined && now.bundle === wanted) return undefined;
      if (clock.monotonicMs() >= endMs) {
        return now === undefined
          ? "the box does not answer with it"
          : "the box does not take it: its own box.yaml was changed meanwhile";
      }
      await clock.sleep(LOOK_EVERY_MS, signal);
    }
  }

  /**
   * It stays; where the bundle has nothing for this box, what it had stays. A cut before this is noted must
   * find what ran, and not a failure.
   */
  confirm(): Promise<void> {
    const { trial, good } = this.#paths;
    const note = readNote(trial);
    if (note?.yaml !== undefined) writeNote(good, note);
    this.#over = true;
    return Promise.resolve();
  }

  /** Takes it away, and has the box start without it. */
  async revert(): Promise<void> {
    const { restart, leave } = this.#options;
    const concerned = this.concerns();
    this.#remove(this.#paths.trial);
    await (concerned ? restart() : leave());
  }

  /** Leaves what stays, and nothing else. */
  clean(): Promise<void> {
    for (const { name } of [...Deno.readDirSync(this.#dir)]) {
      const path = join(this.#dir, name);
      if (path !== this.#paths.good) this.#remove(path);
    }
    return Promise.resolve();
  }

  #bundle({ sha256 }: Wanted): string {
    return join(this.#dir, `${sha256}.jsonl`);
  }

  #staged({ sha256 }: Wanted): string {
    return join(this.#dir, `${sha256}.json`);
  }

  #remove(path: string): void {
    try {
      Deno.removeSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    syncFolder(this.#dir);
  }
}
