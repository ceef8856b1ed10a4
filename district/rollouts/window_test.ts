import assert from "node:assert/strict";
import { type RolloutWindow, windowFault, windowOpen } from "./window.ts";

const NIGHTS: RolloutWindow = {
  timezone: "Asia/Shanghai",
  weekly: [{ days: [1, 2, 3, 4, 5], from: "19:00", to: "05:30" }, {
    days: [6, 7],
    from: "08:00",
    to: "20:00",
  }],
  notOn: ["2026-06-07", "2026-06-08"],
};

/** 2026-06-05 is a Friday. */
const cases: readonly (readonly [local: string, open: boolean, why: string])[] = [
  ["2026-06-05T12:00", false, "lessons"],
  ["2026-06-05T18:59", false, "just before"],
  ["2026-06-05T19:00", true, "the evening"],
  ["2026-06-06T05:29", true, "Friday's night on Saturday morning"],
  ["2026-06-06T05:30", false, "its end"],
  ["2026-06-06T08:00", true, "Saturday"],
  ["2026-06-06T20:00", false, "Saturday's end"],
  ["2026-06-07T12:00", false, "exams on Sunday"],
  ["2026-06-08T20:00", false, "exams on Monday"],
  ["2026-06-09T03:00", false, "the night of an exam's evening"],
  ["2026-06-09T19:30", true, "it is over"],
  ["2026-06-08T03:00", false, "no night began on Sunday"],
];
for (const [local, open, why] of cases) {
  Deno.test(`${local} in Shanghai is ${open ? "open" : "shut"}: ${why}`, () => {
    const at = Temporal.PlainDateTime.from(local).toZonedDateTime("Asia/Shanghai");
    assert.equal(windowOpen(NIGHTS, at.epochMilliseconds), open);
  });
}

Deno.test("clocks that change do not shift a window", () => {
  const window: RolloutWindow = {
    timezone: "Europe/Berlin",
    weekly: [{ days: [7], from: "01:00", to: "04:00" }],
    notOn: [],
  };
  const at = (instant: string) =>
    windowOpen(window, Temporal.Instant.from(instant).epochMilliseconds);
  // 2026-03-29: from 2:00 the clock shows 3:00. 2026-10-25: 3:00 is 2:00 again.
  assert.deepEqual(
    ["2026-03-28T23:59Z", "2026-03-29T00:00Z", "2026-03-29T01:59Z", "2026-03-29T02:00Z"].map(at),
    [false, true, true, false],
  );
  assert.deepEqual(
    ["2026-10-24T22:59Z", "2026-10-24T23:00Z", "2026-10-25T02:59Z", "2026-10-25T03:00Z"].map(at),
    [false, true, true, false],
  );
});

Deno.test("a window that cannot be understood is named", () => {
  assert.equal(windowFault(NIGHTS), undefined);
  assert.match(windowFault({ ...NIGHTS, timezone: "Asia/Nowhere" })!, /no zone Asia\/Nowhere/);
  assert.match(windowFault({ ...NIGHTS, notOn: ["2026-02-30"] })!, /2026-02-30 is no date/);
});
