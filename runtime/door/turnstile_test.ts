import assert from "node:assert/strict";
import { play } from "./play_test.ts";
import type { DoorInput } from "./machine.ts";
import {
  initialTurnstileState,
  stepTurnstile,
  type TurnstileState,
  turnstileTakes,
  type TurnstileTraits,
} from "./turnstile.ts";

const tripod: TurnstileTraits = {
  id: "t",
  kind: "turnstile",
  holdMs: 5_000,
  pulseMs: undefined,
  queueMax: 2,
  feedback: true,
  outputOut: true,
};

const run = (
  inputs: readonly (readonly [number, DoorInput])[],
  untilMs = 0,
  traits: TurnstileTraits = tripod,
) =>
  play(
    (state, input, nowMs) => stepTurnstile(traits, state, input, nowMs),
    initialTurnstileState(),
    inputs,
    untilMs,
  );

const card = (cardholder: number, direction: "in" | "out" = "in"): DoorInput => ({
  kind: "unlock",
  cause: "access",
  direction,
  person: { credential: 1, cardholder },
});
const passed = (direction?: "in" | "out"): DoorInput => ({ kind: "passed", direction });
const release = (active: boolean): DoorInput => ({ kind: "release", active });

Deno.test("one grant is one passage, by the output of its direction", () => {
  assert.deepEqual(run([[0, card(7)], [1_200, passed("in")]], 60_000), [
    "0 in ON 5000",
    "0 door.unlocked access",
    "1200 in OFF",
    "1200 door.passed in",
    "1200 door.relocked",
  ]);
  assert.deepEqual(run([[0, card(7, "out")], [900, passed("out")]], 60_000)[0], "0 out ON 5000");
});

Deno.test("without an output for the way out the one output serves both", () => {
  const one = { ...tripod, outputOut: false };
  assert.deepEqual(run([[0, card(7, "out")]], 1, one)[0], "0 in ON 5000");
});

Deno.test("a pulse ends by itself while the grant still waits", () => {
  assert.deepEqual(
    run([[0, card(7)], [3_000, passed("in")]], 60_000, { ...tripod, pulseMs: 400 }),
    [
      "0 in ON 400",
      "0 door.unlocked access",
      "400 in OFF",
      "3000 door.passed in",
      "3000 door.relocked",
    ],
  );
});

Deno.test("granted and nobody went: told with the person, after those who had begun to go", () => {
  assert.deepEqual(run([[0, card(7)]], 60_000).slice(2), [
    "5000 in OFF",
    "5000 door.relocked",
    "7000 access.unused in 7",
  ]);
  const late = run([[0, card(7)], [6_000, passed("in")]], 60_000);
  assert.deepEqual(late.slice(2), ["5000 in OFF", "5000 door.relocked", "6000 door.passed in"]);
});

Deno.test("cards in a rush are let through one after the other, with a rest between", () => {
  assert.deepEqual(
    run([[0, card(1)], [300, card(2)], [600, card(3, "out")], [1_000, passed("in")], [
      2_000,
      passed("in"),
    ], [3_000, passed("out")]], 60_000),
    [
      "0 in ON 5000",
      "0 door.unlocked access",
      "1000 in OFF",
      "1000 door.passed in",
      "1000 door.relocked",
      "1300 in ON 5000",
      "1300 door.unlocked access",
      "2000 in OFF",
      "2000 door.passed in",
      "2000 door.relocked",
      "2300 out ON 5000",
      "2300 door.unlocked access",
      "3000 out OFF",
      "3000 door.passed out",
      "3000 door.relocked",
    ],
  );
});

Deno.test("the queue is bounded", () => {
  let state: TurnstileState = initialTurnstileState();
  let taken = 0;
  for (let round = 0; round < 20; round++) {
    if (!turnstileTakes(tripod, state)) continue;
    taken++;
    state = stepTurnstile(tripod, state, card(round), 10 * round).state;
  }
  assert.equal(taken, 3, "one goes, two wait");
});

Deno.test("whoever goes without a grant, or the other way, is one too many and counted", () => {
  assert.deepEqual(run([[0, passed("in")], [500, passed("in")]], 1), [
    "0 door.passed in",
    "0 door.tailgated 1",
    "500 door.passed in",
    "500 door.tailgated 2",
  ]);
  const wrongWay = run([[0, card(7)], [500, passed("out")], [900, passed("in")]], 60_000);
  assert.deepEqual(wrongWay.slice(2, 4), ["500 door.passed out", "500 door.tailgated 1"]);
  assert.ok(wrongWay.includes("900 door.passed in"), "the grant is still good");
  const again = run(
    [[0, passed("in")], [100, card(7)], [900, passed("in")], [1_000, passed("in")]],
    1,
  );
  assert.equal(again.at(-1), "1000 door.tailgated 1", "counted anew after a used grant");
});

Deno.test("a sensor that tells no direction takes that of the grant", () => {
  const out = run([[0, card(7, "out")], [800, passed()]], 1);
  assert.ok(out.includes("800 door.passed out"));
});

Deno.test("a release opens both ways until it ends; passages count, nobody is too many", () => {
  assert.deepEqual(
    run([[0, card(1)], [100, release(true)], [500, passed("out")], [900, release(false)]], 60_000),
    [
      "0 in ON 5000",
      "0 door.unlocked access",
      "100 out ON",
      "500 door.passed out",
      "900 in OFF",
      "900 out OFF",
      "900 door.relocked",
    ],
  );
});

Deno.test("a lock-down sends those who wait away, and says whom", () => {
  const done = run(
    [[0, card(1)], [10, card(2)], [1_000, { kind: "mode", mode: "locked" }]],
    60_000,
  );
  assert.deepEqual(done.slice(2), [
    "1000 in OFF",
    "1000 door.mode locked",
    "1000 access.unused in 1",
    "1000 access.unused in 2",
    "1000 door.relocked",
  ]);
});

Deno.test("without sensors each grant opens anew, and nothing is said of passages", () => {
  const blind = { ...tripod, feedback: false };
  assert.deepEqual(run([[0, card(1)], [2_000, card(2)]], 60_000, blind), [
    "0 in ON 5000",
    "0 door.unlocked access",
    "2000 in ON 5000",
    "2000 door.unlocked access",
    "7000 in OFF",
    "7000 door.relocked",
  ]);
});

Deno.test("random mornings: never more let through than granted, outputs never both on", () => {
  const seed = Number(Deno.env.get("SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]!);
  console.log(`seed ${seed}`);
  let word = seed;
  const next = (n: number) =>
    Math.floor((word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32 * n);
  for (let morning = 0; morning < 200; morning++) {
    let state: TurnstileState = initialTurnstileState();
    let [granted, openings, accounted, nowMs] = [0, 0, 0, 0];
    for (let deed = 0; deed < 300; deed++) {
      nowMs += next(1_500);
      const way = next(2) === 0 ? "in" : "out";
      const input: DoorInput = next(3) > 0 ? card(deed, way) : passed(way);
      if (input.kind === "unlock") {
        if (!turnstileTakes(tripod, state)) continue;
        granted++;
      }
      const apply = (one: DoorInput, atMs: number) => {
        const moved = stepTurnstile(tripod, state, one, atMs);
        state = moved.state;
        assert.ok(!(state.driven.in && state.driven.out), `both at ${atMs}`);
        for (const step of moved.steps) {
          if (step.kind === "drive" && step.active) openings++;
          if (step.kind !== "record") continue;
          if (step.event.kind === "access.unused") accounted++;
          if (step.event.kind === "door.passed") accounted++;
          if (step.event.kind === "door.tailgated") accounted--;
        }
        return moved.nextDeadlineMs;
      };
      for (let due = apply({ kind: "time" }, nowMs); due !== undefined && due <= nowMs;) {
        due = apply({ kind: "time" }, nowMs);
      }
      apply(input, nowMs);
    }
    for (let rest = 0; rest < 100; rest++) {
      nowMs += 1_000;
      for (const step of stepTurnstile(tripod, state, { kind: "time" }, nowMs).steps) {
        if (step.kind === "record" && step.event.kind === "access.unused") accounted++;
        if (step.kind === "drive" && step.active) openings++;
      }
      state = stepTurnstile(tripod, state, { kind: "time" }, nowMs).state;
    }
    assert.equal(accounted, granted, `each grant ends as passed or unused (SEED=${seed})`);
    assert.equal(openings, granted, `one opening a grant (SEED=${seed})`);
  }
});
