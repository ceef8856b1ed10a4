import assert from "node:assert/strict";
import { VirtualClock } from "../hal/sim/mod.ts";
import { TimeScale } from "./time_scale.ts";

const DISTRICT = Date.UTC(2026, 8, 1, 8);

Deno.test("is the box's own time until the district was heard of", async () => {
  const clock = new VirtualClock({ wallMs: 86_400_000 });
  const time = new TimeScale(clock, () => assert.fail("nothing was learned"));
  assert.equal(time.known, false);
  await clock.advance(500);
  assert.equal(time.nowMs(), 86_400_500);
});

Deno.test("then goes on by the monotonic clock, whatever the wall clock does", async () => {
  const clock = new VirtualClock({ wallMs: 86_400_000, monotonicMs: 1_000 });
  const told: number[] = [];
  const time = new TimeScale(clock, (ms) => told.push(ms));
  time.learn(DISTRICT, 0, 1_000);
  assert.deepEqual(told, [DISTRICT]);
  await clock.advance(10_000);
  assert.equal(time.nowMs(), DISTRICT + 10_000);
  assert.equal(time.wallErrorMs(), 86_400_000 - DISTRICT);
  clock.stepWall(DISTRICT - 86_400_000);
  assert.equal(time.nowMs(), DISTRICT + 10_000);
  assert.equal(time.wallErrorMs(), 0);
});

Deno.test("half the round trip is the district's time on its way", async () => {
  const clock = new VirtualClock();
  const time = new TimeScale(clock, () => {});
  await clock.advance(200);
  time.learn(DISTRICT, 0, 0);
  assert.equal(time.nowMs(), DISTRICT + 100);
});

Deno.test("a coarse time does not spoil a fine one, unless they contradict each other", async () => {
  const clock = new VirtualClock();
  const time = new TimeScale(clock, () => {});
  time.learn(DISTRICT + 700, 0, 0);
  await clock.advance(100);
  // To the second: 8:00:00 is 700 ms ago, and consistent.
  time.learn(DISTRICT, 1_000, clock.monotonicMs());
  assert.equal(time.nowMs(), DISTRICT + 800);
  // The district's clock was set by an hour.
  time.learn(DISTRICT + 3_600_000, 1_000, clock.monotonicMs());
  assert.equal(time.nowMs(), DISTRICT + 3_600_500);
});

Deno.test("what was learned long ago gives way to what is known now", async () => {
  const clock = new VirtualClock();
  const time = new TimeScale(clock, () => {});
  time.learn(DISTRICT, 0, 0);
  // Quartz that is 50 ppm off: 4.3 s in a day.
  await clock.advance(86_400_000);
  const sentMs = clock.monotonicMs();
  time.learn(DISTRICT + 86_404_300, 0, sentMs);
  assert.equal(time.nowMs(), DISTRICT + 86_404_300);
});
