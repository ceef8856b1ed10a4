import { join } from "node:path";
import * as v from "valibot";
import { type Clock, writeFileDurably } from "../../hal/mod.ts";
import { type BackEnd, UpdateFault } from "../agent/back_end.ts";
import type { Wanted } from "../agent/machine.ts";
import { releaseOf, withFaults } from "../agent/release.ts";
import { parseImageRelease } from "../manifest/mod.ts";
import type { RepositorySource, UpdateTrust } from "../trust/mod.ts";
import { serveBundle, type ServedBundle } from "./bundle_server.ts";
import type { SlotName, SystemRauc, SystemStatus } from "./rauc.ts";

/** What the system's back end is made of. */
export interface ImageBackEndOptions {
  /** Folder for what it remembers of the slots. */
  readonly dir: string;
  readonly rauc: SystemRauc;
  /** As RAUC said when the program began: what runs does not change while it runs. */
  readonly status: SystemStatus;
  readonly trust: UpdateTrust;
  readonly source: RepositorySource;
  readonly clock: Clock;
  /** Asks for a new start of the machine. */
  readonly reboot: () => Promise<void>;
  readonly bytesPerSecondMax?: number;
  /** Told how much an installation took over the line, of how much. */
  readonly onInstalled?: (takenBytes: number, bundleBytes: number) => void;
}

/** Starts that a system gets: one that was unlucky with the power gets another. */
export const TRIES_MAX = 2;

const id = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const NotesSchema = v.strictObject({
  /** The target that each slot holds as a whole. */
  A: v.exactOptional(id),
  B: v.exactOptional(id),
  /** Starts that were asked for of a system that has not come up yet. */
  tried: v.exactOptional(
    v.strictObject({ sha256: id, times: v.pipe(v.number(), v.integer(), v.minValue(1)) }),
  ),
});
type Notes = v.InferOutput<typeof NotesSchema>;
const NOTES_BYTES_MAX = 1_024;

/**
 * Installs the system: has RAUC write the slot that does not run, block by block, taking over the line
 * only the blocks that neither slot has; then has the boot loader try it once. It stays only when it
 * is confirmed: every other reset leads back.
 */
export class ImageBackEnd implements BackEnd {
  readonly #options: ImageBackEndOptions;
  readonly #file: string;
  readonly #runs: SlotName;
  readonly #idle: SlotName;
  #notes: Notes;

  /** Makes one; nothing is done yet. */
  constructor(options: ImageBackEndOptions) {
    this.#options = options;
    Deno.mkdirSync(options.dir, { recursive: true, mode: 0o700 });
    this.#file = join(options.dir, "slots.json");
    this.#runs = options.status.booted;
    this.#idle = this.#runs === "A" ? "B" : "A";
    this.#notes = readNotes(this.#file);
  }

  /** What was installed into the slot that runs; a card as it was flashed holds no target. */
  running(): string | undefined {
    return this.#notes[this.#runs];
  }

  /** What was tried as often as it may be and does not run. */
  gaveUpOn(): string | undefined {
    const { tried } = this.#notes;
    return tried !== undefined && tried.times >= TRIES_MAX && tried.sha256 !== this.running()
      ? tried.sha256
      : undefined;
  }

  /** Writes it into the slot that does not run, straight from the line: the card needs no room. */
  async fetch(wanted: Wanted, signal: AbortSignal): Promise<void> {
    if (this.#notes[this.#idle] === wanted.sha256) return;
    const { trust, source, clock, rauc, bytesPerSecondMax, onInstalled } = this.#options;
    await withFaults(async () => {
      const { target, release } = await trust.look(
        signal,
        (view) => releaseOf(view, wanted, parseImageRelease),
      );
      const { compatible } = this.#options.status;
      if (release.compatible !== compatible) {
        const why = `${target.path} is for ${release.compatible}, not ${compatible}`;
        throw new UpdateFault("refused", why, true);
      }
      const { booted, next } = await rauc.status();
      if (booted !== next) {
        throw new UpdateFault("internal", "a system is on trial; it has to end first", false);
      }
      this.#note({ [this.#idle]: undefined });
      const limit = bytesPerSecondMax === undefined ? {} : { bytesPerSecondMax };
      const { tail } = release;
      await using bundle = await serveBundle({ target, tail, source, clock, ...limit }, signal);
      await this.#install(bundle);
      signal.throwIfAborted();
      onInstalled?.(bundle.taken(), target.lengthBytes);
      this.#note({ [this.#idle]: wanted.sha256 });
    }, signal);
  }

  /** There is nothing more to do: RAUC has read again what it wrote, and put the kernel in place. */
  async stage(wanted: Wanted): Promise<void> {
    if (this.#notes[this.#idle] === wanted.sha256) return;
    await Promise.reject(new UpdateFault("spoilt", "the slot was written anew meanwhile", true));
  }

  /** Has the next start try it. Counted first: a start that is not counted could be the one that never ends. */
  async switch(wanted: Wanted): Promise<void> {
    const { rauc, reboot } = this.#options;
    if (this.#notes[this.#idle] !== wanted.sha256) {
      throw new UpdateFault("spoilt", "the staged system is gone", true);
    }
    const { tried } = this.#notes;
    const times = tried?.sha256 === wanted.sha256 ? tried.times + 1 : 1;
    this.#note({ tried: { sha256: wanted.sha256, times } });
    try {
      await rauc.activate("other");
      await reboot();
    } catch (cause) {
      // Left to be tried it would be started at some reset that nobody has chosen.
      await rauc.activate("booted").catch(() => {});
      const why = `the new system cannot be tried: ${(cause as Error).message}`;
      throw new UpdateFault("internal", why, true, { cause });
    }
  }

  /** Makes what runs the one that stays. The other slot keeps what stayed before. */
  async confirm(): Promise<void> {
    await this.#options.rauc.keep();
    this.#note({ tried: undefined });
  }

  /** A new start is all that it takes: what is not confirmed is not started again. */
  async revert(): Promise<void> {
    await this.#options.reboot();
  }

  /** Takes back that something was to be tried. What a slot holds stays: its blocks save the line. */
  async clean(): Promise<void> {
    if (this.#notes.tried === undefined) return;
    await this.#options.rauc.activate("booted").catch(() => {});
    this.#note({ tried: undefined });
  }

  async #install(bundle: ServedBundle): Promise<void> {
    try {
      await this.#options.rauc.install(bundle.url);
    } catch (error) {
      throw bundle.fault() ?? error;
    }
  }

  #note(change: { readonly [name in keyof Notes]?: Notes[name] | undefined }): void {
    const notes = { ...this.#notes, ...change };
    const text = JSON.stringify(notes);
    writeFileDurably(this.#file, text);
    this.#notes = v.parse(NotesSchema, JSON.parse(text));
  }
}

/** What is missing or spoilt is forgotten: the slot is written anew then. */
function readNotes(file: string): Notes {
  try {
    if (Deno.statSync(file).size > NOTES_BYTES_MAX) return {};
    return v.parse(NotesSchema, JSON.parse(Deno.readTextFileSync(file)));
  } catch {
    return {};
  }
}
