import assert from "node:assert/strict";
import { crc8 } from "./crc8.ts";

Deno.test("crc8 gives the application note's vector, and 0 over a whole ROM code", () => {
  assert.equal(crc8(Uint8Array.fromHex("021cb801000000")), 0xa2);
  assert.equal(crc8(Uint8Array.fromHex("021cb801000000a2")), 0);
  assert.equal(crc8(new Uint8Array()), 0);
});
