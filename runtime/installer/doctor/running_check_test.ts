import assert from "node:assert/strict";
import { judgeRunning, parseHealth } from "./running_check.ts";

const health = {
  ok: false,
  faults: ["reader in does not answer; check its cable", "door main is forced"],
  status: {
    kind: "status",
    name: "east-gate",
    readers: [{ id: "in", door: "main", online: false }, { id: "out", online: true }],
    doors: [{ id: "main", mode: "normal", unlocked: false, alarm: "forced" }],
  },
};

Deno.test("a running box is believed about its readers, each told once", () => {
  const box = parseHealth("http://127.0.0.1:9180", health)!;
  const told = judgeRunning(box).map((f) => `${f.subject} ${f.severity} ${f.what.en}`);
  assert.match(told[0]!, /^east-gate info the box is running/);
  assert.deepEqual(told.slice(1), [
    "in fault offline",
    "out ok online",
    "east-gate warning door main is forced",
  ]);
});

Deno.test("whatever else listens there is no box", () => {
  const long = "x".repeat(501);
  const many = { ...health, faults: Array.from({ length: 201 }, () => "f") };
  for (
    const raw of [null, 7, "<html>", {}, { ...health, faults: [long] }, many, {
      ...health,
      status: [],
    }]
  ) {
    assert.equal(parseHealth("http://127.0.0.1:9180", raw), undefined);
  }
});
