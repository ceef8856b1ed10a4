import assert from "node:assert/strict";
import {
  newRollout,
  offeredUpTo,
  type Rollout,
  type RolloutEvent,
  stepRollout,
} from "./machine.ts";

const GROUPS = [
  { name: "canaries", boxes: 10, successPercent: 90, errorPercent: 20 },
  { name: "a tenth", boxes: 100, successPercent: 95, errorPercent: 3 },
  { name: "the rest", boxes: 890, successPercent: 100, errorPercent: 3 },
];

function does(rollout: Rollout, ...events: RolloutEvent[]): Rollout {
  for (const event of events) {
    const result = stepRollout(rollout, event);
    assert.ok(result.ok, result.ok ? "" : `${event.kind}: ${result.why}`);
    rollout = result.rollout;
  }
  return rollout;
}

function refuses(rollout: Rollout, event: RolloutEvent, why: RegExp): void {
  const result = stepRollout(rollout, event);
  assert.ok(!result.ok, `${event.kind} was taken`);
  assert.match(result.why, why);
}

const told = (group: number, installed: boolean): RolloutEvent => ({
  kind: "outcome",
  group,
  installed,
});
const many = (count: number, event: RolloutEvent) => Array.from({ length: count }, () => event);
const running = () =>
  does(
    newRollout("li", GROUPS),
    { kind: "submit", by: "li" },
    { kind: "approve", by: "wang" },
  );

Deno.test("one that was late moves from failed to installed, and what was paused stays so", () => {
  const paused = does(running(), ...many(2, told(0, false)));
  const late = does(paused, { kind: "late", group: 0 });
  assert.deepEqual(late.counts[0], { installed: 1, failed: 1 });
  assert.equal(late.status.at, "paused");
  const resumed = does(late, { kind: "resume", by: "wang" }, ...many(8, told(0, true)));
  assert.deepEqual(resumed.status, { at: "running", group: 1 });
});

/** A rollout to two boxes that stands. */
const standing = () =>
  does(
    newRollout("li", [{ name: "all", boxes: 2, successPercent: 100, errorPercent: 50 }], {
      standing: { labels: { channel: "stable" } },
    }),
    { kind: "submit", by: "li" },
    { kind: "approve", by: "wang" },
    ...many(2, told(0, true)),
  );

Deno.test("one that stands takes boxes in, and stops when those that joined fail", () => {
  refuses(running(), { kind: "join" }, /does not stand/);
  assert.equal(standing().status.at, "standing");
  let rollout = does(standing(), ...many(3, { kind: "join" }));
  assert.equal(offeredUpTo(rollout), 1);
  const groups = rollout.groups.map(({ name, boxes }) => [name, boxes]);
  assert.deepEqual(groups, [["all", 2], ["joined later", 3]]);
  rollout = does(rollout, told(1, true), told(1, false));
  assert.equal(rollout.status.at, "standing", "one of three is less than half");
  rollout = does(rollout, told(1, false));
  assert.deepEqual(rollout.status, { at: "paused", group: 1, reason: "errors" });
  refuses(rollout, { kind: "join" }, /does not stand/);
  refuses(rollout, { kind: "resume", by: "li" }, /another operator/);
  // Those that were looked at do not stop it again.
  rollout = does(rollout, { kind: "resume", by: "wang" }, ...many(2, { kind: "join" }));
  rollout = does(rollout, told(1, false));
  assert.equal(rollout.status.at, "standing");
});

Deno.test("one that stands is paused and goes on, whether anybody joined or not", () => {
  for (const rollout of [standing(), does(standing(), { kind: "join" })]) {
    const paused = does(rollout, { kind: "pause", by: "li" });
    assert.equal(offeredUpTo(paused), -1);
    assert.equal(does(paused, { kind: "resume", by: "li" }).status.at, "standing");
    assert.equal(does(rollout, { kind: "abort", by: "li" }).status.at, "aborted");
  }
});

Deno.test("nobody is offered anything before a second operator approved it", () => {
  const draft = newRollout("li", GROUPS);
  assert.equal(offeredUpTo(draft), -1);
  refuses(draft, { kind: "approve", by: "wang" }, /nothing waits/);
  const waiting = does(draft, { kind: "submit", by: "zhao" });
  assert.equal(offeredUpTo(waiting), -1);
  for (const by of ["li", "zhao"]) refuses(waiting, { kind: "approve", by }, /another operator/);
  assert.equal(does(waiting, { kind: "reject", by: "wang" }).status.at, "draft");
  assert.equal(offeredUpTo(does(waiting, { kind: "approve", by: "wang" })), 0);
});

Deno.test("a group begins when enough of the one before have it, and the last ends it", () => {
  let rollout = does(running(), ...many(8, told(0, true)));
  assert.equal(offeredUpTo(rollout), 0);
  rollout = does(rollout, told(0, true));
  assert.equal(offeredUpTo(rollout), 1);
  // A box of the first group that is late still counts.
  rollout = does(rollout, told(0, true), ...many(95, told(1, true)));
  assert.equal(offeredUpTo(rollout), 2);
  rollout = does(rollout, ...many(889, told(2, true)));
  assert.equal(rollout.status.at, "running");
  assert.equal(does(rollout, told(2, false)).status.at, "finished");
});

Deno.test("it stops by itself where its thresholds say, and says so in the audit", () => {
  let rollout = does(running(), told(0, false));
  assert.equal(rollout.status.at, "running");
  const result = stepRollout(rollout, told(0, false));
  assert.ok(result.ok);
  assert.deepEqual(result.rollout.status, { at: "paused", group: 0, reason: "errors" });
  assert.deepEqual(result.audit, [{
    what: { kind: "stopped", group: "canaries", failed: 2, boxes: 10 },
    by: undefined,
  }]);
  assert.equal(offeredUpTo(result.rollout), -1);
  // Three percent of the second group.
  rollout = does(running(), ...many(10, told(0, true)), ...many(2, told(1, false)));
  assert.equal(rollout.status.at, "running");
  rollout = does(rollout, told(1, false));
  assert.deepEqual(rollout.status, { at: "paused", group: 1, reason: "errors" });
  // What is told meanwhile is counted, and changes nothing.
  rollout = does(rollout, ...many(97, told(1, true)));
  assert.equal(rollout.status.at, "paused");
});

Deno.test("resumed, the failures that were looked at do not stop it again; as many new ones do", () => {
  const stopped = does(running(), ...many(2, told(0, false)));
  refuses(stopped, { kind: "resume", by: "li" }, /another operator/);
  let rollout = does(stopped, { kind: "resume", by: "wang" });
  assert.equal(offeredUpTo(rollout), 0);
  rollout = does(rollout, told(0, false));
  assert.equal(rollout.status.at, "running");
  rollout = does(rollout, told(0, false));
  assert.equal(rollout.status.at, "paused");
});

Deno.test("a group in which all have told does not hold the rollout up for ever", () => {
  const groups = [
    { name: "canaries", boxes: 4, successPercent: 100, errorPercent: 50 },
    { name: "rest", boxes: 1, successPercent: 100, errorPercent: 100 },
  ];
  const rollout = does(
    newRollout("li", groups),
    { kind: "submit", by: "li" },
    { kind: "approve", by: "wang" },
    ...many(3, told(0, true)),
    told(0, false),
  );
  assert.equal(offeredUpTo(rollout), 1);
});

Deno.test("pause, resume and abort; what is over stays over", () => {
  const paused = does(running(), { kind: "pause", by: "li" });
  assert.equal(offeredUpTo(paused), -1);
  refuses(paused, { kind: "pause", by: "li" }, /does not run/);
  assert.equal(offeredUpTo(does(paused, { kind: "resume", by: "li" })), 0);
  const aborted = does(paused, { kind: "abort", by: "li" });
  for (const kind of ["submit", "approve", "pause", "resume", "abort"] as const) {
    refuses(aborted, { kind, by: "wang" }, /./);
  }
  // Boxes that were under way still tell how they ended.
  assert.deepEqual(does(aborted, told(0, true)).counts[0], { installed: 1, failed: 0 });
});

Deno.test("a box cannot be counted twice into the next group, nor a plan be nonsense", () => {
  refuses(does(running(), ...many(10, told(0, true))), told(0, true), /has told already/);
  refuses(running(), told(7, true), /no group 7/);
  for (
    const bad of [
      [],
      Array.from({ length: 21 }, () => GROUPS[0]!),
      [{ ...GROUPS[0]!, boxes: 0 }],
      [{ ...GROUPS[0]!, successPercent: 0 }],
      [{ ...GROUPS[0]!, errorPercent: 101 }],
      [{ ...GROUPS[0]!, errorPercent: NaN }],
    ]
  ) {
    assert.throws(() => newRollout("li", bad), RangeError);
  }
});
