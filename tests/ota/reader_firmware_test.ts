/**
 * Firmware of readers, from the publisher to the reader: the real district, the real updater and the real
 * box, and readers on a real serial line that take files as OSDP has it.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { WAY } from "../../ota/testing/mod.ts";
import { crc16 } from "../../hal/mod.ts";
import { random, seedOfRun } from "../crash/random.ts";
import { clock, until, ZHANG } from "../support/gate_bench.ts";
import { UpdateSite } from "./site.ts";

/** A file that simulated readers find whole, and say `version` with; `spoilt` ones they refuse. */
function file(version: readonly [number, number, number], bytes: number, spoilt = false) {
  const made = new Uint8Array(randomBytes(bytes));
  made.set([...new TextEncoder().encode("GHFW"), ...version]);
  const crc = crc16(made, 0, bytes - 2) ^ Number(spoilt);
  made.set([crc & 0xff, crc >> 8], bytes - 2);
  return made;
}

/** What the record says last of each reader's firmware. */
async function firmware(site: UpdateSite): Promise<Record<string, string>> {
  const said: Record<string, string> = {};
  for (const { event } of await site.bench.events()) {
    const { kind, reader, firmware } = event as Record<string, string>;
    if (kind!.startsWith("reader.") && firmware !== undefined) said[reader!] = firmware;
  }
  return said;
}

Deno.test("readers get their firmware one after the other while the door goes on deciding", async () => {
  await using site = await UpdateSite.open();
  await site.mustOpen();
  const path = await site.firmware("1.6.0", file([1, 6, 0], 30_000));
  const { inside, outside } = site.bench;
  let asked = 0;
  let both = 0;
  // One of the two can always be used: the other has its file only when the first is back with it.
  const watching = setInterval(() => {
    const [first, second] = [inside.fileOffsets.length, outside.fileOffsets.length];
    if (first > 0 && second > 0 && inside.files.length === 0) both++;
  }, 5);
  const tapping = setInterval(() => {
    asked++;
    outside.present(32, ZHANG);
  }, 2_500);
  const { state, reason } = await site.outcome(await site.roll(path));
  clearInterval(watching);
  clearInterval(tapping);
  assert.equal(state, "installed", reason);
  assert.deepEqual(await firmware(site), { in: "1.6.0", out: "1.6.0" });
  assert.equal(inside.files.length, 1);
  assert.equal(outside.files.length, 1);
  assert.equal(both, 0, "both readers were given the file at once");
  const grants = await site.grants();
  console.log(`${asked} taps while readers were given 2 × 30 kB, ${grants} granted`);
  // One at a reader that just restarts is not heard.
  assert.ok(grants >= asked - 1, `${grants} of ${asked}`);
  await site.mustOpen();
  // All have it: a rollout to all gives nobody a file again.
  const again = await site.outcome(await site.roll(path));
  assert.equal(again.state, "installed", again.reason);
  assert.equal(inside.files.length + outside.files.length, 2);
});

Deno.test("a file that a reader refuses goes no further, and the other reader keeps its firmware", async () => {
  await using site = await UpdateSite.open();
  const { inside, outside } = site.bench;
  const { state, reason } = await site.outcome(
    await site.roll(await site.firmware("1.6.0", file([1, 6, 0], 5_000, true))),
  );
  assert.equal(state, "failed");
  assert.match(reason, /^unhealthy: reader in: the reader finds the file damaged/);
  assert.equal(outside.fileOffsets.length, 0, "the second was given it all the same");
  assert.deepEqual(await firmware(site), { in: "1.4.2", out: "1.4.2" });
  // One that says another version than was promised is no success either.
  const lied = await site.outcome(
    await site.roll(await site.firmware("1.7.0", file([1, 6, 9], 5_000))),
  );
  assert.equal(lied.state, "failed");
  assert.match(lied.reason, /reader in: it took the file and says firmware 1\.6\.9, not 1\.7\.0/);
  assert.equal(inside.files.length, 1);
  await site.mustOpen();
});

Deno.test("a box without readers of the model has nothing to do", async () => {
  await using site = await UpdateSite.open();
  const { inside, outside } = site.bench;
  const path = await site.firmware("1.6.0", file([1, 6, 0], 2_000), 2);
  const { state, reason } = await site.outcome(await site.roll(path));
  assert.equal(state, "installed", reason);
  assert.equal(inside.fileOffsets.length + outside.fileOffsets.length, 0);
});

Deno.test("updater or box killed in every state, each reader gets its firmware, and once", async () => {
  await using site = await UpdateSite.open();
  const { inside, outside } = site.bench;
  for (const [turn, state] of WAY.entries()) {
    const version = [2, turn, 0] as const;
    const path = await site.firmware(version.join("."), file(version, 4_000));
    await site.installedThoughKilled("firmware", state, path);
    assert.deepEqual(await firmware(site), { in: version.join("."), out: version.join(".") });
  }
  // While files are on their way: box and updater at random moments.
  const seed = seedOfRun();
  const next = random(seed);
  const before = inside.files.length;
  const rolled = await site.roll(await site.firmware("3.0.0", file([3, 0, 0], 60_000)));
  await until("the first part arrives", () => inside.fileOffsets.at(-1)! > 0);
  let kills = 0;
  const endMs = clock.monotonicMs() + 15_000;
  while (clock.monotonicMs() < endMs && outside.files.length === before) {
    await clock.sleep(1_000 + 2_000 * next(), new AbortController().signal);
    kills++;
    (next() < 0.7 ? site.box : site.updater).kill("SIGKILL");
  }
  const told = await site.outcome(rolled);
  console.log(`seed ${seed}: killed ${kills} times, ${told.state} ${told.reason}`);
  assert.equal(told.state, "installed", told.reason);
  assert.deepEqual(await firmware(site), { in: "3.0.0", out: "3.0.0" });
  await site.mustOpen();
});
