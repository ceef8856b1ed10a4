/**
 * Debian's SWUpdate, a client that knows nothing of Gatehouse, takes a deployment from a district over
 * DDI, installs it and reports back; and refuses one that is for other hardware.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ALL, UpdateDesk } from "../../district/testing/updates.ts";
import { TestDistrict } from "../../district/testing/district.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { Publisher } from "../../ota/testing/mod.ts";

const clock = linuxClock();
const never = new AbortController().signal;
/** SWUpdate polls each second here; on a busy machine an installation takes a few. */
const WAIT_MS = 60_000;

async function runs(program: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: ["--help"], stdout: "null", stderr: "null" })
      .output()).code < 128;
  } catch {
    return false;
  }
}

const missing: string[] = [];
for (const program of ["swupdate", "cpio", "openssl"]) {
  if (!await runs(program)) missing.push(program);
}
if (missing.length > 0) {
  console.log(`skipped: an independent update client: ${missing.join(", ")} not installed`);
}

/** A bench with a district, its publisher and SWUpdate's files. */
class Bench implements AsyncDisposable {
  readonly test: TestDistrict;
  readonly desk: UpdateDesk;
  readonly folder: string;
  readonly publisher: Publisher;
  #child: Deno.ChildProcess | undefined;
  #ended = false;
  said = "";

  private constructor(test: TestDistrict, publisher: Publisher, folder: string) {
    this.test = test;
    this.desk = new UpdateDesk(test);
    this.folder = folder;
    this.publisher = publisher;
  }

  static async open(): Promise<Bench> {
    const test = await TestDistrict.open(clock, { updatePollS: 1 });
    const publisher = await Publisher.begin(join(test.dataDir, "updates"), clock.wallMs());
    const bench = new Bench(test, publisher, await Deno.makeTempDir({ prefix: "swupdate-" }));
    await bench.#tool("openssl", [
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=signer"],
      ...["-keyout", "key.pem", "-out", "cert.pem", "-addext", "extendedKeyUsage=emailProtection"],
    ]);
    await Deno.writeTextFile(join(bench.folder, "ca.pem"), test.district.caPem);
    return bench;
  }

  get installed(): string {
    return join(this.folder, "installed.txt");
  }

  /** Signs an image that writes `content` on hardware of `revision`, and publishes it. @returns its path. */
  async release(version: string, content: string, revision: string): Promise<string> {
    await Deno.writeTextFile(join(this.folder, "payload.txt"), content);
    const sha256 = new Uint8Array(
      await crypto.subtle.digest("SHA-256", new TextEncoder().encode(content)),
    ).toHex();
    await Deno.writeTextFile(
      join(this.folder, "sw-description"),
      `software = { version = "${version}"; hardware-compatibility = [ "${revision}" ];
        files: ( { filename = "payload.txt"; path = "${this.installed}"; sha256 = "${sha256}"; } ); }`,
    );
    await this.#tool("openssl", [
      ...["cms", "-sign", "-in", "sw-description", "-out", "sw-description.sig", "-binary"],
      ...["-signer", "cert.pem", "-inkey", "key.pem", "-outform", "DER", "-nosmimecap"],
    ]);
    const names = "sw-description\nsw-description.sig\npayload.txt\n";
    await this.#tool("cpio", ["-o", "-H", "crc", "-O", "gate.swu"], names);
    const path = `app/${version}/gate.swu`;
    const image = await Deno.open(join(this.folder, "gate.swu"));
    const target = await this.publisher.repository.addFile(path, image.readable, { version });
    await this.publisher.signApp(this.publisher.app.slice(0, 2), [target]);
    await this.publisher.publish();
    await this.desk.ok("li", "POST", "releases", { path });
    return path;
  }

  /** Starts SWUpdate's daemon; `-c 2` is how it tells, restarted, that what it installed works. */
  start(token: string, ...confirm: string[]): void {
    const config = join(this.folder, "swupdate.cfg");
    Deno.writeTextFileSync(
      config,
      `globals : { verbose = true; loglevel = 5; };
      suricatta : { tenant = "DEFAULT"; id = "gate-1"; url = "${this.test.district.url}";
        targettoken = "${token}"; cafile = "${this.folder}/ca.pem"; retry = 2; retrywait = 1; };
      identify : ( { name = "board"; value = "gate"; } );`,
    );
    // Its own option needs a value; five tries are what it would do without.
    const suricatta = ["-r", "5", ...confirm].join(" ");
    const child = new Deno.Command("swupdate", {
      args: ["-v", "-f", config, "-k", "cert.pem", "-H", "gate:1.0", "-u", suricatta],
      cwd: this.folder,
      env: { TMPDIR: this.folder },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#child = child;
    this.#ended = false;
    void child.status.then(() => this.#ended = true);
    for (const stream of [child.stdout, child.stderr]) {
      void stream.pipeThrough(new TextDecoderStream()).pipeTo(
        new WritableStream({ write: (text) => void (this.said += text) }),
      );
    }
  }

  async stop(): Promise<void> {
    try {
      this.#child?.kill("SIGTERM");
    } catch {
      // It has ended by itself.
    }
    await this.#child?.status;
    this.#child = undefined;
  }

  /** Waits until `look` finds something while SWUpdate runs. */
  async until<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
    for (let waitedMs = 0; waitedMs < WAIT_MS && !this.#ended; waitedMs += 200) {
      const found = await look();
      if (found !== undefined) return found;
      await clock.sleep(200, never);
    }
    throw new Error(`never ${what}; SWUpdate said:\n${this.said.slice(-6_000)}`);
  }

  /** Waits until the only target of a rollout is in `state`. */
  async reaches(rolloutId: number, state: string) {
    return await this.until(state, async () => {
      const [target] = await this.desk.ok("li", "GET", `rollouts/${rolloutId}/targets`);
      return target.state === state ? target : undefined;
    });
  }

  async #tool(program: string, args: readonly string[], input = ""): Promise<void> {
    const child = new Deno.Command(program, {
      args: [...args],
      cwd: this.folder,
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
    const { code, stderr } = await child.output();
    assert.equal(code, 0, `${program} ${args[0]}: ${new TextDecoder().decode(stderr)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.test[Symbol.asyncDispose]();
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test({
  name:
    "SWUpdate installs what the district rolls out and reports back; what does not fit it refuses",
  ignore: missing.length > 0,
  fn: async () => {
    await using bench = await Bench.open();
    const { desk } = bench;
    const good = await bench.release("1.2.3", "it works\n", "1.0");
    const { token } = await desk.client("gate-1");
    const first = await desk.rollout(good);
    bench.start(token);
    await bench.reaches(first.id, "running");
    await bench.until("installed", () => bench.said.includes("Update successful") || undefined);
    assert.equal(await Deno.readTextFile(bench.installed), "it works\n");
    await bench.stop();
    bench.start(token, "-c", "2");
    await bench.reaches(first.id, "installed");
    assert.equal((await desk.ok("li", "GET", `rollouts/${first.id}`)).status, "finished");

    const [controller] = await desk.ok("li", "GET", "controllers");
    assert.deepEqual(controller.attributes, { board: "gate" });

    const other = await bench.release("1.2.4", "for other hardware\n", "9.9");
    const second = await desk.rollout(other, [{ ...ALL[0]!, errorPercent: 50 }]);
    const failed = await bench.reaches(second.id, "failed");
    assert.match(failed.reason, /No suitable .swu image found$/);
    assert.match(bench.said, /SW not compatible with hardware/);
    const view = await desk.ok("li", "GET", `rollouts/${second.id}`);
    assert.deepEqual([view.status, view.pausedBy], ["paused", "errors"]);
    assert.equal(await Deno.readTextFile(bench.installed), "it works\n");
  },
});
