/** Boxes with addresses of their own at one switch, whose district is behind one line. */
import assert from "node:assert/strict";
import { fetchAtOnce, lanRefusal } from "./lan.ts";

const refusal = await lanRefusal();
if (refusal !== undefined) console.log(`skipped: a school's network: ${refusal}`);
const BOXES = 5;

Deno.test({
  name: "boxes at one switch find each other, and the district's line carries a file once or twice",
  ignore: refusal !== undefined,
  async fn() {
    const content = crypto.getRandomValues(new Uint8Array(60_000));
    const whole = new Uint8Array(40 * content.length).map((_, i) => content[i % content.length]!);
    const alone = await fetchAtOnce(whole, BOXES, "alone");
    assert.ok(alone > BOXES * whole.length, `${alone} bytes for ${BOXES} boxes alone`);
    const together = await fetchAtOnce(whole, BOXES, "together");
    assert.ok(together < 2.5 * whole.length, `${together} bytes over the line`);
  },
});
