/**
 * Power cuts that tear and reorder: every write of an update to its disk is logged, and the disk is
 * put together again as a cut could have left it, at its commit points and anywhere else.
 */
import assert from "node:assert/strict";
import { join, relative } from "node:path";
import type { Wanted } from "../../ota/agent/mod.ts";
import {
  LoggedDisk,
  loggedDiskRefusal,
  mountImage,
  type WriteLog,
} from "../support/logged_disk.ts";
import { random, seedOfRun } from "../crash/random.ts";
import { type ChildOptions, UpdateRig } from "./rig.ts";

/** Cuts after which the slots are looked at. */
const CUTS = Number(Deno.env.get("TORN_CUTS") ?? 300);
/** Those of them, after which the box goes on to the end as well. */
const RESUMED = Number(Deno.env.get("TORN_RESUMED") ?? 25);

const refusal = await loggedDiskRefusal();
if (refusal !== undefined) console.log(`skipped: torn writes: ${refusal}`);

interface Recorded {
  readonly rig: UpdateRig;
  readonly log: WriteLog;
  /** Writes before the update from 0.2.0 to 0.2.1 began, and when it was told to be installed. */
  readonly begun: number;
  readonly told: number;
  readonly wanted: Wanted;
  /** Releases by their slots' names. */
  readonly versions: ReadonlyMap<string, string>;
}

/** Installs 0.2.0, then records the update to 0.2.1 by its delta. */
async function record(rig: UpdateRig, options: Partial<ChildOptions>): Promise<Recorded> {
  const path = join(rig.folder, "box");
  const files = join(rig.folder, "disk");
  for (const folder of [path, files]) await Deno.mkdir(folder);
  await using disk = await LoggedDisk.begin(files, path);
  const content = new Uint8Array(400_000).map((_, i) => Math.imul(i, 2_654_435_761) >>> 24);
  const first = await rig.release("0.2.0", content);
  await rig.tell({ wanted: first.wanted });
  await rig.run();
  new Deno.Command("sync", { args: ["-f", path] }).outputSync();
  const begun = disk.writes;
  content.fill(7, 1_000, 50_000);
  const { wanted } = await rig.release("0.2.1", content, ["0.2.0"]);
  await rig.tell({ wanted, ...options });
  const said = await rig.run();
  const told = disk.writes;
  assert.ok(said.includes("report installed 0.2.1"), said.join("\n"));
  const versions = new Map([[first.wanted.sha256, "0.2.0"], [wanted.sha256, "0.2.1"]]);
  return { rig, log: await disk.end(told), begun, told, wanted, versions };
}

/** What is not as it was released in the slots that the starter may start. */
function broken({ rig, versions }: Recorded): string[] {
  const slots = rig.slots();
  const found: string[] = [];
  for (const id of new Set([slots.good(), slots.trial()])) {
    if (id === undefined) continue;
    const released = join(rig.folder, "releases", versions.get(id)!, "files");
    for (const path of filesOf(released)) {
      const name = relative(released, path);
      if (!sameFile(path, join(slots.folder(id), name))) found.push(`${versions.get(id)}/${name}`);
    }
  }
  return found;
}

function filesOf(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory ? filesOf(path) : [path];
  });
}

function sameFile(one: string, other: string): boolean {
  try {
    const [a, b] = [Deno.readFileSync(one), Deno.readFileSync(other)];
    return a.length === b.length && a.every((byte, i) => byte === b[i]) &&
      Deno.statSync(one).mode === Deno.statSync(other).mode;
  } catch {
    return false;
  }
}

/** A disk as a cut left it, mounted where the box has its own. */
function afterCut(recorded: Recorded, count: number, next: () => number) {
  const { rig, log } = recorded;
  const image = join(rig.folder, "cut");
  const waiting = log.cut(count, image, next);
  return { waiting, mounted: mountImage(image, join(rig.folder, "box")) };
}

Deno.test({
  name: "torn and reordered writes: a whole release starts, and the update ends installed",
  ignore: refusal !== undefined,
  async fn() {
    const seed = seedOfRun();
    const next = random(seed);
    await using rig = await UpdateRig.make();
    const recorded = await record(rig, {});
    const { log, begun, told, wanted, versions } = recorded;
    let torn = 0;
    const seen = new Map<string, number>();
    const every = Math.ceil(CUTS / RESUMED);
    for (let i = 0; i < CUTS; i++) {
      // The last one is after all was told: that must be there, whatever was waiting.
      const count = i === CUTS - 1 ? told : begun + 1 + Math.floor(next() * (told - begun));
      const where = `seed ${seed}, cut ${i} after write ${count} of ${told}`;
      const { waiting, mounted } = afterCut(recorded, count, next);
      using _mounted = mounted;
      if (waiting > 0) torn++;
      const slots = rig.slots();
      assert.ok(versions.has(slots.good() ?? ""), `${where}: no good release`);
      assert.deepEqual(broken(recorded), [], where);
      const state = `${versions.get(slots.good()!)} good, ${
        versions.get(slots.trial() ?? "") ?? "none"
      } tried`;
      seen.set(state, (seen.get(state) ?? 0) + 1);
      if (count === told) assert.equal(slots.good(), wanted.sha256, where);
      if (i % every !== 0) continue;
      const said = await rig.run();
      assert.ok(said.includes("report installed 0.2.1"), `${where}:\n${said.join("\n")}`);
      assert.equal(slots.good(), wanted.sha256, where);
      assert.deepEqual(broken(recorded), [], where);
    }
    const flushes = log.writes.slice(begun).filter(({ flush }) => flush).length;
    console.log(
      `seed ${seed}: ${
        told - begun
      } writes, ${flushes} flushes; ${CUTS} cuts, ${torn} of them with ` +
        `writes waiting; ${[...seen].map(([state, times]) => `${times} × ${state}`).join(", ")}`,
    );
    assert.ok(torn > CUTS / 10, "hardly a cut had writes to tear");
    assert.ok(seen.size >= 3, "not every state of the slots was cut in");
  },
});

Deno.test({
  name: "the same cuts find a release in pieces where it is not synced before it is tried",
  ignore: refusal !== undefined,
  async fn() {
    const next = random(seedOfRun());
    await using rig = await UpdateRig.make();
    const recorded = await record(rig, { unsynced: true });
    const { begun, told } = recorded;
    for (let i = 0; i < CUTS; i++) {
      const count = begun + 1 + Math.floor(next() * (told - begun));
      using _mounted = afterCut(recorded, count, next).mounted;
      if (broken(recorded).length > 0) return;
    }
    assert.fail("nothing was ever broken: these cuts prove nothing");
  },
});
