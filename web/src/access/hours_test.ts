import assert from "node:assert/strict";
import fc from "fast-check";
import type { Interval } from "../api/mod.ts";
import { hoursText, readHours, WEEKDAYS, weeklyOf, weekOf } from "./hours.ts";

Deno.test("hours are read as people write them", () => {
  const morning = [{ from: "07:30", to: "12:00" }];
  for (const text of ["07:30–12:00", "7:30-12:00", " 7：30 至 12:00 ", "07:30~12:00"]) {
    assert.deepEqual(readHours(text), morning, text);
  }
  assert.deepEqual(readHours("13:30-24:00，7:30-12:00"), [...morning, {
    from: "13:30",
    to: "24:00",
  }]);
  assert.deepEqual(readHours(""), []);
});

Deno.test("hours that are none are refused", () => {
  for (
    const text of ["12:00-07:30", "7:30", "25:00-26:00", "8-9", "08:00-08:00", "a-b", "08:00-24:30"]
  ) {
    assert.equal(readHours(text), undefined, text);
  }
});

Deno.test("any week survives the editor", () => {
  const time = fc.integer({ min: 0, max: 24 * 60 }).map((m) =>
    `${String(Math.floor(m / 60)).padStart(2, "0")}:${String(m % 60).padStart(2, "0")}`
  );
  const interval: fc.Arbitrary<Interval> = fc.tuple(time, time).filter(([a, b]) => a !== b)
    .map(([a, b]) => a < b ? { from: a, to: b } : { from: b, to: a });
  const day = fc.uniqueArray(interval, { maxLength: 3, selector: ({ from }) => from })
    .map((list) => [...list].sort((a, b) => a.from < b.from ? -1 : 1));
  const week = fc.record(Object.fromEntries(WEEKDAYS.map((name) => [name, day])), {
    noNullPrototype: true,
  });
  fc.assert(fc.property(week, (hours) => {
    const typed = Object.fromEntries(
      WEEKDAYS.map((name) => [name, readHours(hoursText(hours[name]!))]),
    );
    assert.deepEqual(weekOf({ weekly: weeklyOf(typed as never) }), hours);
  }));
});
