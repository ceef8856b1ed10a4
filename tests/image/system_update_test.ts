/**
 * A box updates its whole system: the real district, the real card, RAUC and the boot loader in it,
 * and a plug that is pulled at random moments.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { VERSION } from "../../runtime/version.ts";
import { random, seedOfRun } from "../crash/random.ts";
import { cardRefusal } from "./card_guest.ts";
import { clock, type Machine, SystemSite } from "./system_site.ts";

const refusal = cardRefusal();
if (refusal !== undefined) console.log(`skipped: updates of the system: ${refusal}`);
/** Bad systems, which cost a quarter of an hour of an emulated machine each. */
const BAD = Deno.env.get("SYSTEM_BAD") === "1";
/** Pulls of the plug: each costs minutes. */
const CUTS = Number(Deno.env.get("SYSTEM_CUTS") ?? "0");
/** States of an update in which the power is lost, on purpose: some by name, or 1 for each. */
const STATES = Deno.env.get("SYSTEM_STATES")?.split(",") ?? [];
/** How long a whole update took here: a pull comes anywhere within that time after switching on. */
let updateMs = 600_000;

Deno.test({
  name: "a system is updated block by block, tried once, and goes back when it is no good",
  ignore: refusal !== undefined,
  async fn(t) {
    const folder = await Deno.makeTempDir({ prefix: "system-update-" });
    try {
      await using site = await SystemSite.open(folder);
      await step(t, "a flashed card enrols by itself, and its token is gone", async () => {
        assert.match(await site.settings(), /token: /);
        // Its battery is empty.
        await using machine = await site.on("2025-01-01T00:00:00");
        await site.enrolled(machine);
        const sh = (command: string) => machine.guest.sh(command);
        const named = await sh("uname -n; systemctl --failed --no-legend --plain");
        assert.equal(named.said.trim(), "east-gate");
        assert.doesNotMatch(await site.settings(), /token: /, "the token is still on the card");
        // The district it finds without: it may be there before the time is.
        const waited = await sh("chronyc -n waitsync 240 1 0 1");
        assert.equal(waited.code, 0, waited.said);
        // Nobody but the server of authenticated time was asked.
        const { said: asked } = await sh("chronyc -n authdata");
        assert.match(asked, /\n10\.0\.2\.2 +NTS +[1-9]/, asked);
        assert.equal(asked.match(/\n[0-9a-f].*\b(NTS|SK|-)\b/g)?.length, 1, asked);
        const seconds = Number((await sh("date +%s")).said);
        assert.ok(Math.abs(seconds - clock.wallMs() / 1_000) < 5, `its clock says ${seconds}`);
        // The box's user may restart the box, and no other unit.
        const may = async (unit: string) =>
          (await sh(`runuser -u gatehouse -- systemctl --no-block restart ${unit}`)).code === 0;
        assert.ok(await may("gatehouse-box.service"), "the updater may not restart the box");
        assert.ok(!await may("systemd-networkd.service"), "it may restart the network");
      });
      if (CUTS === 0 && STATES.length === 0 && !BAD) {
        const how = "SYSTEM_CUTS=20, SYSTEM_STATES=1 and SYSTEM_BAD=1 make them";
        return console.log(`skipped: updates of the system; ${how}`);
      }
      if (STATES.length > 0) {
        await step(t, "the power lost in a state", (part) => everyState(site, part));
      }
      for (const bad of BAD ? BAD_SYSTEMS : []) {
        await step(t, `${bad.what}: it goes back by itself`, () => gone(site, bad));
      }
      if (CUTS === 0) return;
      await step(t, "it takes a new system while its door decides", async () => {
        await using machine = await site.on();
        await machine.guest.booted();
        const { slot } = await runs(machine);
        const path = await site.release("0.2.0", () => Promise.resolve());
        const begunMs = clock.monotonicMs();
        const { id } = await site.desk.rollout(path);
        await installed(site, id);
        updateMs = clock.monotonicMs() - begunMs;
        console.log(`a new system in ${Math.round(updateMs / 1_000)} s`);
        await machine.guest.booted();
        const other = slot === "A" ? "B" : "A";
        assert.deepEqual(await runs(machine), { version: "0.2.0", slot: other, onTrial: false });
        await site.opens(machine.reader);
      });
      await step(t, "the plug pulled at any moment, no box is lost and no event", () => cuts(site));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** A step whose fault is said when it comes: the test's own summary is hours away. */
async function step(
  t: Deno.TestContext,
  name: string,
  fn: (part: Deno.TestContext) => Promise<void>,
): Promise<void> {
  await t.step(name, async (part) => {
    try {
      await fn(part);
    } catch (error) {
      console.error(error);
      throw error;
    }
  });
}

const BAD_SYSTEMS = [
  {
    ...{ what: "a kernel that does not come up", version: "0.3.0" },
    ...{ spoil: spoilInitrd, says: /did-not-start/ },
  },
  { what: "a door that does not open", version: "0.4.0", spoil: spoilBox, says: /unhealthy/ },
  {
    ...{ what: "an updater that does not start", version: "0.4.5" },
    ...{ spoil: spoilUpdater, says: /did-not-start/ },
  },
] as const;

/** A bad system is gone by itself, and the one before it runs again. */
async function gone(
  site: SystemSite,
  { what, version, spoil, says }: typeof BAD_SYSTEMS[number],
): Promise<void> {
  await using machine = await site.on();
  await machine.guest.booted();
  const before = await runs(machine);
  const begunMs = clock.monotonicMs();
  const { id } = await site.desk.rollout(await site.release(version, spoil));
  const { state, reason } = await site.outcome(id);
  assert.equal(state, "failed");
  assert.match(reason, says);
  await site.opens(machine.reader);
  await machine.guest.booted();
  assert.deepEqual(await runs(machine), before);
  const tookS = Math.round((clock.monotonicMs() - begunMs) / 1_000);
  console.log(`${what}: ${reason} after ${tookS} s`);
}

/** Good systems, in turn: what the other slot holds already would not be written again. */
const TURNS = ["0.5.0", "0.6.0", "0.2.0"] as const;

/** Systems one after the other, and a plug that is pulled; what was on record stays on record. */
async function cuts(site: SystemSite): Promise<void> {
  const seed = seedOfRun();
  const next = random(seed);
  console.log(`seed ${seed}: ${CUTS} cuts`);
  const paths = new Map([["0.2.0", "os/0.2.0/gatehouse-amd64.raucb"]]);
  for (const version of ["0.5.0", "0.6.0"]) {
    paths.set(version, await site.release(version, () => Promise.resolve()));
  }
  const at: Record<string, number> = {};
  let known: string[] = [];
  let good = "0.2.0";
  let turn = 0;
  let rollout: number | undefined;
  for (let cut = 0; cut <= CUTS;) {
    const version = TURNS[turn % TURNS.length]!;
    rollout ??= (await site.desk.rollout(paths.get(version)!)).id;
    const waitMs = cut === CUTS ? Infinity : next() * updateMs;
    const told = await untilCut(site, rollout, waitMs, async (machine, { state, reason }) => {
      console.log(`${version}: ${state} ${reason}`);
      if (state === "installed") good = version;
      await site.opens(machine.reader);
      await machine.guest.booted();
      // Twice cut off on trial a good system is given up: then the one before is the right one.
      const { version: running, onTrial } = await runs(machine);
      assert.deepEqual({ running, onTrial }, { running: good, onTrial: false }, reason);
      const events = (await site.events(machine)).map((one) => JSON.stringify(one));
      assert.deepEqual(events.slice(0, known.length), known, "what was on record is gone");
      known = events;
    });
    if (told) {
      if (cut === CUTS) break;
      rollout = undefined;
      turn++;
    } else {
      const state = await site.state();
      at[state] = (at[state] ?? 0) + 1;
      cut++;
      console.log(`cut ${cut} of ${CUTS}: ${state}`);
    }
  }
  console.log(`cut ${CUTS} times, at ${JSON.stringify(at)}; runs ${good}`);
  assert.ok(CUTS < 5 || Object.keys(at).some((state) => state !== "idle"), "no cut met an update");
}

/** Has the machine on for `waitMs`, or until it has told how it went; whether it has. */
async function untilCut(
  site: SystemSite,
  rollout: number,
  waitMs: number,
  look: (machine: Machine, told: { state: string; reason: string }) => Promise<void>,
): Promise<boolean> {
  await using machine = await site.on();
  const endMs = clock.monotonicMs() + waitMs;
  const told = await site.outcome(rollout, () => clock.monotonicMs() >= endMs);
  if (!["installed", "failed"].includes(told?.state)) return false;
  await look(machine, told);
  return true;
}

async function installed(site: SystemSite, rollout: number): Promise<void> {
  const { state, reason } = await site.outcome(rollout);
  assert.equal(state, "installed", reason);
}

async function runs({ guest }: Machine) {
  const { said } = await guest.sh("cat /usr/lib/gatehouse-image.json /proc/cmdline");
  const trial = await guest.sh("/usr/lib/gatehouse-start/boot on-trial");
  return {
    version: /"version":"([^"]+)"/.exec(said)?.[1],
    slot: /rauc\.slot=([AB])/.exec(said)?.[1],
    onTrial: trial.code === 0,
  };
}

/**
 * States on the way of a system, where its update may stand after the next start, and how it may end then.
 * Nothing is done in `staging`: RAUC has read again what it wrote. What is on trial is started once: a reset
 * leads back, and until its updater is up to say so it gets a second start.
 */
const WAY = [
  ["fetching", /^(fetching|waiting)$/, /^installed$/],
  ["waiting", /^(waiting|switching|trial)$/, /^installed$/],
  ["switching", /^(switching|trial)$/, /^installed$/],
  ["trial", /^(trial|idle)$/, /^failed did-not-start/],
  ["confirming", /^(confirming|idle)$/, /^(installed|failed did-not-start)/],
  ["reverting", /^(reverting|idle)$/, /^failed unhealthy/],
] as const;

/** An update a state, with the power lost in that state: the box goes on by itself, and its system is good. */
async function everyState(site: SystemSite, t: Deno.TestContext): Promise<void> {
  const good = new Map<string, string>();
  for (const version of ["0.2.5", "0.2.6"]) {
    good.set(version, await site.release(version, () => Promise.resolve()));
  }
  // What the card was flashed with.
  let running = VERSION;
  const chosen = WAY.filter(([state]) => STATES.includes("1") || STATES.includes(state));
  for (const [state, next, end] of chosen) {
    await step(t, `lost while ${state}`, async () => {
      const version = state === "reverting" ? "0.2.7" : running === "0.2.5" ? "0.2.6" : "0.2.5";
      const path = good.get(version) ?? await site.release(version, spoilBox);
      const { id } = await site.desk.rollout(path);
      await lostIn(site, state, id);
      assert.equal(await site.state(), state, "the card holds another state than was seen");
      const begunMs = clock.monotonicMs();
      await using machine = await site.on();
      await machine.guest.booted();
      const { said } = await machine.guest.sh(`until [ -e ${STATE_FILE} ]; do :; done; ${AT}`);
      assert.match(said.trim(), next);
      await site.opens(machine.reader);
      const told = await site.outcome(id);
      assert.match(`${told.state} ${told.reason ?? ""}`.trim(), end);
      if (told.state === "installed") running = version;
      // One that went back by the loss of power alone does not start once more.
      await machine.guest.ready();
      const now = await runs(machine);
      const expected = { version: running, onTrial: false };
      assert.deepEqual({ version: now.version, onTrial: now.onTrial }, expected);
      const tookS = Math.round((clock.monotonicMs() - begunMs) / 1_000);
      console.log(`lost while ${state}, then ${said.trim()}: ${told.state} after ${tookS} s`);
    });
  }
}

const STATE_FILE = "/data/updates/os.json";
/** What the file says, in the guest's own shell. */
const AT = `sed -n 's/.*"at":"\\([a-z]*\\)".*/\\1/p' ${STATE_FILE}`;

/**
 * Has the machine on until its update is in `state`; it watches that itself, and switches itself off in
 * that very moment; nothing but the state itself is synced.
 */
async function lostIn(site: SystemSite, state: string, rollout: number): Promise<void> {
  await using machine = await site.on();
  await machine.guest.booted();
  // A shell's own words only, for a state may last for milliseconds; reading from nobody is its sleep.
  const script = [
    "exec 3<> <(:)",
    `until [[ -e ${STATE_FILE} ]]; do read -t 0.2 -u 3; done`,
    `while read -r x <${STATE_FILE}; [[ $x != *'"at":"${state}"'* ]]; do read -t 0.005 -u 3; done`,
    // A file has its new name before its folder is on the card: then the state before it was cut.
    "sync /data/updates",
    "echo o >/proc/sysrq-trigger",
  ].join("\n");
  const words = btoa(script);
  let gone = false;
  // What is tried comes with a new start, and with a shell that knows nothing of the one before.
  const watching = (async () => {
    while (!gone) {
      await machine.guest.sh(
        `(echo ${words} | base64 -d >/run/watch; bash /run/watch >/dev/null 2>&1 &)`,
      );
      await machine.guest.booted(Infinity);
    }
  })();
  // It ends with the machine.
  watching.catch(() => {});
  const over = (async () => {
    const { state: ended, reason } = await site.outcome(rollout, () => gone);
    // It was faster than anybody could look.
    assert.ok(gone, `never seen while ${state}: ${ended} ${reason}`);
  })();
  await Promise.race([machine.guest.off(), over]);
  gone = true;
  await over;
}

async function spoilInitrd(root: string): Promise<void> {
  const file = join(root, "usr/lib/gatehouse-start/initrd");
  await Deno.writeFile(file, new Uint8Array((await Deno.stat(file)).size).fill(0x5a));
}

function spoilBox(root: string): Promise<void> {
  return change(root, "gatehouse-box.service", /^ExecStart=.*$/m, "ExecStart=/bin/false");
}

/** Nobody is there to look after the trial; the 20 minutes until it is over are three here. */
async function spoilUpdater(root: string): Promise<void> {
  await change(root, "gatehouse-updater.service", /^ExecStart=.*$/m, "ExecStart=/bin/false");
  await change(root, "gatehouse-trial.service", "sleep 1200", "sleep 180");
}

/** Changes the one place in a unit of the system in `root`. */
async function change(
  root: string,
  unit: string,
  place: RegExp | string,
  to: string,
): Promise<void> {
  const file = join(root, "usr/lib/systemd/system", unit);
  const text = await Deno.readTextFile(file);
  const changed = text.replace(place, to);
  assert.notEqual(changed, text, `${unit} has no ${place}`);
  await Deno.writeTextFile(file, changed);
}
