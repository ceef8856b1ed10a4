/**
 * Settings of a policy in stages: the real district, updater and box. The card that opens tells which settings
 * are in force, and the box is never started anew.
 */
import assert from "node:assert/strict";
import { WAY } from "../../ota/testing/mod.ts";
import { LI, load, POLICY, until, ZHANG } from "../support/gate_bench.ts";
import { random, seedOfRun } from "../crash/random.ts";
import { UpdateSite } from "./site.ts";

const { schedules, accessLevels: [staff, night], credentials } = POLICY;
const OWN = { holidays: [], schedules, accessLevels: [staff!, night!] };
/** Zhang may pass at no time, Li at any. */
const SWAPPED = {
  ...OWN,
  accessLevels: [{ ...staff!, grants: night!.grants }, { ...night!, grants: staff!.grants }],
};
/** What the district knows of it. */
const told = async (site: UpdateSite, what: "sha256" | "fault" = "sha256") =>
  (await site.desk.ok("li", "GET", "controllers"))[0].attributes[`policy.${what}`];
const running = async (site: UpdateSite) => (await site.health())?.vitals.policy.bundle;
const loaded = async (site: UpdateSite, name: string) =>
  await until(
    `the box has ${name}`,
    async () => (await site.health())?.vitals.policy.settings === name,
  );

/** Whether a card opens the door; one that is refused has been decided on. */
async function opens(site: UpdateSite, card: Uint8Array, bits: number): Promise<boolean> {
  const decided = async () =>
    (await site.bench.events()).filter(({ event }) =>
      /^access\.(granted|denied)$/.test((event as { kind: string }).kind)
    );
  await until("the door is locked", () => !site.bench.inside.output(0));
  const before = (await decided()).length;
  await until("the card is decided on", async () => {
    site.bench.inside.present(bits, card);
    await new Promise((resolve) => setTimeout(resolve, 300));
    return (await decided()).length > before;
  });
  const { event } = (await decided()).at(-1)!;
  return (event as { kind: string }).kind === "access.granted";
}
const zhang = (site: UpdateSite) => opens(site, ZHANG, 32);
const li = (site: UpdateSite) => opens(site, LI, 26);

Deno.test("settings are tried, kept over a start, and end when the district changes its own", async () => {
  await using site = await UpdateSite.open();
  const { starts } = site.box;
  assert.deepEqual([await zhang(site), await li(site)], [true, false]);
  const path = await site.settings("2.0.0", SWAPPED);
  const { state, reason } = await site.outcome(await site.roll(path));
  assert.equal(state, "installed", reason);
  assert.equal(site.box.starts, starts, "the box was started anew");
  assert.deepEqual([await zhang(site), await li(site)], [false, true]);
  const bundle = await running(site);
  assert.match(bundle, /^[0-9a-f]{64}$/);
  await until("the district knows it", async () => await told(site) === bundle);
  site.box.kill("SIGKILL");
  await until(
    "the box is back",
    async () => site.box.starts > starts && await running(site) === bundle,
  );
  assert.deepEqual([await zhang(site), await li(site)], [false, true]);
  // Li's card is lost: refused at once, though other settings stand in.
  await load(site.bench, {
    ...POLICY,
    credentials: credentials.map((one) => one.id === 12 ? { ...one, active: false } : one),
  });
  await until("the lost card is refused", async () => !await li(site));
  assert.equal(await running(site), bundle);
  // Others by hand, then those from before: what was tried does not come back.
  await load(site.bench, {
    ...POLICY,
    holidays: [{ id: "h", name: "h", from: "2026-10-01", to: "2026-10-01" }],
  });
  await loaded(site, "file:3");
  assert.equal(await running(site), "");
  await until("the district knows that it is over", async () => await told(site) === "");
  await load(site.bench, { ...POLICY });
  await loaded(site, "file:4");
  assert.deepEqual([await zhang(site), await li(site)], [true, false]);
});

Deno.test("settings that shut a door or do not fit are not taken, and say why; the rollout stops at its canary", async () => {
  await using site = await UpdateSite.open();
  const bad: readonly [string, object, string, RegExp][] = [
    [
      "2.0.0",
      { ...OWN, accessLevels: [staff] },
      "north",
      /unhealthy: cardholder 2 has access level night/,
    ],
    [
      "2.0.1",
      { ...OWN, accessLevels: [{ ...staff, grants: night!.grants }, night] },
      "north",
      /unhealthy: nobody could pass main any more/,
    ],
    ["2.0.2", OWN, "south", /refused: .*for district south, this box is of north/],
  ];
  for (const [version, settings, district, says] of bad) {
    const rollout = await site.canaries(await site.settings(version, settings, district));
    const { state, reason } = await site.outcome(rollout);
    assert.equal(state, "failed", version);
    assert.match(reason, says);
    await until(
      "it has stopped",
      async () => (await site.desk.ok("li", "GET", `rollouts/${rollout}`)).status === "paused",
    );
    await until("its own are in force", async () => {
      const said = (await site.health())?.vitals.policy;
      return said?.bundle === "" && said.fault === undefined;
    });
    assert.deepEqual([await zhang(site), await li(site)], [true, false]);
  }
});

Deno.test("settings that a new cardholder does not fit end at once, and the district hears why", async () => {
  await using site = await UpdateSite.open();
  // A level that nobody has yet, and that the settings to come leave out.
  const own = { ...POLICY, accessLevels: [...POLICY.accessLevels, { ...night!, id: "guests" }] };
  await load(site.bench, own);
  await loaded(site, "file:2");
  const { state, reason } = await site.outcome(
    await site.roll(await site.settings("2.0.0", SWAPPED)),
  );
  assert.equal(state, "installed", reason);
  await until("the district knows it", async () => await told(site) === await running(site));
  const wang = { id: 3, name: "王五", accessLevels: ["guests"] };
  await load(site.bench, { ...own, cardholders: [...POLICY.cardholders, wang] });
  await until("its own are in force", async () => await running(site) === "");
  assert.deepEqual([await zhang(site), await li(site)], [true, false]);
  await until(
    "the district knows why",
    async () => /cardholder 3 has access level guests/.test(await told(site, "fault")),
  );
  assert.equal(await told(site), "");
});

Deno.test("updater killed in every state, the box ends with the new settings; rolled back, with those before", async () => {
  await using site = await UpdateSite.open();
  let before = "";
  let last = 0;
  for (const [turn, state] of WAY.entries()) {
    const swapped = turn % 2 === 0;
    const holidays = [{ id: "h", name: `${turn}`, from: "2026-10-01", to: "2026-10-01" }];
    const path = await site.settings(`3.0.${turn}`, { ...swapped ? SWAPPED : OWN, holidays });
    last = await site.installedThoughKilled("policy", state, path);
    await until("the box has them", async () => {
      const now = await running(site);
      return now !== undefined && now !== before && now !== "";
    });
    before = await running(site);
  }
  assert.deepEqual([await zhang(site), await li(site)], [false, true]);
  const back = await site.desk.ok("li", "POST", `rollouts/${last}/roll-back`);
  const { state, reason } = await site.outcome(back.rollouts[0].id);
  assert.equal(state, "installed", reason);
  await until("those before are in force", async () => await running(site) !== before);
  assert.deepEqual([await zhang(site), await li(site)], [true, false]);
});

Deno.test("box and updater killed at any time, one set of settings or the other is in force", async () => {
  const seed = seedOfRun();
  const next = random(seed);
  console.log(`seed ${seed}`);
  await using site = await UpdateSite.open();
  const path = await site.settings("4.0.0", SWAPPED);
  const rollout = await site.roll(path);
  const ends = Date.now() + 8_000;
  while (Date.now() < ends) {
    await new Promise((resolve) => setTimeout(resolve, 300 + next() * 1_500));
    (next() < 0.5 ? site.box : site.updater).kill("SIGKILL");
  }
  const { state, reason } = await site.outcome(rollout);
  await site.untilHealthy("");
  // A box that was shot in its trial may have been found unwell: then it has its own.
  const expected = state === "installed";
  if (!expected) assert.match(reason, /unhealthy|did-not-start/);
  await until("it is as it was told", async () => (await running(site) !== "") === expected);
  assert.deepEqual([await zhang(site), await li(site)], [!expected, expected]);
});
