import assert from "node:assert/strict";
import { crc16 } from "./crc16.ts";

Deno.test("crc16 gives the standard's vector", () => {
  assert.equal(crc16(Uint8Array.of(0x53, 0x00, 0x09, 0x00, 0x04, 0x61, 0x00)), 0x66c0);
});

Deno.test("crc16 of nothing is the initial value, and a range counts alone", () => {
  assert.equal(crc16(new Uint8Array()), 0x1d0f);
  const padded = Uint8Array.of(0xff, 0x53, 0x00, 0x09, 0x00, 0x04, 0x61, 0x00, 0xff);
  assert.equal(crc16(padded, 1, 8), 0x66c0);
});
