import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Clock, syncFolder } from "../../hal/mod.ts";
import { type BackEnd, UpdateFault } from "../agent/back_end.ts";
import type { Wanted } from "../agent/machine.ts";
import { releaseOf, withFaults } from "../agent/release.ts";
import { download } from "../fetch/mod.ts";
import { type AppRelease, parseAppRelease } from "../manifest/mod.ts";
import type { RepositorySource, TrustedTarget, UpdateTrust } from "../trust/mod.ts";
import type { Neighbours } from "../neighbours/mod.ts";
import type { AppSlots } from "./slots.ts";
import type { Tools } from "./tools.ts";

/** What the application's back end is made of. */
export interface AppBackEndOptions {
  /** Folder for what is fetched. */
  readonly dir: string;
  readonly slots: AppSlots;
  /** The slot that runs, as the starter named it. */
  readonly running: string | undefined;
  readonly arch: "x64" | "arm64";
  readonly trust: UpdateTrust;
  readonly source: RepositorySource;
  readonly clock: Clock;
  readonly tools: Tools;
  /** Asks for a new start of the box. */
  readonly restart: () => Promise<void>;
  readonly bytesPerSecondMax?: number;
  /** Who may have a file nearer than the source. */
  readonly neighbours?: Neighbours;
}

/** Bytes left free on the disk beside what an update needs: the journal goes on meanwhile. */
const FREE_BYTES_MIN = 64 << 20;

/**
 * Installs the application: fetches the release, or the delta from a tar that is here, checks the
 * *result's* hash, and unpacks it beside what runs. Slots are named by the release's target.
 */
export class AppBackEnd implements BackEnd {
  readonly #options: AppBackEndOptions;

  /** Makes one; nothing is done yet. */
  constructor(options: AppBackEndOptions) {
    this.#options = options;
    Deno.mkdirSync(options.dir, { recursive: true, mode: 0o700 });
  }

  /** The slot that the starter named. */
  running(): string | undefined {
    return this.#options.running;
  }

  /** What the starter has noted. */
  gaveUpOn(): string | undefined {
    return this.#options.slots.gaveUpOn();
  }

  /** Brings the release's tar: by a delta from one that is here, else whole. */
  async fetch(wanted: Wanted, signal: AbortSignal): Promise<void> {
    const { slots, trust, dir, tools, arch } = this.#options;
    if (slots.has(wanted.sha256)) return;
    await withFaults(() =>
      trust.look(signal, async (view) => {
        const { target, release } = await releaseOf(view, wanted, parseAppRelease);
        if (release.arch !== "any" && release.arch !== arch) {
          const why = `${target.path} is for ${release.arch}, not ${arch}`;
          throw new UpdateFault("refused", why, true);
        }
        await this.#mustFit(release.tar.bytes * 2 + target.lengthBytes);
        const tar = this.#tar(wanted.sha256);
        if (await hashOf(tar) === release.tar.sha256) return;
        const from = await this.#delta(release, view.target, signal);
        if (from !== undefined) {
          await tools.patch(from.base, from.delta, `${tar}.new`, release.tar.bytes, signal);
        } else {
          const packed = join(dir, `${wanted.sha256}.zst`);
          await this.#download(target, packed, signal);
          await tools.unzstd(packed, `${tar}.new`, release.tar.bytes, signal);
          await Deno.remove(packed);
        }
        if (await hashOf(`${tar}.new`) !== release.tar.sha256) {
          await Deno.remove(`${tar}.new`).catch(() => {});
          throw new UpdateFault("spoilt", `${wanted.path}: what came out is another tar`, false);
        }
        await this.#makeDurable(`${tar}.new`, tar);
      }), signal);
  }

  /** Unpacks the tar into a slot; only a slot that is whole and durable has its name. */
  async stage(wanted: Wanted, signal: AbortSignal): Promise<void> {
    const { slots, tools } = this.#options;
    if (slots.has(wanted.sha256)) return;
    await withFaults(async () => {
      const folder = slots.folder(wanted.sha256);
      const part = `${folder}.part`;
      await Deno.remove(part, { recursive: true }).catch(() => {});
      await Deno.mkdir(part, { recursive: true });
      await tools.untar(this.#tar(wanted.sha256), part, signal);
      await tools.syncDisk(part, signal);
      await Deno.rename(part, folder);
      syncFolder(join(folder, ".."));
    }, signal);
  }

  /** Puts the slot on trial and asks for a start. */
  async switch(wanted: Wanted): Promise<void> {
    const { slots, restart } = this.#options;
    if (!slots.has(wanted.sha256)) {
      throw new UpdateFault("spoilt", "the staged release is gone", true);
    }
    slots.forgetGivenUp();
    slots.try(wanted.sha256);
    try {
      await restart();
    } catch (cause) {
      // Left on trial it would be switched to at some start that nobody has chosen.
      slots.revert();
      const why = `the box cannot be restarted: ${(cause as Error).message}`;
      throw new UpdateFault("internal", why, true, { cause });
    }
  }

  /** Makes the slot the good one, and throws the others away. */
  confirm(wanted: Wanted): Promise<void> {
    const { slots } = this.#options;
    slots.confirm(wanted.sha256);
    return this.clean();
  }

  /** Ends the trial and asks for a start. */
  async revert(): Promise<void> {
    this.#options.slots.revert();
    await this.#options.restart();
  }

  /** Keeps what runs, what is good, and the tars of both: the next delta starts from one of them. */
  clean(): Promise<void> {
    const { slots, dir, running } = this.#options;
    slots.forgetGivenUp();
    const keep = running === undefined ? [] : [running];
    slots.sweep(keep);
    const kept = [slots.good(), slots.trial(), ...keep];
    for (const { name } of [...Deno.readDirSync(dir)]) {
      if (!kept.some((id) => id !== undefined && name === `${id}.tar`)) {
        Deno.removeSync(join(dir, name), { recursive: true });
      }
    }
    return Promise.resolve();
  }

  #tar(id: string): string {
    return join(this.#options.dir, `${id}.tar`);
  }

  /** What has its name was verified: staging relies on it, so a cut must not leave a part of it. */
  async #makeDurable(file: string, name: string): Promise<void> {
    using written = await Deno.open(file);
    await written.sync();
    await Deno.rename(file, name);
    syncFolder(this.#options.dir);
  }

  /** The delta from a tar that is here, if the release has one; without it, the whole is fetched. */
  async #delta(
    release: AppRelease,
    lookUp: (path: string) => Promise<TrustedTarget | undefined>,
    signal: AbortSignal,
  ): Promise<{ readonly base: string; readonly delta: string } | undefined> {
    const { dir } = this.#options;
    for (const { name } of [...Deno.readDirSync(dir)].filter(({ name }) => name.endsWith(".tar"))) {
      const base = join(dir, name);
      const sha256 = await hashOf(base);
      const delta = release.deltas.find((one) => one.fromSha256 === sha256);
      const target = delta && await lookUp(delta.path);
      if (target === undefined) continue;
      const file = join(dir, `${target.sha256}.delta`);
      await this.#download(target, file, signal);
      return { base, delta: file };
    }
    return undefined;
  }

  async #download(target: TrustedTarget, file: string, signal: AbortSignal): Promise<void> {
    const { source, clock, bytesPerSecondMax, neighbours } = this.#options;
    const limit = bytesPerSecondMax === undefined ? {} : { bytesPerSecondMax };
    const fetch = () => download(target, { source, clock, file, ...limit }, signal);
    await (neighbours?.bring(target, file, fetch, signal) ?? fetch());
  }

  async #mustFit(bytes: number): Promise<void> {
    const free = await this.#options.tools.freeBytes(this.#options.dir);
    if (free >= bytes + FREE_BYTES_MIN) return;
    const mb = (count: number) => Math.ceil(count / 1e6);
    throw new UpdateFault(
      "no-space",
      `the update needs ${mb(bytes + FREE_BYTES_MIN)} MB and the disk has ${mb(free)} MB left`,
      false,
    );
  }
}

async function hashOf(path: string): Promise<string | undefined> {
  try {
    using file = await Deno.open(path);
    const hash = createHash("sha256");
    for await (const chunk of file.readable) hash.update(chunk);
    return hash.digest("hex");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
