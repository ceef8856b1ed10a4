import assert from "node:assert/strict";
import { feedback } from "../testing/updates.ts";
import { parseConfigData, parseFeedback } from "./schemas.ts";

Deno.test("bodies of DDI: what is needed is read, the rest passed over, words are bounded", () => {
  const body = {
    id: 7,
    time: "20140511T121314",
    ...feedback("closed", "failure", "a", "b\n\u001b[2J"),
  };
  assert.deepEqual(parseFeedback(body), {
    id: "7",
    execution: "closed",
    finished: "failure",
    reason: "a; b [2J",
  });
  const long = parseFeedback(feedback("closed", "failure", "x".repeat(5_000), "last"));
  assert.equal(long.reason.length, 1_000);
  assert.ok(long.reason.endsWith("; last"));
  assert.deepEqual(parseConfigData({ data: { a: "b" }, id: "", time: "x" }), {
    mode: "merge",
    data: { a: "b" },
  });
  assert.throws(() => parseConfigData({ mode: "drop", data: {} }));
});
