import assert from "node:assert/strict";
import {
  type DoorInput,
  type DoorState,
  type DoorTraits,
  energised,
  initialDoorState,
  stepDoor,
} from "./machine.ts";

const strike: DoorTraits = { id: "main", kind: "strike", holdMs: 5_000, heldOpenMs: 30_000 };

/** Feeds inputs at given times (running deadlines in between) and writes down what was done. */
function run(inputs: readonly (readonly [number, DoorInput])[], untilMs = 0): string[] {
  const done: string[] = [];
  let state: DoorState = initialDoorState();
  let deadline: number | undefined;
  const apply = (input: DoorInput, nowMs: number) => {
    const next = stepDoor(strike, state, input, nowMs);
    for (const step of next.steps) {
      const text = step.kind === "record"
        ? step.event.kind + ("cause" in step.event ? `:${step.event.cause}` : "")
        : step.kind.toUpperCase() +
          (step.kind === "unlock" && step.revertAfterMs !== undefined
            ? ` ${step.revertAfterMs}`
            : "");
      done.push(`${nowMs} ${text}`);
    }
    state = next.state;
    deadline = next.nextDeadlineMs;
  };
  const runDeadlines = (beforeMs: number) => {
    while (deadline !== undefined && deadline <= beforeMs) apply({ kind: "time" }, deadline);
  };
  for (const [atMs, input] of inputs) {
    runDeadlines(atMs);
    apply(input, atMs);
  }
  runDeadlines(untilMs);
  return done;
}

const grant: DoorInput = { kind: "unlock", cause: "access" };
const opens: DoorInput = { kind: "contact", open: true };
const closes: DoorInput = { kind: "contact", open: false };
const unknown: DoorInput = { kind: "contact", open: undefined };
const mode = (value: DoorState["mode"]): DoorInput => ({ kind: "mode", mode: value });
const release = (active: boolean): DoorInput => ({ kind: "release", active });

Deno.test("a grant unlocks for the hold time and relocks", () => {
  assert.deepEqual(run([[0, closes], [100, grant]], 60_000), [
    "100 UNLOCK 5000",
    "100 door.unlocked:access",
    "5100 LOCK",
    "5100 door.relocked",
  ]);
});

Deno.test("a passage relocks when the door closes, not when the time is up", () => {
  assert.deepEqual(run([[0, closes], [0, grant], [1_000, opens], [2_000, closes]], 60_000), [
    "0 UNLOCK 5000",
    "0 door.unlocked:access",
    "1000 door.opened",
    "2000 LOCK",
    "2000 door.closed",
    "2000 door.relocked",
  ]);
});

Deno.test("a bolt never meets an open door: the unlock is stretched until it closes", () => {
  assert.deepEqual(
    run([[0, closes], [0, grant], [4_000, opens], [9_000, closes]], 60_000).slice(3),
    [
      "9000 LOCK",
      "9000 door.closed",
      "9000 door.relocked",
    ],
  );
});

Deno.test("a second grant while unlocked renews the hold", () => {
  const done = run([[0, closes], [0, grant], [3_000, grant]], 60_000);
  assert.ok(done.includes("3000 UNLOCK 5000"));
  assert.ok(done.includes("8000 LOCK"));
  assert.ok(!done.includes("5000 LOCK"));
});

Deno.test("a door that opens without a grant was forced; closing it secures it", () => {
  assert.deepEqual(run([[0, closes], [10, opens], [20, closes]], 60_000), [
    "10 door.opened",
    "10 door.forced",
    "20 door.closed",
    "20 door.secured",
  ]);
});

Deno.test("a door found open at start, or after its contact was lost, was not forced", () => {
  assert.deepEqual(run([[0, opens]]), ["0 door.opened"]);
  assert.ok(!run([[0, closes], [5, unknown], [10, opens]]).includes("10 door.forced"));
});

Deno.test("open too long is held, once, and closing secures it", () => {
  assert.deepEqual(
    run([[0, closes], [0, grant], [1_000, opens], [90_000, closes]], 99_000).slice(2),
    [
      "1000 door.opened",
      "35000 door.held",
      "90000 LOCK",
      "90000 door.closed",
      "90000 door.secured",
      "90000 door.relocked",
    ],
  );
});

Deno.test("another grant while it stands open gives it time again", () => {
  const done = run([[0, closes], [0, grant], [1_000, opens], [30_000, grant]], 99_000);
  assert.ok(!done.includes("35000 door.held"));
  assert.ok(done.includes("65000 door.held"));
});

Deno.test("free stands unlocked and alarms about nothing; leaving it with the door open starts the clock", () => {
  assert.deepEqual(
    run([[0, closes], [10, mode("free")], [20, opens], [80_000, closes], [90_000, opens], [
      100_000,
      mode("normal"),
    ]], 200_000),
    [
      "10 UNLOCK",
      "10 door.mode",
      "10 door.unlocked:free",
      "20 door.opened",
      "80000 door.closed",
      "90000 door.opened",
      "100000 LOCK",
      "100000 door.mode",
      "100000 door.relocked",
      "130000 door.held",
    ],
  );
});

Deno.test("a lock-down ends a running unlock, yet a way out stays", () => {
  const done = run([[0, closes], [0, grant], [1_000, mode("locked")], [
    2_000,
    { kind: "unlock", cause: "request-to-exit" },
  ]], 60_000);
  assert.deepEqual(done.slice(2), [
    "1000 LOCK",
    "1000 door.mode",
    "1000 door.relocked",
    "2000 UNLOCK 5000",
    "2000 door.unlocked:request-to-exit",
    "7000 LOCK",
    "7000 door.relocked",
  ]);
});

Deno.test("a release wins over a lock-down and lasts until it is cleared", () => {
  assert.deepEqual(
    run([[0, mode("locked")], [10, release(true)], [500_000, release(false)]], 600_000),
    [
      "0 door.mode",
      "10 UNLOCK",
      "10 door.unlocked:release",
      "500000 LOCK",
      "500000 door.relocked",
    ],
  );
});

Deno.test("a grant during a release does not shorten it", () => {
  const done = run([[0, release(true)], [10, grant]], 60_000);
  assert.ok(!done.some((line) => line.endsWith("LOCK") && !line.includes("UNLOCK")));
  assert.ok(done.includes("10 UNLOCK"), "no revert time is given to the output");
});

Deno.test("a magnet is energised to lock, a strike to unlock", () => {
  assert.equal(energised("magnet", true), false);
  assert.equal(energised("magnet", false), true);
  assert.equal(energised("strike", true), true);
});

Deno.test("invariants hold under random inputs", () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  console.log(`seed ${seed}`);
  let word = seed;
  const next = (n: number) =>
    Math.floor((word = (Math.imul(word, 1664525) + 1013904223) >>> 0) / 2 ** 32 * n);
  const inputs: DoorInput[] = [
    grant,
    opens,
    closes,
    unknown,
    mode("free"),
    mode("locked"),
    mode("normal"),
    release(true),
    release(false),
    { kind: "time" },
  ];
  let state = initialDoorState();
  let locked = true;
  let nowMs = 0;
  let lastGrantMs = -Infinity;
  for (let round = 0; round < 20_000; round++) {
    nowMs += next(8_000);
    const input = inputs[next(inputs.length)]!;
    if (input.kind === "unlock") lastGrantMs = nowMs;
    const { state: after, steps, nextDeadlineMs } = stepDoor(strike, state, input, nowMs);
    for (const step of steps) {
      if (step.kind === "lock") locked = true;
      if (step.kind === "unlock") locked = false;
    }
    assert.equal(after.unlocked, !locked, "the state says what the lock was told");
    if (after.released || after.mode === "free") assert.ok(!locked, "people get out");
    if (!locked && !after.released && after.mode !== "free") {
      assert.ok(after.unlockEndsMs !== undefined, "an unlock has an end");
      assert.ok(nowMs - lastGrantMs < strike.holdMs || after.open === true, "no grant, no way in");
    }
    if (nextDeadlineMs !== undefined) assert.ok(nextDeadlineMs >= nowMs);
    state = after;
  }
});
