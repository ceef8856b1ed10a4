import assert from "node:assert/strict";
import { crc16Reflected } from "./crc16_reflected.ts";

Deno.test("crc16Reflected gives the catalogue's check value, also of a part", () => {
  const bytes = new TextEncoder().encode("x123456789x");
  assert.equal(crc16Reflected(bytes, 1, 10), 0x6f91);
  assert.equal(crc16Reflected(new Uint8Array()), 0xffff);
});
