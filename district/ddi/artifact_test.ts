import assert from "node:assert/strict";
import { parseRange } from "./artifact.ts";

Deno.test("ranges as RFC 9110 has them, and nonsense as if there were none", () => {
  assert.deepEqual(parseRange("bytes=0-", 10), { from: 0, to: 9 });
  assert.deepEqual(parseRange("bytes=3-99", 10), { from: 3, to: 9 });
  assert.deepEqual(parseRange("bytes=-3", 10), { from: 7, to: 9 });
  assert.deepEqual(parseRange("bytes=-99", 10), { from: 0, to: 9 });
  for (const beyond of ["bytes=10-", "bytes=10-20", "bytes=-0"]) {
    assert.equal(parseRange(beyond, 10), "unsatisfiable", beyond);
  }
  for (const none of [null, "", "bytes=", "bytes=-", "bytes=5-3", "bytes=0-1,3-4", "lines=1-2"]) {
    assert.equal(parseRange(none, 10), undefined, String(none));
  }
});
