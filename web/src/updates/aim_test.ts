import assert from "node:assert/strict";
import { aimOf, parseDates, parseLabels } from "./aim.ts";

Deno.test("labels are pairs, typed with any comma and width", () => {
  assert.deepEqual(parseLabels(""), {});
  assert.deepEqual(parseLabels("school=north， canary＝yes"), { school: "north", canary: "yes" });
  assert.deepEqual(parseLabels("a=b=c"), { a: "b=c" });
  for (const text of ["north", "=north", "school="]) assert.equal(parseLabels(text), undefined);
});

Deno.test("dates are dates that there are", () => {
  assert.deepEqual(parseDates(""), []);
  assert.deepEqual(parseDates("2027-06-07，2028-02-29"), ["2027-06-07", "2028-02-29"]);
  for (const text of ["7.6.2027", "2027-13-01", "2027-02-29", "2027-06-07 x"]) {
    assert.equal(parseDates(text), undefined, text);
  }
});

Deno.test("what is left empty is no filter and no window", () => {
  assert.deepEqual(aimOf({}, "Asia/Shanghai"), {});
  assert.deepEqual(aimOf({ from: "19:00" }, "Asia/Shanghai"), {});
  assert.deepEqual(aimOf({ labels: "school=north", from: "19:00", to: "05:30" }, "Asia/Shanghai"), {
    filter: { labels: { school: "north" } },
    window: {
      timezone: "Asia/Shanghai",
      weekly: [{ days: [1, 2, 3, 4, 5, 6, 7], from: "19:00", to: "05:30" }],
      notOn: [],
    },
  });
});
