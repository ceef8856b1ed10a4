import { join } from "node:path";
import type { TargetFile } from "@tufjs/models";
import type { UpdateState, Wanted } from "../../ota/agent/mod.ts";
import { AppSlots, packBundle, packDelta } from "../../ota/app/mod.ts";
import type { AppDelta, AppRelease } from "../../ota/manifest/mod.ts";
import { Publisher } from "../../ota/testing/mod.ts";
import { ROOT } from "../../demo/program.ts";

/** What a test tells its box. */
export interface ChildOptions {
  readonly nowMs: number;
  readonly wanted?: Wanted;
  /** Versions that end at once. */
  readonly crashing: readonly string[];
  /** Versions whose health gate fails. */
  readonly unhealthy: readonly string[];
  /** The state in which it dies, once. */
  readonly dieIn?: UpdateState["at"];
  readonly endAtReport: boolean;
  readonly bytesPerSecondMax?: number;
  /** Leaves out that a release is made durable before it is tried: what must not be. */
  readonly unsynced?: boolean;
}

/** Starts that any test here needs at most; more is a loop. */
const STARTS_MAX = 40;

/** A publisher, and a box that is started again whenever it ends, as systemd would. */
export class UpdateRig implements AsyncDisposable {
  readonly folder: string;
  readonly publisher: Publisher;
  readonly nowMs: number;

  private constructor(folder: string, publisher: Publisher, nowMs: number) {
    this.folder = folder;
    this.publisher = publisher;
    this.nowMs = nowMs;
  }

  /** Lays out a repository and a box with version 0.1.0 built in. */
  static async make(): Promise<UpdateRig> {
    const folder = await Deno.makeTempDir({ prefix: "gatehouse-ota-" });
    const nowMs = Date.now();
    const publisher = await Publisher.begin(join(folder, "repository"), nowMs);
    const rig = new UpdateRig(folder, publisher, nowMs);
    await Deno.writeFile(join(folder, "root.json"), publisher.rootBytes());
    await rig.#program(join(folder, "built-in"), "0.1.0");
    return rig;
  }

  /** Publishes a version with `ballast` in it, with deltas from `earlier` ones. */
  async release(version: string, ballast: Uint8Array, earlier: readonly string[] = []) {
    const files = join(this.folder, "releases", version, "files");
    await this.#program(files, version);
    await Deno.writeFile(join(files, "ballast"), ballast);
    const out = join(this.folder, "releases", version);
    const bundle = await packBundle(files, out);
    const deltas: AppDelta[] = [];
    const targets: TargetFile[] = [];
    const { repository } = this.publisher;
    for (const from of earlier) {
      const base = join(this.folder, "releases", from, "app.tar");
      const delta = join(out, `from-${from}`);
      await packDelta(base, bundle.tar, delta);
      const path = `app/${version}/from-${from}.zst`;
      targets.push(await repository.addFile(path, (await Deno.open(delta)).readable));
      deltas.push({ fromSha256: await sha256(base), path });
    }
    const release: AppRelease = {
      schema: 1,
      kind: "app",
      version,
      arch: "any",
      releasedMs: this.nowMs,
      tar: { bytes: bundle.tarBytes, sha256: bundle.tarSha256 },
      deltas,
    };
    const path = `app/${version}/gatehouse.tar.zst`;
    const packed = (await Deno.open(bundle.packed)).readable;
    const target = await repository.addFile(path, packed, { ...release });
    targets.push(target);
    await this.publisher.signApp(this.publisher.app.slice(0, 2), targets);
    await this.publisher.publish();
    const wanted: Wanted = { version, path, sha256: target.hashes.sha256!, action: version };
    return { wanted, packedBytes: target.length, targets };
  }

  /** The box's slots, as the starter sees them. */
  slots(): AppSlots {
    return new AppSlots(join(this.folder, "box/app"));
  }

  /** Tells the box, from its next start on. */
  async tell(options: Partial<ChildOptions>): Promise<void> {
    const all: ChildOptions = {
      nowMs: this.nowMs,
      crashing: [],
      unhealthy: [],
      endAtReport: true,
      ...options,
    };
    await Deno.writeTextFile(join(this.folder, "child.json"), JSON.stringify(all));
  }

  /** Starts the box once. */
  spawn(): Deno.ChildProcess {
    Deno.mkdirSync(join(this.folder, "box/app"), { recursive: true });
    return new Deno.Command(join(ROOT, "ota/app/start"), {
      args: [join(this.folder, "box/app"), join(this.folder, "built-in"), this.folder],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  /** Starts the box until it says that it is at its end; returns every word that it said. */
  async run(): Promise<string[]> {
    const said: string[] = [];
    for (let starts = 0; starts < STARTS_MAX; starts++) {
      const { stdout, stderr } = await this.spawn().output();
      const words = new TextDecoder().decode(stdout).trim().split("\n");
      said.push(...words);
      if (words.at(-1) === "end") return said;
      const wrong = new TextDecoder().decode(stderr);
      if (/Uncaught|error:/.test(wrong)) throw new Error(`${said.join("\n")}\n${wrong}`);
    }
    throw new Error(`not at an end after ${STARTS_MAX} starts:\n${said.join("\n")}`);
  }

  async #program(folder: string, version: string): Promise<void> {
    await Deno.mkdir(folder, { recursive: true });
    const child = join(ROOT, "tests/ota/box_child.ts");
    const deno = `"${Deno.execPath()}" run -A --quiet --no-check --cached-only`;
    await Deno.writeTextFile(
      join(folder, "gatehouse"),
      `#!/bin/sh\nexec ${deno} --config "${ROOT}/deno.json" "${child}" ${version} "$1"\n`,
      { mode: 0o755 },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

async function sha256(path: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
  return new Uint8Array(hash).toHex();
}
