/**
 * A district, a publisher, and a box with its updater, each a real program under the real starter and
 * started again whenever it ends, as systemd would.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT, runProgram } from "../../demo/program.ts";
import { keyOfDistrict } from "../../district/district.ts";
import { TestDistrict } from "../../district/testing/district.ts";
import type { WindowView } from "../../district/api/types.ts";
import { UpdateDesk } from "../../district/testing/updates.ts";
import { AppSlots } from "../../ota/app/mod.ts";
import {
  addConfigRelease,
  addFirmwareRelease,
  addPolicyRelease,
  addRelease,
} from "../../ota/cli/release.ts";
import { publicKey } from "../../ota/repository/mod.ts";
import { Publisher } from "../../ota/testing/mod.ts";
import {
  type Bench,
  bench,
  clock,
  kinds,
  load,
  POLICY,
  until,
  ZHANG,
} from "../support/gate_bench.ts";

/** A release is its own program: shell, before the box begins. `$DATA` and `$ROOT` are set. */
export const SOUND = "";
/** An update is over within this, in ms. */
const OVER_MS = 60_000;

/** A program that is started again whenever it ends. */
class Kept implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly #args: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  readonly #running: Promise<void>;
  #child: Deno.ChildProcess | undefined;
  #stopped = false;
  starts = 0;
  /** Called with each line of its log. */
  onLine: ((line: string) => void) | undefined;

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#args = args;
    this.#env = env;
    this.#running = this.#run();
  }

  kill(signal: Deno.Signal): void {
    try {
      this.#child?.kill(signal);
    } catch {
      // It has just ended by itself.
    }
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.starts++;
      const child = new Deno.Command(join(ROOT, "ota/app/start"), {
        args: [...this.#args],
        env: { ...this.#env },
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn();
      this.#child = child;
      const reading = this.#read(child.stderr);
      await child.status;
      await reading;
      if (!this.#stopped) await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = text.split("\n").filter((line) => line !== "");
      for (const line of lines) this.onLine?.(line);
      this.lines.push(...lines);
      this.lines.splice(0, this.lines.length - 300);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.kill("SIGTERM");
    const killing = setTimeout(() => this.kill("SIGKILL"), 8_000);
    await this.#running;
    clearTimeout(killing);
  }
}

/** The whole of it. */
export class UpdateSite implements AsyncDisposable {
  readonly bench: Bench;
  readonly test: TestDistrict;
  readonly desk: UpdateDesk;
  readonly publisher: Publisher;
  readonly box: Kept;
  readonly updater: Kept;
  readonly url: string;
  readonly boxId: string;
  /** Slots' names by version. */
  readonly slots = new Map<string, string>();
  readonly #stack: AsyncDisposableStack;
  readonly #app: string;

  private constructor(parts: {
    bench: Bench;
    test: TestDistrict;
    publisher: Publisher;
    box: Kept;
    updater: Kept;
    url: string;
    boxId: string;
    app: string;
    stack: AsyncDisposableStack;
  }) {
    this.bench = parts.bench;
    this.test = parts.test;
    this.desk = new UpdateDesk(parts.test);
    this.publisher = parts.publisher;
    this.box = parts.box;
    this.updater = parts.updater;
    this.url = parts.url;
    this.boxId = parts.boxId;
    this.#app = parts.app;
    this.#stack = parts.stack;
  }

  /** A box that is enrolled, has a policy and runs what is built in; all that it has is in `folder`. */
  static async open(folder?: string): Promise<UpdateSite> {
    await using stack = new AsyncDisposableStack();
    const test = stack.use(await TestDistrict.open(clock, { updatePollS: 1 }));
    const site = stack.use(await bench(undefined, folder));
    const key = keyOfDistrict(test.dataDir, "assign");
    const publisher = await Publisher.begin(join(test.dataDir, "updates"), Date.now(), {
      key: publicKey(key.publicKey),
      sign: (bytes) => Promise.resolve(key.sign(bytes)),
    });
    const { token } = await test.district.createToken();
    const enrolled = await runProgram([
      ...["enrol", "--district", test.district.url, "--token", token, "--data", site.data],
      ...["--name", "east-gate", "--json"],
    ]);
    assert.equal(enrolled.code, 0, enrolled.stderr);
    await load(site, POLICY);
    // A port that stays the same over the box's restarts.
    using probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = probe.addr;
    probe.close();
    const config = (await Deno.readTextFile(site.config)).replace(
      "127.0.0.1:0",
      `127.0.0.1:${port}`,
    );
    await Deno.writeTextFile(site.config, config);
    const app = join(site.dir, "app");
    const builtIn = join(site.dir, "built-in");
    await writeProgram(builtIn, SOUND, site.data, test.dataDir);
    const updates = join(site.dir, "updates");
    await Deno.mkdir(updates);
    await Deno.writeFile(join(updates, "root.json"), publisher.rootBytes());
    const url = `http://127.0.0.1:${port}`;
    const env = { GATEHOUSE_TRIAL_S: "40" };
    await Deno.mkdir(app);
    const box = stack.use(
      new Kept([app, builtIn, "box", "--config", site.config, "--data", site.data], {
        ...env,
        GATEHOUSE_UPDATES: updates,
      }),
    );
    const restart = join(site.dir, "restart");
    await Deno.writeTextFile(restart, `#!/bin/sh\nkill $(cat ${test.dataDir}/box.pid)\n`, {
      mode: 0o755,
    });
    const updater = stack.use(
      new Kept([
        ...["--follow", app, builtIn, "updater", "--data", site.data, "--app", app],
        ...["--updates", updates, "--assign-role", "assign-north", "--box", url],
        ...["--config", site.config],
        ...["--restart", restart, "--deadline", "12", "--steady", "3", "--poll", "1"],
      ], env),
    );
    const { boxId } = JSON.parse(enrolled.stdout);
    const parts = { bench: site, test, publisher, box, updater, url, boxId, app };
    const made = new UpdateSite({ ...parts, stack: stack.move() });
    await made.untilHealthy("");
    await until("the box has become a controller", async () => (await made.controllers()) > 0);
    return made;
  }

  /**
   * Publishes a version whose program does `first` before the box begins, and adds it as a release.
   * It carries the folder `payload` too.
   */
  async release(version: string, first: string, payload?: string): Promise<string> {
    const { publisher, bench: { dir, data } } = this;
    const from = join(dir, "releases", version);
    await writeProgram(from, `# ${version}\n${first}`, data, this.test.dataDir);
    if (payload !== undefined) {
      await new Deno.Command("cp", { args: ["-a", payload, join(from, "payload")] }).output();
    }
    const archive = join(dir, "archive");
    const options = { version, from, arch: "any", nowMs: Date.now(), archive } as const;
    const targets = await addRelease(publisher.repository, options);
    await publisher.signApp(publisher.app.slice(0, 2), targets);
    await publisher.publish();
    const target = targets.at(-1)!;
    this.slots.set(version, target.hashes.sha256!);
    await this.desk.ok("li", "POST", "releases", { path: target.path });
    return target.path;
  }

  /** Publishes firmware for readers of `model` that begins to say `version` with it, and adds it as a release. */
  async firmware(version: string, file: Uint8Array, model = 1): Promise<string> {
    const { publisher, bench: { dir } } = this;
    const path = join(dir, `${version}.bin`);
    await Deno.writeFile(path, file);
    const said = { version, vendor: "0a0017", model, fileType: 1 };
    const target = await addFirmwareRelease(publisher.repository, {
      ...said,
      file: path,
      nowMs: Date.now(),
    });
    await publisher.signFirmware([target]);
    await publisher.publish();
    await this.desk.ok("li", "POST", "releases", { path: target.path });
    return target.path;
  }

  /** Publishes a bundle with `yaml` for the boxes of these ids, and adds it as a release. */
  async configuration(
    version: string,
    yamls: Readonly<Record<string, string>>,
  ): Promise<string> {
    const { publisher, bench: { dir } } = this;
    const folder = join(dir, "configurations", version);
    await Deno.mkdir(folder, { recursive: true });
    for (const [id, yaml] of Object.entries(yamls)) {
      await Deno.writeTextFile(join(folder, `${id}.yaml`), yaml);
    }
    const options = { version, folder, nowMs: Date.now() };
    const target = await addConfigRelease(publisher.repository, options);
    await publisher.signConfig([target]);
    await publisher.publish();
    await this.desk.ok("li", "POST", "releases", { path: target.path });
    return target.path;
  }

  /** Publishes settings of the district's policy, and adds them as a release. */
  async settings(version: string, settings: unknown, district = "north"): Promise<string> {
    const { publisher, bench: { dir } } = this;
    const file = join(dir, `settings-${version}.json`);
    await Deno.writeTextFile(file, JSON.stringify(settings));
    const options = { version, district, file, nowMs: Date.now() };
    const target = await addPolicyRelease(publisher.repository, options);
    await publisher.signPolicy([target]);
    await publisher.publish();
    await this.desk.ok("li", "POST", "releases", { path: target.path });
    return target.path;
  }

  /** Rolls a release out to everybody at once; its id. */
  async roll(path: string, window?: WindowView): Promise<number> {
    const { id } = await this.desk.rollout(path, undefined, window);
    return id;
  }

  /** Rolls a release out, first to this box as the canary; others would be next. */
  async canaries(path: string): Promise<number> {
    await this.desk.client("gate-next");
    const groups = [
      {
        name: "canaries",
        filter: { ids: [this.boxId] },
        percent: 100,
        successPercent: 100,
        errorPercent: 10,
      },
      { name: "rest", percent: 100, successPercent: 100, errorPercent: 10 },
    ];
    const { id } = await this.desk.rollout(path, groups);
    return id;
  }

  /** Waits until the box has told how it went. */
  async outcome(rollout: number): Promise<{ readonly state: string; readonly reason: string }> {
    const endMs = Date.now() + OVER_MS;
    for (;;) {
      const targets = await this.desk.ok("li", "GET", `rollouts/${rollout}/targets`);
      const target = targets.find((one: { controllerId: string }) =>
        one.controllerId === this.boxId
      );
      if (target !== undefined && ["installed", "failed", "cancelled"].includes(target.state)) {
        return target;
      }
      if (Date.now() > endMs) {
        const said = [...this.updater.lines.slice(-25), ...this.box.lines.slice(-15)].join("\n");
        assert.fail(`no outcome: ${JSON.stringify(target)}\n${said}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Waits until the box of `slot` answers with its readers online. */
  async untilHealthy(slot: string): Promise<void> {
    await until(`the box of slot ${slot || "built-in"} is healthy`, async () => {
      const health = await this.health();
      return health?.vitals.slot === slot && health.vitals.districtConnected &&
        health.status.readers.every(({ online }: { online: boolean }) => online);
    });
  }

  /** What the box says, or nothing. */
  // deno-lint-ignore no-explicit-any
  async health(): Promise<any> {
    try {
      return await (await fetch(`${this.url}/healthz`)).json();
    } catch {
      return undefined;
    }
  }

  /** The release that is good. */
  good(): string | undefined {
    return new AppSlots(this.#app).good();
  }

  /** Rolls `path` out and kills the updater once, in `state`: it must be installed all the same. @returns the rollout's id. */
  async installedThoughKilled(kind: string, state: string, path: string): Promise<number> {
    let killed = false;
    this.updater.onLine = (line) => {
      if (killed || !line.includes(`"kind":"${kind}","at":"${state}"`)) return;
      killed = true;
      this.updater.kill("SIGKILL");
    };
    const rollout = await this.roll(path);
    const told = await this.outcome(rollout);
    this.updater.onLine = undefined;
    assert.ok(killed, `it was never ${state}`);
    assert.equal(told.state, "installed", `${state}: ${told.reason}`);
    return rollout;
  }

  /** Counts of grants on record, as `gatehouse events` has them. */
  async grants(): Promise<number> {
    return kinds(await this.bench.events()).filter((kind) => kind === "access.granted").length;
  }

  /** Taps until the door opens. */
  async mustOpen(): Promise<void> {
    await until("the door relocks", () => !this.bench.inside.output(0));
    await until("the door opens", async () => {
      this.bench.inside.present(32, ZHANG);
      await new Promise((resolve) => setTimeout(resolve, 300));
      return this.bench.inside.output(0);
    });
  }

  /** Who asks for updates. */
  async controllers(): Promise<number> {
    return (await this.desk.ok("li", "GET", "controllers")).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

/** A release's folder: its `gatehouse` becomes this checkout's program. */
async function writeProgram(
  folder: string,
  first: string,
  data: string,
  outside: string,
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  // As a release's launcher does, with its permissions; `flags` are for what the launcher cannot.
  const text = `#!/bin/sh
ROOT='${ROOT}' DATA='${data}' flags=
[ "$1" = box ] && echo $$ >'${outside}/box.pid'
${first}
[ -n "$flags" ] || exec "$ROOT/gatehouse" "$@"
exec "${Deno.execPath()}" run $flags --quiet --no-check --cached-only --config "$ROOT/deno.json" "$ROOT/runtime/main.ts" "$@"
`;
  await Deno.writeTextFile(join(folder, "gatehouse"), text, { mode: 0o755 });
}
