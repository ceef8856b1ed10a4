import { dirname, join } from "node:path";
import { type Clock, syncFolder } from "../../hal/mod.ts";
import { type BackEnd, UpdateFault } from "../agent/back_end.ts";
import type { Wanted } from "../agent/machine.ts";
import { releaseOf, withFaults } from "../agent/release.ts";
import { download } from "../fetch/mod.ts";
import type { RepositorySource, UpdateTrust } from "../trust/mod.ts";
import { notePaths, readNote, type StandInKind, type StandInNote, writeNote } from "./note.ts";

/** What a box says of the text that it runs with. */
export interface Running {
  /** The bundle that it is from; empty for the box's own. */
  readonly bundle: string;
  /** Why the one on trial is not taken. */
  readonly fault?: string;
}

/** What a {@link StandInBackEnd} shares with all payloads. */
export interface StandInParts {
  /** The updater's folder. */
  readonly updates: string;
  readonly trust: UpdateTrust;
  readonly source: RepositorySource;
  readonly clock: Clock;
  /** Has the updater start anew, and nothing else. */
  readonly leave: () => Promise<void>;
  readonly bytesPerSecondMax?: number;
}

/** What is of one kind alone. */
export interface StandInOptions extends StandInParts {
  readonly kind: StandInKind;
  readonly bundleBytesMax: number;
  /** Checks what the publisher says of it. @throws when this box may not have it. */
  readonly check: (custom: unknown, path: string) => void;
  /** What the bundle at `file` has for this box, and what that stands in for. @throws {@link UpdateFault} */
  readonly read: (file: string, signal: AbortSignal) => Promise<Omit<StandInNote, "sha256">>;
  /** Has the box take what lies there now, and the updater start anew. */
  readonly adopt: () => Promise<void>;
  /** Why a box may go on with its own: that was changed. */
  readonly changed: string;
}

const LOOK_EVERY_MS = 1_000;
/** A box is back within seconds; a slow card and a secure channel need longer. */
const TAKEN_MS_MAX = 180_000;

/**
 * Gives a box another text, which it uses instead of its own until that is changed: on trial first, then
 * confirmed for good or taken away. One that has faults is not taken by the box, which says so.
 */
export class StandInBackEnd implements BackEnd {
  readonly #options: StandInOptions;
  readonly #dir: string;
  readonly #paths: ReturnType<typeof notePaths>;
  /** What is on trial stays; the note lies there until the next start, which may have to confirm it again. */
  #over = false;

  /** Makes one; nothing is done yet. */
  constructor(options: StandInOptions) {
    this.#options = options;
    this.#paths = notePaths(options.updates, options.kind);
    this.#dir = dirname(this.#paths.trial);
    Deno.mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
  }

  /** The one on trial. One that stays may have been replaced at the box since. */
  running(): string | undefined {
    return this.#over ? undefined : readNote(this.#paths.trial)?.sha256;
  }

  /** Nothing is given up before it was begun. */
  gaveUpOn(): undefined {
    return undefined;
  }

  /** Brings the bundle. */
  async fetch(wanted: Wanted, signal: AbortSignal): Promise<void> {
    const { trust, source, clock, bundleBytesMax, bytesPerSecondMax, check } = this.#options;
    await withFaults(async () => {
      const { target } = await trust.look(
        signal,
        (view) => releaseOf(view, wanted, (custom) => check(custom, wanted.path)),
      );
      if (target.lengthBytes > bundleBytesMax) {
        throw new UpdateFault("refused", `${target.path} is larger than any bundle`, true);
      }
      const limit = bytesPerSecondMax === undefined ? {} : { bytesPerSecondMax };
      await download(target, { source, clock, file: this.#bundle(wanted), ...limit }, signal);
    }, signal);
  }

  /** Looks into it. */
  async stage(wanted: Wanted, signal: AbortSignal): Promise<void> {
    await withFaults(async () => {
      const found = await this.#options.read(this.#bundle(wanted), signal);
      writeNote(this.#staged(wanted), { sha256: wanted.sha256, ...found });
    }, signal);
  }

  /** Puts it on trial, and has the box take it if there is anything for it. */
  async switch(wanted: Wanted): Promise<void> {
    const note = readNote(this.#staged(wanted));
    if (note?.sha256 !== wanted.sha256) {
      throw new UpdateFault("spoilt", `what was staged of ${wanted.path} is gone`, true);
    }
    writeNote(this.#paths.trial, note);
    try {
      await this.#move(note);
    } catch (cause) {
      this.#remove(this.#paths.trial);
      const why = `the box cannot be restarted: ${(cause as Error).message}`;
      throw new UpdateFault("internal", why, true, { cause });
    }
  }

  /** Whether there is anything for this box in what is on trial. */
  concerns(): boolean {
    return readNote(this.#paths.trial)?.text !== undefined;
  }

  /** Resolves with `undefined` when the box runs with it, else with why it does not. */
  async taken(
    running: (signal: AbortSignal) => Promise<Running | undefined>,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { clock, changed } = this.#options;
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
          : `the box does not take it: ${changed} meanwhile`;
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
    if (note?.text !== undefined) writeNote(good, note);
    this.#over = true;
    return Promise.resolve();
  }

  /** Takes it away, and has the box go on without it. */
  async revert(): Promise<void> {
    const note = readNote(this.#paths.trial);
    this.#remove(this.#paths.trial);
    await this.#move(note);
  }

  /** Leaves what stays, and nothing else. */
  clean(): Promise<void> {
    for (const { name } of [...Deno.readDirSync(this.#dir)]) {
      const path = join(this.#dir, name);
      if (path !== this.#paths.good) this.#remove(path);
    }
    return Promise.resolve();
  }

  async #move(note: StandInNote | undefined): Promise<void> {
    const { adopt, leave } = this.#options;
    await (note?.text === undefined ? leave() : adopt());
  }

  #bundle({ sha256 }: Wanted): string {
    return join(this.#dir, `${sha256}.bundle`);
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
