import assert from "node:assert/strict";
import { simulateQrScanner } from "../../../hal/sim/mod.ts";
import { listen, never, seeded, SerialBench } from "../../serial_bench_test.ts";
import { qrScanner } from "./mod.ts";
import { readLine } from "./text.ts";

const open = async (bench: SerialBench, options: object = {}) => {
  const bus = await qrScanner.open(bench.host, [qrScanner.parseOptions(options)], never());
  return { bus, ...listen(bus) };
};
const hex = (text: string) => new TextEncoder().encode(text).toHex();
const VISITOR = "V-20260901-8H3K2Q9Z";

Deno.test("a code is its text, with any line end, in any pieces", async () => {
  for (const end of ["\r", "\n", "\r\n"]) {
    const bench = new SerialBench(() => {});
    const { bus, reader, cards } = await open(bench);
    await using _ = bus;
    assert.equal(reader.online(), true);
    const scanner = simulateQrScanner(bench.device, { end });
    await scanner.scan(VISITOR);
    for (const character of `访客-202609-Ω7${end}`) await bench.send(character);
    await bench.clock.advance(1);
    const chinese = new TextEncoder().encode("访客-202609-Ω7");
    assert.deepEqual(cards(), [`152 ${hex(VISITOR)}`, `${chinese.length * 8} ${chinese.toHex()}`]);
  }
});

Deno.test("a telephone held before it is one card, and later another", async () => {
  const bench = new SerialBench(() => {});
  const { bus, cards } = await open(bench);
  await using _ = bus;
  const scanner = simulateQrScanner(bench.device);
  for (let repeat = 0; repeat < 20; repeat++) {
    await scanner.scan(VISITOR);
    await bench.clock.advance(500);
  }
  assert.equal(cards().length, 1);
  await bench.clock.advance(3_000);
  await scanner.scan(VISITOR);
  await bench.clock.advance(1);
  assert.equal(cards().length, 2);
});

Deno.test("digits are numbers of a set length, and what does not fit is refused", () => {
  const rules = qrScanner.parseOptions({ number: "decimal", bits: 34, prefix: "<", suffix: ">" });
  const read = (text: string, over: object = {}) =>
    readLine(new TextEncoder().encode(text), { ...rules, ...over });
  // 34 bits, left-aligned in 5 bytes: 2^33 is the first bit, 1 the last.
  assert.deepEqual(read("<8589934592>"), {
    kind: "card",
    bits: 34,
    data: Uint8Array.of(0x80, 0, 0, 0, 0),
  });
  assert.deepEqual(read("<1>"), { kind: "card", bits: 34, data: Uint8Array.of(0, 0, 0, 0, 0x40) });
  assert.deepEqual(read("<17179869184>"), { kind: "refused", why: "length" }, "2^34");
  assert.deepEqual(read("<12a>"), { kind: "refused", why: "characters" });
  assert.deepEqual(read("12"), { kind: "refused", why: "frame" });
  assert.deepEqual(read("<"), { kind: "refused", why: "frame" });
  assert.deepEqual(read("<>"), { kind: "refused", why: "characters" });
  assert.deepEqual(read("<04A1b2c3>", { number: "hex", bits: 32 }), {
    kind: "card",
    bits: 32,
    data: Uint8Array.of(0x04, 0xa1, 0xb2, 0xc3),
  });
});

Deno.test("a printed code is never taken for a card unless box.yaml says so", () => {
  // The text whose bytes are the UID of a card of 4 bytes.
  const uid = new TextEncoder().encode("ABCD");
  const rules = qrScanner.parseOptions({});
  assert.deepEqual(readLine(uid, rules), { kind: "refused", why: "length" });
  for (let length = 1; length <= 40; length++) {
    const reading = readLine(new Uint8Array(length).fill(0x41), rules);
    assert.equal(reading.kind, length >= 17 && length <= 31 ? "card" : "refused", `${length}`);
  }
});

Deno.test("lines without end, control characters and random bytes do no harm", async () => {
  const bench = new SerialBench(() => {});
  const { bus, cards } = await open(bench);
  await using _ = bus;
  await bench.send("x".repeat(500_000));
  await bench.send("\r");
  await bench.send(`${VISITOR.slice(0, 8)}\0${VISITOR.slice(8)}\r`);
  await bench.send(Uint8Array.of(...new TextEncoder().encode(VISITOR), 0xff, 0x0d));
  await bench.clock.advance(1);
  assert.deepEqual(cards(), []);
  const random = seeded();
  for (let round = 0; round < 3_000; round++) {
    await bench.send(Uint8Array.from({ length: 40 }, () => random(256)));
  }
  await bench.clock.advance(5_000);
  const before = cards().length;
  await bench.send(`\r${VISITOR}\r`);
  await bench.clock.advance(1);
  assert.equal(cards().slice(before).join(), `152 ${hex(VISITOR)}`);
  assert.ok(bench.logged.length < 20);
});

Deno.test("half a code from before a pull is not completed after it, nor one that stood still", async () => {
  const bench = new SerialBench(() => {});
  const { bus, cards } = await open(bench);
  await using _ = bus;
  await bench.send(VISITOR.slice(0, 5));
  bench.pull();
  await bench.clock.advance(100);
  bench.plug();
  await bench.clock.advance(6_000);
  await bench.send(`${VISITOR}\r`);
  await bench.clock.advance(1_000);
  await bench.send("AB");
  await bench.clock.advance(2_000);
  await bench.send("V-20260901-8H3K2Q9Y\r");
  await bench.clock.advance(1);
  assert.deepEqual(cards(), [`152 ${hex(VISITOR)}`, `152 ${hex("V-20260901-8H3K2Q9Y")}`]);
});

Deno.test("options with faults are named", () => {
  const bad = (options: object, message: RegExp) =>
    assert.throws(() => qrScanner.parseOptions(options), { name: "ValiError", message });
  bad({ number: "base64" }, /text, decimal or hex/);
  bad({ bits: 300 }, /16 to 248 bits/);
  bad({ prefix: "x".repeat(17) }, /at most 16/);
});
