/**
 * What every driver must stand, by an example of its device. Each check throws with a message for the
 * driver's author.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { DevicePlaybackOptions } from "../../hal/sim/mod.ts";
import type { AnyDriver } from "../../runtime/config/mod.ts";
import type { Example } from "./example.ts";
import { LOAD_MS_MAX, Rig, settle } from "./rig.ts";

/** One thing to be stood; skipped where `fits` says that the device has no such thing. */
export interface Check {
  readonly name: string;
  readonly fits?: (driver: AnyDriver, example: Example) => boolean;
  readonly run: (driver: AnyDriver, example: Example) => Promise<void>;
}

/** Bits of a byte at 9600 baud: one ms. */
const SLOW_BYTE_MS = 1;
/** Longest pause within a trace that is waited for. */
const TRACE_MS_MAX = 3_600_000;
/** How long a pulled adapter is away: longer than a re-enumeration takes. */
const ABSENT_MS = 3_000;
/** Senseless deeds of a device that babbles. */
const BABBLES = 200;
/** Reports that tell of something measured or read, and so must come again. */
const SUBSTANCE =
  /^(?:\d+: )?(?:card|keys|active|driven|reading \S+ |line \d+ |analog \d+ \d|read )/;

async function withRig(
  driver: AnyDriver,
  example: Example,
  options: DevicePlaybackOptions,
  run: (rig: Rig) => Promise<void>,
): Promise<void> {
  const rig = new Rig(driver, example, options);
  try {
    await run(rig);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const last = rig.logs.slice(-8).map((line) => `\n  ${line.slice(0, 300)}`).join("");
    error.message += `\nreported: ${rig.reports.slice(-12).join("; ")}\nlog:${last}`;
    throw error;
  } finally {
    rig.playback.stop();
  }
}

async function playExactly(
  driver: AnyDriver,
  example: Example,
  options: DevicePlaybackOptions,
): Promise<void> {
  await withRig(driver, example, options, async (rig) => {
    await rig.open();
    rig.start();
    const { clock, playback } = rig;
    let left = -1;
    for (let stuckMs = 0; playback.left().length > 0; stuckMs += 10) {
      assert.equal(playback.fault(), undefined, `it went another way: ${playback.fault()}`);
      if (playback.left().length !== left) [left, stuckMs] = [playback.left().length, 0];
      // What is left may be what the driver does when it closes.
      if (stuckMs > 10_000 && playback.left().every((step) => step.includes(": > "))) break;
      if (stuckMs > TRACE_MS_MAX) break;
      await clock.advance(10);
    }
    await clock.advance(example.settleMs);
    assert.equal(playback.fault(), undefined, `it went another way: ${playback.fault()}`);
    assert.deepEqual([...rig.reports], [...example.reports], "its reports are not those expected");
    await rig.close();
    assert.equal(playback.fault(), undefined, `it went another way: ${playback.fault()}`);
    assert.deepEqual(playback.left(), [], "steps of the trace were left");
    assert.deepEqual(rig.leftovers(), []);
  });
}

async function opensAgain(driver: AnyDriver, example: Example): Promise<void> {
  await withRig(driver, example, { mode: "tolerant" }, async (rig) => {
    for (let round = 0; round < 3; round++) {
      const before = rig.playback.bench.opened();
      await rig.open();
      rig.start();
      await rig.clock.advance(500);
      await rig.close();
      assert.deepEqual(rig.playback.bench.held(), [], "closing did not let go");
      if (driver.bus !== "one-wire") {
        assert.ok(rig.playback.bench.opened() > before, "it took nothing of its host");
      }
    }
    const told = rig.reports.length;
    await rig.clock.advance(60_000);
    assert.equal(rig.reports.length, told, "it reported after it was closed");
    assert.deepEqual(rig.leftovers(), []);
  });
}

/** Opens and aborts after `turns` turns of the event loop: before, between and after its awaits. */
async function abortsWhileOpening(driver: AnyDriver, example: Example): Promise<void> {
  for (let turns = 0; turns <= 20; turns++) {
    await withRig(driver, example, { mode: "tolerant" }, async (rig) => {
      const abort = new AbortController();
      const reason = new Error("the box stops");
      if (turns === 0) abort.abort(reason);
      const opening = rig.opening(abort.signal);
      opening.catch(() => {});
      for (let turn = 1; turn < turns; turn++) await Promise.resolve();
      abort.abort(reason);
      try {
        await settle(
          rig.clock,
          opening,
          10_000,
          `opening, aborted at turn ${turns},`,
          LOAD_MS_MAX,
        );
      } catch (error) {
        if (error !== reason && (error as Error).name !== "AbortError") throw error;
      }
      await rig.close();
      await rig.clock.advance(1);
      assert.deepEqual(rig.leftovers(), [], `aborted at turn ${turns}`);
    });
  }
}

async function abortsWhileRunning(driver: AnyDriver, example: Example): Promise<void> {
  for (const afterMs of [0, 37, 1_000]) {
    await withRig(driver, example, { mode: "tolerant" }, async (rig) => {
      await rig.open();
      rig.start();
      await rig.clock.advance(afterMs);
      rig.abort();
      await rig.clock.advance(10);
      const told = rig.reports.length;
      await rig.clock.advance(10_000);
      const late = rig.reports.slice(told).filter((line) => SUBSTANCE.test(line));
      if (driver.kind !== "output") assert.deepEqual(late, [], "it went on after the abort");
      await rig.close();
      assert.deepEqual(rig.leftovers(), []);
    });
  }
}

/** Waits until what shows that the driver is well again was reported. */
async function recovers(rig: Rig, example: Example, from: number, after: string): Promise<void> {
  const wanted = example.recovers ??
    [...new Set(example.reports.filter((line) => SUBSTANCE.test(line)))];
  assert.ok(wanted.length > 0, "the example reads or measures nothing; or say what `recovers`");
  const missing = () =>
    wanted.filter((start) => !rig.reports.slice(from).some((line) => line.startsWith(start)));
  for (let waitedMs = 0; missing().length > 0; waitedMs += 50) {
    if (waitedMs > example.recoverMs) {
      assert.fail(`${after}, it did not report ${missing().join("; ")} in ${example.recoverMs} ms`);
    }
    if (waitedMs % 5_000 === 0) rig.act();
    await rig.clock.advance(50);
  }
}

async function comesBack(driver: AnyDriver, example: Example): Promise<void> {
  const probe = new Rig(driver, example, { mode: "tolerant" });
  const steps = probe.playback.deviceSteps();
  probe.playback.stop();
  // An output's device says nothing: it is pulled when half of the acts are done.
  const cuts = steps.length === 0 ? [-1] : [
    ...new Set(
      [0, 0.25, 0.5, 0.75, 0.999].map((part) => steps[Math.floor(part * steps.length)]!),
    ),
  ];
  for (const cut of cuts) {
    await withRig(driver, example, { mode: "tolerant" }, async (rig) => {
      const { playback, clock } = rig;
      const cutNow = Promise.withResolvers<void>();
      if (cut >= 0) playback.cutAt(cut, cutNow.resolve);
      await rig.open();
      rig.start();
      if (cut >= 0) await settle(clock, cutNow.promise, example.recoverMs, `reaching step ${cut}`);
      else await clock.advance(Math.max(0, ...example.acts.map((act) => act.afterMs ?? 0)) / 2);
      playback.unplug();
      await clock.advance(ABSENT_MS);
      const from = rig.reports.length;
      playback.plug();
      await recovers(rig, example, from, `pulled in the middle of step ${cut} and put back`);
      await rig.close();
      assert.deepEqual(rig.leftovers(), []);
    });
  }
}

async function standsGarbage(driver: AnyDriver, example: Example): Promise<void> {
  const seed = Number(Deno.env.get("SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]!);
  let word = seed;
  const random = (n: number) => {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(word / 2 ** 32 * n);
  };
  await withRig(driver, example, { mode: "tolerant" }, async (rig) => {
    await rig.open();
    rig.start();
    for (let deed = 0; deed < BABBLES; deed++) {
      rig.playback.babble(random);
      await rig.clock.advance(random(20));
    }
    rig.playback.plug();
    const from = rig.reports.length;
    await recovers(rig, example, from, `after garbage (SEED=${seed})`);
    await rig.close();
    assert.deepEqual(rig.leftovers(), []);
  });
}

/** Whether bytes of the device come on something that can part them. */
function hasBytes(_driver: AnyDriver, { trace, slow }: Example): boolean {
  return slow && (/^# gatehouse serial trace/.test(trace) || /< socket /.test(trace));
}

function isWhole(_driver: AnyDriver, example: Example): boolean {
  return example.only === undefined;
}

/** In the order in which an author should look at them. */
export const CHECKS: readonly Check[] = [
  {
    name: "reports exactly what a recorded device did",
    run: (driver, example) => playExactly(driver, example, { mode: "exact" }),
  },
  {
    name: "the same when bytes come one by one",
    fits: hasBytes,
    run: (driver, example) =>
      playExactly(driver, example, { mode: "exact", byteEveryMs: SLOW_BYTE_MS }),
  },
  { name: "opens, closes, closes again and opens again", fits: isWhole, run: opensAgain },
  {
    name: "ends at once when it is aborted while it opens",
    fits: isWhole,
    run: abortsWhileOpening,
  },
  { name: "ends at once when it is aborted while it runs", fits: isWhole, run: abortsWhileRunning },
  {
    name: "is well again after its device was pulled in mid-frame and put back",
    fits: isWhole,
    run: comesBack,
  },
  { name: "is well again after garbage", fits: isWhole, run: standsGarbage },
];
