/**
 * The application's update with the real starter, real slots, real files: killed in every state, cut
 * at random moments, and with releases that do not work.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { WAY } from "../../ota/testing/mod.ts";
import { UpdateRig } from "./rig.ts";

const ballast = (bytes: number, seed: number) =>
  new Uint8Array(bytes).map((_, i) => Math.imul(i + seed, 2_654_435_761) >>> 24);

/** What a box says on its way from `old` to `now`, killed in no state. */
const whole = (old: string, now: string) => [
  `start ${old}`,
  "state fetching",
  "state staging",
  "state waiting",
  "state switching",
  "restart",
  `start ${now}`,
  "state trial",
  "state confirming",
  "state idle",
  `report installed ${now}`,
  "end",
];

Deno.test("an update from what is built in, then by a delta, then nothing more", async () => {
  await using rig = await UpdateRig.make();
  const first = await rig.release("0.2.0", ballast(400_000, 1));
  await rig.tell({ wanted: first.wanted });
  assert.deepEqual(await rig.run(), whole("0.1.0", "0.2.0"));
  assert.equal(rig.slots().good(), first.wanted.sha256);
  assert.deepEqual(await rig.run(), [
    "start 0.2.0",
    "settled 0.2.0",
    "report installed 0.2.0",
    "end",
  ]);

  const content = ballast(400_000, 1);
  content.fill(7, 1_000, 1_100);
  const second = await rig.release("0.2.1", content, ["0.2.0"]);
  // The whole release cannot be had: only the delta leads there.
  const full = second.targets.at(-1)!;
  const path = join(rig.folder, "repository/targets/app/0.2.1");
  await Deno.remove(join(path, `${full.hashes.sha256}.gatehouse.tar.zst`));
  await rig.tell({ wanted: second.wanted });
  assert.deepEqual(await rig.run(), whole("0.2.0", "0.2.1"));
  const [delta] = second.targets;
  console.log(
    `delta ${delta!.length} bytes, whole ${full.length}: ${
      (delta!.length / full.length * 100).toFixed(1)
    } %`,
  );
  assert.ok(delta!.length < full.length / 10);
  // What is no longer needed is gone: one slot, one tar.
  assert.deepEqual([...Deno.readDirSync(join(rig.folder, "box/app/slots"))].length, 1);
  assert.deepEqual([...Deno.readDirSync(join(rig.folder, "box/fetched"))].map(({ name }) => name), [
    `${second.wanted.sha256}.tar`,
  ]);
});

for (const dieIn of WAY) {
  Deno.test(`killed in ${dieIn}: it goes on from there and ends on the new version`, async () => {
    await using rig = await UpdateRig.make();
    const { wanted } = await rig.release("0.2.0", ballast(50_000, 1));
    await rig.tell({ wanted, dieIn });
    const said = await rig.run();
    // The starts that the kill costs apart, the chain is the one of an update that nobody killed.
    const states = said.filter((word) => word.startsWith("state "));
    assert.deepEqual(states, WAY.map((at) => `state ${at}`));
    const at = said.indexOf(`state ${dieIn}`);
    const before = WAY.indexOf(dieIn) <= WAY.indexOf("switching") ? "0.1.0" : "0.2.0";
    assert.equal(said[at + 1], `start ${before}`, said.join("\n"));
    assert.equal(rig.slots().good(), wanted.sha256);
    assert.equal(rig.slots().trial(), undefined);
    // The report is told though the box was killed just before it.
    assert.ok(said.includes("report installed 0.2.0"), said.join("\n"));
  });
}

Deno.test("killed while it goes back: it goes back", async () => {
  await using rig = await UpdateRig.make();
  const { wanted } = await rig.release("0.2.0", ballast(50_000, 1));
  await rig.tell({ wanted, unhealthy: ["0.2.0"], dieIn: "reverting" });
  const said = await rig.run();
  assert.deepEqual(said.slice(-7), [
    "state reverting",
    "start 0.2.0",
    "restart",
    "start 0.1.0",
    "state idle",
    "report failed 0.2.0 unhealthy",
    "end",
  ]);
  assert.equal(rig.slots().good(), undefined);
});

Deno.test("a release that will not start is taken back by the starter, and not tried again", async () => {
  await using rig = await UpdateRig.make();
  const { wanted } = await rig.release("0.2.0", ballast(50_000, 1));
  await rig.tell({ wanted, crashing: ["0.2.0"] });
  const said = await rig.run();
  assert.equal(said.filter((word) => word === "start 0.2.0").length, 3);
  assert.deepEqual(said.slice(-4), [
    "start 0.1.0",
    "state idle",
    "report failed 0.2.0 did-not-start",
    "end",
  ]);
  assert.deepEqual(await rig.run(), [
    "start 0.1.0",
    "settled 0.1.0",
    "report failed 0.2.0 did-not-start",
    "end",
  ]);
});

Deno.test("a release that starts but is not healthy is taken back, and the next one installs", async () => {
  await using rig = await UpdateRig.make();
  const bad = await rig.release("0.2.0", ballast(50_000, 1));
  await rig.tell({ wanted: bad.wanted, unhealthy: ["0.2.0"] });
  const said = await rig.run();
  assert.deepEqual(said.slice(-2), ["report failed 0.2.0 unhealthy", "end"]);
  const good = await rig.release("0.2.1", ballast(50_000, 2));
  await rig.tell({ wanted: good.wanted });
  assert.deepEqual(await rig.run(), whole("0.1.0", "0.2.1"));
});

Deno.test("cut at random moments, again and again: never bricked, and it ends on a good version", async () => {
  const seed = Number(Deno.env.get("SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  const cuts = Number(Deno.env.get("CUTS") ?? 60);
  console.log(`seed ${seed}, ${cuts} cuts`);
  let random = seed >>> 0;
  const below = (n: number) => {
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
    // The low bits of such a generator alternate.
    return Math.floor(random / 2 ** 32 * n);
  };
  await using rig = await UpdateRig.make();
  let running = "0.1.0";
  let version = 0;
  let cut = 0;
  let installed = 0;
  let givenUp = 0;
  while (cut < cuts) {
    const next = `0.2.${++version}`;
    const { wanted } = await rig.release(next, ballast(300_000, version));
    // Half of the releases are bad ones.
    const bad = below(2) === 1;
    const flaw = { crashing: [] as string[], unhealthy: [] as string[] };
    if (bad) flaw[below(2) === 1 ? "crashing" : "unhealthy"].push(next);
    await rig.tell({ wanted, ...flaw, bytesPerSecondMax: 400_000 });
    for (let round = 0; round < 4 && cut < cuts; round++, cut++) {
      const child = rig.spawn();
      const output = child.output();
      await new Promise((resolve) => setTimeout(resolve, below(1_600)));
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
      const { stdout } = await output;
      // Something starts, each time: the old version or the new one.
      const text = new TextDecoder().decode(stdout);
      const started = /^start (\S+)/.exec(text)?.[1];
      assert.ok([running, next, undefined].includes(started), text);
    }
    const said = await rig.run();
    const last = said.findLast((word) => /^(report|settled)/.test(word))!;
    if (bad) assert.doesNotMatch(last, new RegExp(`installed ${next}`));
    const now = rig.slots().good() === wanted.sha256 ? next : running;
    if (bad) assert.equal(now, running, "a bad release stayed");
    else if (now === next) installed++;
    // A good one that was cut off in each of its starts has used them up: the old one is right then.
    else givenUp++;
    running = now;
    assert.equal((await rig.run())[0], `start ${running}`);
  }
  console.log(`${version} releases, ${installed} installed, ${givenUp} good ones given up`);
  assert.ok(installed > 0, "no release was ever installed: the cuts prove nothing");
});
