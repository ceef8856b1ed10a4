/**
 * Updates as a box lives them: the real updater beside the real box, under the real starter, with a
 * real district that rolls releases out, good ones and bad ones of each kind.
 */
import assert from "node:assert/strict";
import { random, seedOfRun } from "../crash/random.ts";
import { clock, until, ZHANG } from "../support/gate_bench.ts";
import { SmallDisk, smallDiskRefusal } from "../support/small_disk.ts";
import { SOUND, UpdateSite } from "./site.ts";

Deno.test("a box updates itself while its door goes on deciding", async () => {
  await using site = await UpdateSite.open();
  await site.mustOpen();
  const path = await site.release("0.2.0", SOUND);
  // How long nobody could have been let in: from the last answer of the old box to the readers of the new.
  let [lastMs, pauseMs] = [clock.monotonicMs(), 0];
  const watching = setInterval(async () => {
    const health = await site.health();
    if (!health?.status.readers.every(({ online }: { online: boolean }) => online)) return;
    const nowMs = clock.monotonicMs();
    pauseMs = Math.max(pauseMs, nowMs - lastMs);
    lastMs = nowMs;
  }, 25);
  let asked = 0;
  const tapping = setInterval(() => {
    asked++;
    site.bench.inside.present(32, ZHANG);
  }, 2_500);
  const rollout = await site.roll(path);
  const { state, reason } = await site.outcome(rollout);
  clearInterval(watching);
  clearInterval(tapping);
  assert.equal(state, "installed", reason);
  assert.equal(site.good(), site.slots.get("0.2.0"));
  // Who taps in the very pause is not let in by a read that waited: he may be gone. He taps again.
  await until("no other tap was lost", async () => await site.grants() >= asked);
  console.log(`${asked} taps during the update; the door paused for ${Math.round(pauseMs)} ms`);

  // And again, by a delta, with box and updater killed at random moments.
  const seed = seedOfRun();
  const next = random(seed);
  const second = await site.release("0.2.1", `${SOUND}\n# more`);
  const rolled = await site.roll(second);
  let kills = 0;
  const killing = setInterval(() => {
    kills++;
    (next() < 0.7 ? site.updater : site.box).kill("SIGKILL");
  }, 1_700);
  const timer = setTimeout(() => clearInterval(killing), 9_000);
  const ended = await site.outcome(rolled);
  clearTimeout(timer);
  clearInterval(killing);
  console.log(`seed ${seed}: killed ${kills} times, ${ended.state} ${ended.reason}`);
  // Killed often enough it has used its starts up: then the one before is the right one.
  const version = ended.state === "installed" ? "0.2.1" : "0.2.0";
  assert.equal(site.good(), site.slots.get(version));
  await site.untilHealthy(site.slots.get(version)!);
  await site.mustOpen();
});

Deno.test("a rollout taken back brings a box back to what it had, and its door opens", async () => {
  await using site = await UpdateSite.open();
  const first = await site.outcome(await site.roll(await site.release("0.2.0", SOUND)));
  assert.equal(first.state, "installed", first.reason);
  const second = await site.roll(await site.release("0.3.0", `${SOUND}\n# more`));
  const ended = await site.outcome(second);
  assert.equal(ended.state, "installed", ended.reason);
  assert.equal(site.good(), site.slots.get("0.3.0"));
  const runs = async (version: string) => {
    const [{ attributes }] = await site.desk.ok("li", "GET", "controllers");
    return attributes["app.sha256"] === site.slots.get(version);
  };
  await until("the district knows what runs", () => runs("0.3.0"));
  const { rollouts: [back] } = await site.desk.ok("wang", "POST", `rollouts/${second}/roll-back`);
  const { state, reason } = await site.outcome(back.id);
  assert.equal(state, "installed", reason);
  assert.equal(site.good(), site.slots.get("0.2.0"));
  await until("the district knows that it runs again", () => runs("0.2.0"));
  await site.untilHealthy(site.slots.get("0.2.0")!);
  await site.mustOpen();
});

Deno.test("outside the window a release is fetched and waits; called off, it is never switched to", async () => {
  await using site = await UpdateSite.open();
  const path = await site.release("0.2.0", SOUND);
  const never = { timezone: "Asia/Shanghai", weekly: [{ days: [1], from: "00:00", to: "00:01" }] };
  const today = Temporal.Now.zonedDateTimeISO("Asia/Shanghai").toPlainDate();
  const notOn = [-7, -1, 0, 1, 7].map((days) => today.add({ days }).toString());
  const rollout = await site.roll(path, { ...never, notOn });
  await until(
    "it waits",
    () => site.updater.lines.some((line) => line.includes('"at":"waiting"')),
  );
  await clock.sleep(3_000, new AbortController().signal);
  assert.equal((await site.health()).vitals.slot, "", "it has switched");
  await site.desk.ok("li", "POST", `rollouts/${rollout}/abort`);
  assert.equal((await site.outcome(rollout)).state, "cancelled");
  assert.equal((await site.health()).vitals.slot, "");
  // The next one is taken as if nothing had been.
  const next = await site.outcome(await site.roll(await site.release("0.2.1", SOUND)));
  assert.equal(next.state, "installed", next.reason);
});

/** What each bad release does before its box begins, and what the district is told. */
const BAD: Readonly<Record<string, { readonly first: string; readonly told: RegExp }>> = {
  "will not start": {
    first: `if [ "$1" = box ]; then exit 1; fi`,
    told: /all its starts are used up/,
  },
  "will not start, its updater neither": { first: "exit 1", told: /did-not-start/ },
  "starts and cannot open the door": {
    first: `if [ "$1" = box ]; then
  sed 's/driver: osdp, bus: bus, address: 0/driver: osdp, bus: bus, address: 5/' "$3" >"$3.bad"
  set -- box --config "$3.bad" --data "$DATA"
fi`,
    told: /reader in was online and is not any more/,
  },
  "eats memory": {
    first: `if [ "$1" = box ]; then
  cat >"$DATA/../hog.ts" <<'HOG'
const eaten = [];
Deno.unrefTimer(setInterval(() => eaten.push(new Uint8Array(30 << 20).fill(1)), 200));
HOG
  flags="-A --preload $DATA/../hog.ts"
fi`,
    told: /MB of memory/,
  },
  "loses the network": {
    first: `if [ "$1" = box ]; then flags="-A --deny-net=DISTRICT"; fi`,
    told: /the district was reached and is not any more/,
  },
  "corrupts its database": {
    first: `if [ "$1" = box ]; then
  for file in "$DATA"/journal*; do head -c 100000 /dev/urandom >"$file"; done
fi`,
    told: /it has spoilt the journal/,
  },
};

for (const [what, { first, told }] of Object.entries(BAD)) {
  Deno.test(`a release that ${what} goes back by itself, and the rollout stops`, () =>
    goesBack(what, first, told));
}

if (smallDiskRefusal !== undefined) {
  console.log(`skipped: a release that fills the disk: ${smallDiskRefusal}`);
}

Deno.test({
  name: "a release that fills the disk goes back by itself, and the rollout stops",
  ignore: smallDiskRefusal !== undefined,
  async fn() {
    await using disk = await SmallDisk.mount(150);
    const fill = `if [ "$1" = box ] && [ ! -e "$DATA/junk" ]; then cat /dev/zero >"$DATA/junk"; fi`;
    await goesBack(
      "fills the disk",
      fill,
      /filled the disk|cannot be written|used up/,
      disk.path,
    );
  },
});

async function goesBack(
  what: string,
  first: string,
  told: RegExp,
  folder?: string,
): Promise<void> {
  await using site = await UpdateSite.open(folder);
  await site.mustOpen();
  const before = await site.grants();
  const { host } = new URL(site.test.district.url);
  const path = await site.release("0.2.0", first.replace("DISTRICT", host));
  const begunMs = clock.monotonicMs();
  const rollout = await site.canaries(path);
  const { state, reason } = await site.outcome(rollout);
  const seconds = Math.round((clock.monotonicMs() - begunMs) / 1_000);
  assert.equal(state, "failed");
  assert.match(reason, told);
  const view = await site.desk.ok("li", "GET", `rollouts/${rollout}`);
  assert.equal(view.status, "paused", JSON.stringify(view));
  assert.equal(site.good(), undefined);
  await site.untilHealthy("");
  await site.mustOpen();
  // A journal that a release has spoilt is replaced; what it held is with the district.
  const stored = await site.test.district.events({ boxId: site.boxId, limit: 200 });
  const granted = stored.filter(({ recorded }) => recorded.event.kind === "access.granted").length;
  assert.ok(granted >= before, `${granted} of ${before} grants are on record`);
  console.log(`${what}: back after ${seconds} s; the district was told "${reason}"`);
}
