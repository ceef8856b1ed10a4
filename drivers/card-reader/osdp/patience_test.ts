import assert from "node:assert/strict";
import { Patience } from "./patience.ts";
import { openLineRig } from "./rig_test.ts";

const learned = (delayMs: number) => {
  const patience = new Patience();
  for (let i = 0; i < 32; i++) patience.answered(delayMs);
  return patience;
};

Deno.test("a reader has all its time until its replies were timed", () => {
  const patience = new Patience();
  for (let i = 0; i < 31; i++) patience.answered(3);
  assert.equal(patience.waitMs(200), 200);
  patience.answered(3);
  assert.equal(patience.waitMs(200), 60);
});

Deno.test("it is waited for longer than its slowest, longer with each miss, and never over what is configured", () => {
  const patience = learned(3);
  const waits = [0, 1, 2, 3, 4].map(() => {
    const waitMs = patience.waitMs(200);
    patience.missed();
    return waitMs;
  });
  assert.deepEqual(waits, [60, 60, 120, 200, 200]);
  patience.heard();
  assert.equal(patience.waitMs(200), 60);
  assert.equal(learned(40).waitMs(200), 160);
  assert.equal(learned(90).waitMs(200), 200);
  assert.equal(learned(3).waitMs(50), 50);
});

Deno.test("one slow reply is remembered for a while", () => {
  const patience = learned(3);
  patience.answered(40);
  assert.equal(patience.waitMs(200), 160);
  for (let i = 0; i < 300; i++) patience.answered(3);
  assert.equal(patience.waitMs(200), 60);
});

Deno.test("a reader fails after three misses and 1.5 s of silence, not one of them", () => {
  const patience = learned(3);
  patience.missed();
  patience.missed();
  assert.equal(patience.failing(9_000), false);
  patience.missed();
  assert.equal(patience.failing(1_499), false);
  assert.equal(patience.failing(1_500), true);
  patience.heard();
  assert.equal(patience.failing(9_000), false);
});

Deno.test("a lost reply costs the neighbours 60 ms, and a reader that becomes slow is not given up", async () => {
  await using rig = await openLineRig([{ address: 0 }, { address: 1 }], { baudRate: 38_400 });
  await rig.clock.advance(3_000);
  const asked: number[] = [];
  rig.devices[1]!.onCommand((_code, _sequence, atMs) => asked.push(atMs));
  const longestMs = () => Math.max(...asked.slice(1).map((atMs, i) => atMs - asked[i]!));
  await rig.clock.advance(100);
  rig.devices[0]!.faults.loseReplies = 1;
  await rig.clock.advance(1_000);
  assert.ok(longestMs() > 60 && longestMs() < 110, `${longestMs()} ms`);
  // From now on it takes nearly all that the standard gives it.
  rig.devices[0]!.faults.lateMs = 180;
  await rig.clock.advance(3_000);
  rig.events.length = 0;
  for (let i = 0; i < 5; i++) {
    rig.devices[0]!.present(32, Uint8Array.of(0, 0, 0, i));
    await rig.clock.advance(700);
  }
  assert.deepEqual(rig.events, [0, 1, 2, 3, 4].map((i) => `0: card 32 0000000${i}`));
  assert.equal(rig.bus.reader(0).online(), true);
});
