import assert from "node:assert/strict";
import { VirtualClock } from "./virtual_clock.ts";

const never = () => new AbortController().signal;

Deno.test("timers fire by due time, then in the order in which they were set", async () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
  const clock = new VirtualClock({ monotonicMs: 100 });
  const wanted: { due: number; order: number }[] = [];
  const fired: { due: number; order: number }[] = [];
  for (let order = 0; order < 500; order++) {
    const due = random(50);
    const cancel = clock.schedule(due, () => {
      assert.equal(clock.monotonicMs(), 100 + due);
      fired.push({ due, order });
    });
    if (random(4) === 0) {
      cancel();
      cancel();
    } else wanted.push({ due, order });
  }
  assert.equal(clock.pendingTimers(), wanted.length);
  await clock.advance(50);
  wanted.sort((a, b) => a.due - b.due || a.order - b.order);
  assert.deepEqual(fired, wanted, `seed ${seed}`);
  assert.equal(clock.pendingTimers(), 0);
});

Deno.test("promises settle between two timers, however deep their chain", async () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  const run = (async () => {
    await clock.sleep(10, never());
    for (let i = 0; i < 1_000; i++) await Promise.resolve();
    seen.push(`slept to ${clock.monotonicMs()}`);
    await clock.sleep(5, never());
    seen.push(`slept to ${clock.monotonicMs()}`);
  })();
  clock.schedule(11, () => seen.push("eleven"));
  await clock.advance(20);
  await run;
  assert.deepEqual(seen, ["slept to 10", "eleven", "slept to 15"]);
  assert.equal(clock.monotonicMs(), 20);
});

Deno.test("an aborted sleep rejects with the reason and leaves no timer", async () => {
  const clock = new VirtualClock();
  const abort = new AbortController();
  const sleeping = assert.rejects(clock.sleep(1_000, abort.signal), /enough/);
  abort.abort(new Error("enough"));
  await sleeping;
  assert.equal(clock.pendingTimers(), 0);
  await assert.rejects(clock.sleep(1, abort.signal), /enough/);
});

Deno.test("runUntilIdle ends when nothing is left, and refuses what never ends", async () => {
  const clock = new VirtualClock();
  let count = 0;
  const again = () => {
    if (++count < 10) clock.schedule(100, again);
  };
  clock.schedule(100, again);
  await clock.runUntilIdle();
  assert.equal(count, 10);
  assert.equal(clock.monotonicMs(), 1_000);
  const tick = () => void clock.schedule(1_000, tick);
  tick();
  await assert.rejects(clock.runUntilIdle(60_000), /1 timers are left/);
});

Deno.test("the wall clock steps alone", async () => {
  const clock = new VirtualClock({ wallMs: 1_000_000, wallQuality: "unsynchronised" });
  await clock.advance(500);
  assert.equal(clock.wallMs(), 1_000_500);
  clock.stepWall(-3_600_000);
  assert.equal(clock.wallMs(), 1_000_500 - 3_600_000);
  assert.equal(clock.monotonicMs(), 500);
  assert.equal(clock.wallQuality(), "unsynchronised");
  clock.setWallQuality("synchronised");
  assert.equal(clock.wallQuality(), "synchronised");
});

Deno.test("what a timer throws comes out of advance, and the clock goes on", async () => {
  const clock = new VirtualClock();
  clock.schedule(1, () => {
    throw new Error("broken");
  });
  await assert.rejects(clock.advance(5), /broken/);
  await clock.advance(5);
  assert.equal(clock.monotonicMs(), 6);
  const moving = clock.advance(1);
  await assert.rejects(clock.advance(1), /being moved already/);
  await moving;
  assert.throws(() => clock.schedule(NaN, () => {}), RangeError);
});
