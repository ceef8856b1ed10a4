import assert from "node:assert/strict";
import {
  type BarrierState,
  barrierTakes,
  type BarrierTraits,
  initialBarrierState,
  stepBarrier,
} from "./barrier.ts";
import type { DoorInput } from "./machine.ts";
import { play } from "./play_test.ts";

const boom: BarrierTraits = {
  id: "b",
  kind: "barrier",
  holdMs: 20_000,
  heldOpenMs: 60_000,
  pulseMs: 500,
  queueMax: 1,
  lowerDelayMs: 1_000,
  travelMs: 4_000,
  outputLower: true,
};

const run = (
  inputs: readonly (readonly [number, DoorInput])[],
  untilMs = 0,
  traits: BarrierTraits = boom,
) =>
  play(
    (state, input, nowMs) => stepBarrier(traits, state, input, nowMs),
    initialBarrierState(),
    [[0, loop(false)], ...inputs],
    untilMs,
  );

const loop = (occupied: boolean | undefined): DoorInput => ({ kind: "loop", occupied });
const contact = (open: boolean): DoorInput => ({ kind: "contact", open });
const card = (cardholder: number, direction: "in" | "out" = "in"): DoorInput => ({
  kind: "unlock",
  cause: "access",
  direction,
  person: { credential: 1, cardholder },
});
const release = (active: boolean): DoorInput => ({ kind: "release", active });

Deno.test("raised for a card, lowered behind the vehicle: two orders, never both", () => {
  assert.deepEqual(run([[0, card(7)], [6_000, loop(true)], [9_000, loop(false)]], 600_000), [
    "0 raise ON",
    "0 door.unlocked access",
    "500 raise OFF",
    "9000 door.passed in",
    "10000 lower ON",
    "10000 door.relocked",
    "10500 lower OFF",
  ]);
});

Deno.test("one output holds it up", () => {
  const held = { ...boom, outputLower: false };
  assert.deepEqual(
    run([[0, card(7, "out")], [6_000, loop(true)], [9_000, loop(false)]], 600_000, held),
    [
      "0 raise ON",
      "0 door.unlocked access",
      "9000 door.passed out",
      "10000 raise OFF",
      "10000 door.relocked",
    ],
  );
});

Deno.test("nobody came: told, and lowered", () => {
  assert.deepEqual(run([[0, card(7)]], 600_000).slice(3), [
    "20000 lower ON",
    "20000 access.unused in 7",
    "20000 door.relocked",
    "20500 lower OFF",
  ]);
});

Deno.test("it never comes down on an occupied loop, and alarms when that lasts", () => {
  const done = run([[0, card(7)], [5_000, loop(true)], [500_000, loop(false)]], 900_000);
  assert.deepEqual(done.slice(3), [
    "80000 door.held",
    "500000 door.passed in",
    "501000 lower ON",
    "501000 door.secured",
    "501000 door.relocked",
    "501500 lower OFF",
  ]);
});

Deno.test("nor while nobody knows whether the loop is occupied", () => {
  const lost = run([[0, card(7)], [5_000, loop(true)], [6_000, loop(undefined)]], 70_000);
  assert.ok(!lost.some((line) => line.includes("lower")), lost.join());
  const back = run([[0, card(7)], [5_000, loop(undefined)], [40_000, loop(false)]], 50_000);
  assert.deepEqual(back.filter((line) => line.includes("lower ON")), ["41000 lower ON"]);
});

Deno.test("a vehicle that comes while it goes down raises it again, and is one too many", () => {
  const done = run(
    [[0, card(7)], [6_000, loop(true)], [9_000, loop(false)], [11_000, loop(true)], [
      15_000,
      loop(false),
    ]],
    600_000,
  );
  assert.deepEqual(done.slice(4), [
    "10000 lower ON",
    "10000 door.relocked",
    "10500 lower OFF",
    "11000 raise ON",
    "11000 door.tailgated 1",
    "11000 door.unlocked access",
    "11500 raise OFF",
    "15000 door.passed in",
    "16000 lower ON",
    "16000 door.relocked",
    "16500 lower OFF",
  ]);
});

Deno.test("one that follows before it goes down is one too many as well", () => {
  const done = run(
    [[0, card(7)], [6_000, loop(true)], [9_000, loop(false)], [9_400, loop(true)], [
      12_000,
      loop(false),
    ]],
    600_000,
  );
  assert.deepEqual(done.slice(3, 6), [
    "9000 door.passed in",
    "9400 door.tailgated 1",
    "12000 door.passed in",
  ]);
  assert.equal(done.filter((line) => line.includes("lower ON")).length, 1);
});

Deno.test("it stays up between two that were let through; a third must wait", () => {
  let state: BarrierState = initialBarrierState();
  for (const atMs of [0, 100]) {
    assert.ok(barrierTakes(boom, state));
    state = stepBarrier(boom, state, card(atMs), atMs).state;
  }
  assert.ok(!barrierTakes(boom, state));
  const done = run(
    [[0, card(1)], [100, card(2)], [6_000, loop(true)], [9_000, loop(false)], [
      12_000,
      loop(true),
    ], [14_000, loop(false)]],
    600_000,
  );
  assert.deepEqual(done.filter((line) => /passed|ON|tailgated/.test(line)), [
    "0 raise ON",
    "9000 door.passed in",
    "14000 door.passed in",
    "15000 lower ON",
  ]);
});

Deno.test("a vehicle that stands on the loop already is the one that is let through", () => {
  const done = run([[0, loop(true)], [1_000, card(7)], [8_000, loop(false)]], 600_000);
  assert.ok(done.includes("8000 door.passed in"), done.join());
  assert.ok(!done.some((line) => line.includes("unused")));
});

Deno.test("fire raises it; after that it waits for the loop", () => {
  const done = run(
    [[0, release(true)], [5_000, loop(true)], [9_000, release(false)], [20_000, loop(false)]],
    600_000,
  );
  assert.deepEqual(done, [
    "0 raise ON",
    "0 door.unlocked release",
    "500 raise OFF",
    "20000 door.passed in",
    "21000 lower ON",
    "21000 door.relocked",
    "21500 lower OFF",
  ]);
});

Deno.test("a lock-down ends what waits, not what is under the boom", () => {
  const locked: DoorInput = { kind: "mode", mode: "locked" };
  const under = run([[0, card(1)], [10, card(2)], [5_000, loop(true)], [6_000, locked], [
    9_000,
    loop(false),
  ]], 600_000);
  assert.deepEqual(under.slice(3, 6), [
    "6000 door.mode locked",
    "6000 access.unused in 2",
    "9000 door.passed in",
  ]);
});

Deno.test("a boom that is pushed up was forced", () => {
  assert.deepEqual(run([[0, contact(false)], [1_000, contact(true)], [3_000, contact(false)]], 1), [
    "1000 door.opened",
    "1000 door.forced",
    "3000 door.closed",
    "3000 door.secured",
  ]);
});

Deno.test("random traffic: no order to lower while the loop is not known to be free", () => {
  const seed = Number(Deno.env.get("SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]!);
  console.log(`seed ${seed}`);
  let word = seed;
  const next = (n: number) =>
    Math.floor((word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32 * n);
  for (let day = 0; day < 200; day++) {
    const traits = { ...boom, outputLower: next(2) === 0 };
    let state: BarrierState = initialBarrierState();
    let nowMs = 0;
    for (let deed = 0; deed < 300; deed++) {
      nowMs += next(6_000);
      const inputs: DoorInput[] = [
        { kind: "time" },
        loop([true, false, undefined][next(3)]),
        card(deed),
        release(next(2) === 0),
        contact(next(2) === 0),
        { kind: "mode", mode: (["normal", "free", "locked"] as const)[next(3)]! },
      ];
      const input = inputs[next(3) === 0 ? 0 : next(inputs.length)]!;
      if (input.kind === "unlock" && !barrierTakes(traits, state)) continue;
      const { state: after, steps } = stepBarrier(traits, state, input, nowMs);
      state = after;
      for (const step of steps) {
        if (step.kind !== "drive") continue;
        const lowers = traits.outputLower
          ? step.output === "lower" && step.active
          : step.output === "raise" && !step.active;
        if (lowers) assert.equal(state.loop, false, `SEED=${seed} day ${day} deed ${deed}`);
      }
      assert.ok(!(state.driven.raise && state.driven.lower));
    }
  }
});
