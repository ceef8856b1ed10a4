/**
 * A district, a publisher, and a box that runs from a card in QEMU and updates its whole system.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { runProgram } from "../../demo/program.ts";
import { keyOfDistrict } from "../../district/district.ts";
import { TestDistrict } from "../../district/testing/district.ts";
import { UpdateDesk } from "../../district/testing/updates.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { type SimulatedOsdpReader, simulateOsdpReaders } from "../../hal/sim/osdp_reader/mod.ts";
import { makeBundle } from "../../images/bundle.ts";
import { run } from "../../images/run.ts";
import { addSystemRelease } from "../../ota/cli/release.ts";
import { publicKey } from "../../ota/repository/mod.ts";
import { Publisher } from "../../ota/testing/mod.ts";
import { POLICY, ZHANG } from "../support/gate_bench.ts";
import {
  addToBootEntry,
  CardGuest,
  partition,
  pc,
  putIntoData,
  readFromData,
} from "./card_guest.ts";
import { timeServer } from "./time_server.ts";

/** Time of the machine. */
export const clock = linuxClock();
/** Where a guest finds this machine on QEMU's network. */
const HOST = "10.0.2.2";
const OPEN_MS_MAX = 300_000;
/** An emulated machine takes minutes to write a system and as long to start it; twice that when it is busy. */
const OVER_MS_MAX = 1_800_000;

/**
 * For a machine that starts anew. Where a page once held code, QEMU 7.2 looks at each store into it, and
 * goes on so after a reset. A firmware whose stack lies there does not get to its boot loader: seen once,
 * for a quarter of an hour. A kernel that lists the firmware's memory runs nothing in it.
 */
const KEEP_FIRMWARES_MEMORY = "efi=debug";

/** A box with one OSDP reader that holds the lock too. */
export const BOX = `
box: { name: east-gate, timezone: Asia/Shanghai }
buses: [{ id: bus, kind: serial, path: /dev/ttyS2, baudRate: 38400 }]
readers:
  - { id: in, driver: osdp, bus: bus, address: 0, door: main }
outputs: [{ id: lock, driver: osdp, reader: in, index: 0 }]
doors:
  - { id: main, lock: lock, kind: strike, holdMs: 1500 }
`;

/** As the box's user. */
const BOX_COMMAND = "cd /usr/lib/gatehouse && runuser -u gatehouse -- ./gatehouse";

/** An event of the record, with its place in the chain. */
interface Recorded {
  readonly seq: number;
  readonly event: { readonly kind: string };
}

/** A machine that is on, with a reader on its line, until disposal. */
export interface Machine extends AsyncDisposable {
  readonly guest: CardGuest;
  readonly reader: SimulatedOsdpReader;
}

/** The whole of it. */
export class SystemSite implements AsyncDisposable {
  readonly folder: string;
  readonly card: string;
  readonly desk: UpdateDesk;
  readonly test: TestDistrict;
  readonly publisher: Publisher;
  readonly #stack: AsyncDisposableStack;
  /** The slot that runs first, as it was flashed. */
  readonly #flashed: string;
  boxId = "";

  private constructor(
    folder: string,
    test: TestDistrict,
    publisher: Publisher,
    stack: AsyncDisposableStack,
  ) {
    this.folder = folder;
    this.card = join(folder, "card.img");
    this.#flashed = join(folder, "root-a.erofs");
    this.test = test;
    this.desk = new UpdateDesk(test);
    this.publisher = publisher;
    this.#stack = stack;
  }

  /** Builds the card into `folder`; the box on it trusts the publisher, and is not enrolled yet. */
  static async open(folder: string): Promise<SystemSite> {
    await using stack = new AsyncDisposableStack();
    const test = stack.use(await TestDistrict.open(clock, { updatePollS: 2, hosts: [HOST] }));
    const key = keyOfDistrict(test.dataDir, "assign");
    const assign = {
      key: publicKey(key.publicKey),
      sign: (bytes: Uint8Array) => Promise.resolve(key.sign(bytes)),
    };
    const folderOfUpdates = join(test.dataDir, "updates");
    const publisher = await Publisher.begin(folderOfUpdates, Date.now(), assign, "assign");
    const site = new SystemSite(folder, test, publisher, stack.move());
    await Deno.mkdir(join(folder, "trust"));
    await Deno.writeFile(join(folder, "trust/root.json"), publisher.rootBytes());
    await run("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-keyout", join(folder, "bundle.key"), "-out", join(folder, "trust/keyring.pem")],
      ...["-days", "3650", "-subj", "/CN=bundles"],
    ]);
    const { code, stderr } = await runProgram([
      ...["image", "build", "--arch", "amd64", "--out", join(folder, "out")],
      ...["--trust", join(folder, "trust")],
    ]);
    assert.equal(code, 0, stderr);
    const out = [...Deno.readDirSync(join(folder, "out"))].map(({ name }) => name);
    const packed = out.find((name) => name.endsWith(".img.zst"))!;
    // As an installer does it: the settings of this box, with its token, go onto the card.
    const { token } = await test.district.createToken();
    const url = test.district.url.replace(/\/\/[^:]+/, `//${HOST}`);
    const time = await timeServer(HOST, join(folder, "time"));
    const settings = {
      box: { name: "east-gate", school: "第一中学" },
      network: { nts: { servers: [HOST], ca: time.ca } },
      district: { url, token },
    };
    await Deno.writeTextFile(join(folder, "settings.yaml"), JSON.stringify(settings));
    await Deno.writeTextFile(join(folder, "box.yaml"), BOX);
    const flashed = await runProgram([
      ...["flash", join(folder, "out", packed), "--image-out", site.card],
      ...["--setup", join(folder, "settings.yaml"), "--config", join(folder, "box.yaml")],
    ]);
    assert.equal(flashed.code, 0, flashed.stderr);
    assert.doesNotMatch(flashed.stdout + flashed.stderr, new RegExp(token), "it shows the token");
    await Deno.truncate(site.card, (await Deno.stat(site.card)).size + (256 << 20));
    await putIntoData(site.card, "policy.json", JSON.stringify(POLICY));
    for (const slot of ["a", "b"] as const) {
      await addToBootEntry(site.card, `systemd.debug_shell=ttyS1 ${KEEP_FIRMWARES_MEMORY}`, slot);
    }
    // Now: what the slot holds later is what was rolled out, good or bad.
    await readSlot(site.card, site.#flashed);
    const system = join(folder, "system");
    await site.#unpack(system);
    site.#stack.use(await time.serve(system));
    return site;
  }

  /** Switches the machine on; its clock stands at `rtc`, or is right. */
  async on(rtc?: string): Promise<Machine> {
    const guest = await CardGuest.start(this.card, clock, await pc(this.card, rtc));
    const stop = new AbortController();
    const line = simulateOsdpReaders(guest.wire, clock, [{ address: 0 }], stop.signal);
    return {
      guest,
      reader: line.reader(0),
      async [Symbol.asyncDispose]() {
        stop.abort();
        await guest[Symbol.asyncDispose]();
      },
    };
  }

  /** The first start: the box enrols by itself, gets its policy, and asks for updates. */
  async enrolled({ guest, reader }: Machine): Promise<void> {
    const endMs = clock.monotonicMs() + OPEN_MS_MAX;
    for (;;) {
      const [first] = await this.desk.ok("li", "GET", "controllers");
      if (first !== undefined) {
        this.boxId = first.id;
        break;
      }
      if (clock.monotonicMs() > endMs) {
        await guest.booted();
        const { said } = await guest.sh(
          "journalctl -b -o cat -u gatehouse-setup -u gatehouse-enrol -u gatehouse-updater | tail -40",
        );
        assert.fail(`the box does not ask for updates: ${said}`);
      }
      await pause(500);
    }
    await guest.booted();
    const policy = await guest.sh(
      `${BOX_COMMAND} policy load /data/policy.json --data /data/gatehouse`,
    );
    assert.equal(policy.code, 0, policy.said);
    await this.opens(reader);
  }

  /** The card's settings, as anybody can read them who finds it. */
  async settings(): Promise<string> {
    const { startMib } = await partition(this.card, "esp");
    return await run("mtype", ["-i", `${this.card}@@${startMib * 1_048_576}`, "::/setup.yaml"]);
  }

  /**
   * Publishes the system that the card was flashed with, `change` made to it (a folder is given), and adds
   * it as a release; its path.
   */
  async release(version: string, change: (root: string) => Promise<void>): Promise<string> {
    const work = join(this.folder, version);
    const root = join(work, "root");
    await this.#unpack(root);
    const facts = join(root, "usr/lib/gatehouse-image.json");
    const now = JSON.parse(await Deno.readTextFile(facts));
    await Deno.writeTextFile(facts, `${JSON.stringify({ ...now, version })}\n`);
    await change(root);
    const erofs = join(work, "root.erofs");
    await run("mkfs.erofs", ["-zlz4hc,12", "-C65536", "-T0", "--quiet", "-x", "-1", erofs, root]);
    const bundle = join(work, "system.raucb");
    await makeBundle({
      ...{ arch: "amd64", version, erofs, work, bundle },
      signer: {
        key: join(this.folder, "bundle.key"),
        cert: join(this.folder, "trust/keyring.pem"),
      },
    });
    const { repository } = this.publisher;
    const compatible = "gatehouse-amd64";
    const nowMs = Date.now();
    const target = await addSystemRelease(repository, { version, bundle, compatible, nowMs });
    await Deno.remove(work, { recursive: true });
    await this.publisher.signSystem([target]);
    await this.publisher.publish();
    await this.desk.ok("li", "POST", "releases", { path: target.path });
    return target.path;
  }

  /** Lays the system that the card was flashed with out in `folder`. */
  async #unpack(folder: string): Promise<void> {
    await Deno.mkdir(folder, { recursive: true });
    await run("fsck.erofs", [`--extract=${folder}`, "--preserve", "--overwrite", this.#flashed]);
  }

  /** What the district knows of the box's update. */
  async told(rollout: number): Promise<{ readonly state: string; readonly reason: string }> {
    const targets = await this.desk.ok("li", "GET", `rollouts/${rollout}/targets`);
    return targets.find((one: { controllerId: string }) => one.controllerId === this.boxId);
  }

  /** Waits until the box has told how it went; `ended` may end the wait. */
  async outcome(rollout: number, ended: () => boolean = () => false) {
    const endMs = clock.monotonicMs() + OVER_MS_MAX;
    for (;;) {
      const target = await this.told(rollout);
      if (ended() || ["installed", "failed", "cancelled"].includes(target?.state)) return target;
      assert.ok(clock.monotonicMs() < endMs, `no outcome: ${JSON.stringify(target)}`);
      await pause(250);
    }
  }

  /** Taps until the door opens. */
  async opens(reader: SimulatedOsdpReader): Promise<void> {
    const endMs = clock.monotonicMs() + OPEN_MS_MAX;
    while (!reader.output(0)) {
      assert.ok(clock.monotonicMs() < endMs, "the door does not open");
      reader.present(32, ZHANG);
      await pause(500);
    }
  }

  /** The record as the box has it; whole, in one piece. */
  async events({ guest }: Machine): Promise<Recorded[]> {
    const { said } = await guest.sh(`${BOX_COMMAND} events --data /data/gatehouse --json`);
    return said.split("\n").filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line));
  }

  /** Where the card's system update stands, read from the card itself; the machine is off. */
  async state(): Promise<string> {
    const text = await readFromData(this.card, "updates/os.json");
    return text === "" ? "idle" : JSON.parse(text).at ?? text;
  }

  /** As long as this is not disposed of, the district is there. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

/** Waits for `ms`. */
function pause(ms: number): Promise<void> {
  return clock.sleep(ms, new AbortController().signal);
}

async function readSlot(card: string, to: string): Promise<void> {
  const { startMib, sizeMib } = await partition(card, "root-a");
  const place = [`skip=${startMib}`, `count=${sizeMib}`];
  await run("dd", [`if=${card}`, `of=${to}`, "bs=1M", "status=none", ...place]);
}
