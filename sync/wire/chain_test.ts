import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { chainHash, chainHashAll, genesisHash, headStatement, LANES } from "./mod.ts";
import { sha256Of } from "./sha256.ts";

const hex = (bytes: Uint8Array) => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
const ascii = (text: string) => new TextEncoder().encode(text);
const nothing = new Uint8Array();

Deno.test("SHA-256 agrees with the examples of FIPS 180-4", () => {
  const cases = {
    "": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq":
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
  };
  for (const [text, digest] of Object.entries(cases)) {
    assert.equal(hex(sha256Of(ascii(text), nothing)), digest);
    assert.equal(hex(sha256Of(nothing, ascii(text))), digest);
  }
});

Deno.test("SHA-256 agrees with OpenSSL at every length around its blocks, and beyond its own", () => {
  for (let length = 0; length <= 1_200; length++) {
    const bytes = randomBytes(length);
    const split = length % 37;
    const expected = createHash("sha256").update(bytes).digest("hex");
    const actual = sha256Of(bytes.subarray(0, split), bytes.subarray(split));
    assert.equal(hex(actual), expected, `${length} bytes: ${bytes.toString("hex")}`);
  }
});

Deno.test("a chain hashed in one go is the chain hashed step by step, whatever the lengths", () => {
  const start = genesisHash(1, "access");
  assert.deepEqual(chainHashAll(start, []), start);
  const lengths = [0, 1, 22, 23, 24, 31, 32, 64, 87, 88, 991, 992, 993, 2048, 40, 5000, 3000, 7];
  const events = lengths.map((length) => new Uint8Array(randomBytes(length)));
  for (let end = 1; end <= events.length; end++) {
    const part = events.slice(0, end);
    assert.deepEqual(chainHashAll(start, part), part.reduce<Uint8Array>(chainHash, start));
  }
});

Deno.test("a chain shows each edit, deletion and exchange", () => {
  const events = ["a", "b", "c"].map(ascii);
  const head = (of: readonly Uint8Array[]) =>
    hex(of.reduce<Uint8Array>(chainHash, genesisHash(1, "alarm")));
  const whole = head(events);
  const [a, b, c] = events as [Uint8Array, Uint8Array, Uint8Array];
  for (const other of [[a, c], [b, c], [a, b], [b, a, c], [a, ascii("x"), c], [a, b, c, c]]) {
    assert.notEqual(head(other), whole);
  }
  const starts = LANES.flatMap((lane) => [genesisHash(1, lane), genesisHash(2, lane)].map(hex));
  assert.equal(new Set(starts).size, 2 * LANES.length);
});

Deno.test("a head's statement names box, epoch, lane, seq and hash", () => {
  const hash = new Uint8Array(32).fill(0xab);
  const statement = headStatement("bx-1", { lane: "access", epoch: 2, seq: 3, hash });
  assert.equal(
    new TextDecoder().decode(statement),
    `gatehouse-head/1\nbx-1\n2\naccess\n3\n${"ab".repeat(32)}`,
  );
});
