import assert from "node:assert/strict";
import { planGroups } from "./plan.ts";

const TARGETS = Array.from({ length: 1_000 }, (_, index) => ({
  id: `gate-${index}`,
  labels: { school: index < 400 ? "north" : "south", ...index < 5 ? { canary: "yes" } : {} },
}));
const thresholds = { successPercent: 90, errorPercent: 5 };

Deno.test("canaries by label, a share of what is left, and the rest", () => {
  const groups = [
    { name: "canaries", filter: { labels: { canary: "yes" } }, percent: 100, ...thresholds },
    { name: "a tenth", percent: 10, ...thresholds },
    { name: "rest", percent: 100, ...thresholds },
  ];
  const plan = planGroups("winter", TARGETS, groups);
  assert.deepEqual(plan.map((each) => each.plan.boxes), [5, 100, 895]);
  assert.deepEqual([...plan[0]!.controllerIds].sort(), TARGETS.slice(0, 5).map(({ id }) => id));
  assert.equal(new Set(plan.flatMap(({ controllerIds }) => controllerIds)).size, 1_000);
  assert.deepEqual(planGroups("winter", TARGETS.toReversed(), groups), plan);
  // The tenth is not always the same, nor all of one school.
  const other = planGroups("spring", TARGETS, groups)[1]!.controllerIds;
  assert.notDeepEqual(other, plan[1]!.controllerIds);
  const north = new Set(TARGETS.slice(0, 400).map(({ id }) => id));
  const share = other.filter((id) => north.has(id)).length;
  assert.ok(share > 20 && share < 60, `${share} of 100 from 40 percent`);
});

Deno.test("a rollout for one school leaves the others alone", () => {
  const groups = [{ name: "all", percent: 100, ...thresholds }];
  const only = { ids: ["gate-1", "gate-500"], labels: { school: "north" } };
  assert.deepEqual(planGroups("x", TARGETS, groups, only)[0]!.controllerIds, ["gate-1"]);
});

Deno.test("groups that are empty or leave some out are refused with what to do", () => {
  const group = { name: "first", percent: 50, ...thresholds };
  assert.throws(() => planGroups("x", TARGETS, [group]), /500 targets, .* 100 percent/);
  const nobody = { ...group, percent: 100, filter: { labels: { toString: "x" } } };
  assert.throws(() => planGroups("x", TARGETS, [nobody]), /group first: no target is left/);
  assert.throws(() => planGroups("x", [], [group]), { name: "DistrictError", kind: "invalid" });
});
