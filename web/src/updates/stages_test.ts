import assert from "node:assert/strict";
import { groupsOf, parseStages, tallyOf } from "./stages.ts";

Deno.test("stages are read as an operator types them, and nothing else is", () => {
  assert.deepEqual(parseStages("1, 10,50 ，100"), [1, 10, 50, 100]);
  assert.deepEqual(parseStages("100"), [100]);
  for (
    const bad of ["", "50", "10, 5, 100", "10, 10, 100", "0, 100", "1.5, 100", "x, 100", "1,101"]
  ) {
    assert.equal(parseStages(bad), undefined, bad);
  }
});

Deno.test("shares of all become shares of the rest, and the last takes what is left", () => {
  const limits = { successPercent: 95, errorPercent: 5 };
  const groups = groupsOf([1, 10, 55, 100], limits, (index, share) => `${index}:${share}`);
  assert.deepEqual(groups.map(({ percent }) => percent), [1, 10, 50, 100]);
  assert.deepEqual(groups[0], { name: "0:1", percent: 1, ...limits });
});

Deno.test("a tally counts each box once", () => {
  const group = {
    name: "g",
    boxes: 10,
    successPercent: 1,
    errorPercent: 1,
    installed: 4,
    failed: 2,
  };
  assert.deepEqual(tallyOf([group, group]), { total: 20, installed: 8, failed: 4, left: 8 });
  assert.deepEqual(tallyOf([]), { total: 0, installed: 0, failed: 0, left: 0 });
});
