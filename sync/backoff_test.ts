import assert from "node:assert/strict";
import { VirtualClock } from "../hal/sim/mod.ts";
import { Backoff, Wakeup } from "./backoff.ts";

const forever = new AbortController().signal;

/** How long the next try waits, in whole ms, at most `withinMs`. */
async function waited(clock: VirtualClock, backoff: Backoff, withinMs = 10_000): Promise<number> {
  const startMs = clock.monotonicMs();
  let endMs: number | undefined;
  const wait = backoff.wait(forever).then(() => endMs = clock.monotonicMs());
  await clock.advance(0);
  while (endMs === undefined && clock.monotonicMs() - startMs < withinMs) await clock.advance(10);
  if (endMs === undefined) {
    backoff.succeeded();
    await wait;
    return Infinity;
  }
  return endMs - startMs;
}

Deno.test("waits double up to the cap, each spread over its whole range", async () => {
  for (
    const [random, expected] of [[0.999999, [100, 200, 400, 800, 800]], [0, [0, 0, 0]]] as const
  ) {
    const clock = new VirtualClock();
    const backoff = new Backoff({ clock, random: () => random, baseMs: 100, capMs: 800 });
    assert.equal(await waited(clock, backoff), 0);
    for (const ms of expected) {
      backoff.failed(clock.monotonicMs());
      const actual = await waited(clock, backoff);
      assert.ok(Math.abs(actual - ms) < 1, `${actual} instead of ${ms}`);
    }
    backoff.succeeded();
    backoff.failed(clock.monotonicMs());
    const first = expected[0]!;
    assert.ok(Math.abs(await waited(clock, backoff) - first) < 1, "a success starts anew");
  }
});

Deno.test("failures of calls that were under way together count once", async () => {
  const clock = new VirtualClock();
  const backoff = new Backoff({ clock, random: () => 0.999999, baseMs: 100, capMs: 10_000 });
  await clock.advance(5);
  backoff.failed(0);
  backoff.failed(1);
  backoff.failed(2);
  assert.ok(await waited(clock, backoff) <= 100);
});

Deno.test("Retry-After is added to the jitter, and bounded", async () => {
  const clock = new VirtualClock();
  const backoff = new Backoff({ clock, random: () => 0.5, baseMs: 100, capMs: 100 });
  backoff.failed(0, 2_000);
  assert.equal(await waited(clock, backoff), 2_050);
  backoff.failed(clock.monotonicMs(), 1e12);
  assert.equal(await waited(clock, backoff, 3_500_000), Infinity);
  backoff.failed(clock.monotonicMs(), 1e12);
  assert.ok(await waited(clock, backoff, 3_700_000) <= 3_600_100);
});

Deno.test("a success wakes whoever waits; an abort ends the wait with its reason", async () => {
  const clock = new VirtualClock();
  const backoff = new Backoff({ clock, random: () => 0.5, baseMs: 1e6, capMs: 1e6 });
  backoff.failed(0);
  const waiting = backoff.wait(forever);
  backoff.succeeded();
  await waiting;
  backoff.failed(clock.monotonicMs());
  const stop = new AbortController();
  const aborted = backoff.wait(stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(aborted, /enough/);
  assert.equal(clock.pendingTimers(), 0);
});

Deno.test("a wake-up before the wait is not lost, and counts once", async () => {
  const wakeup = new Wakeup();
  wakeup.notify();
  wakeup.notify();
  await wakeup.wait(forever);
  let woken = false;
  const second = wakeup.wait(forever).then(() => woken = true);
  await Promise.resolve();
  assert.equal(woken, false);
  wakeup.notify();
  await second;
  const stop = new AbortController();
  const aborted = wakeup.wait(stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(aborted, /enough/);
});
