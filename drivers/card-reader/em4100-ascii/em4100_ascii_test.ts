import assert from "node:assert/strict";
import { simulateEm4100Reader } from "../../../hal/sim/mod.ts";
import { listen, never, seeded, SerialBench } from "../../serial_bench_test.ts";
import { cardOfTag, Em4100Finder, type Em4100Frame } from "./frame.ts";
import { em4100Ascii } from "./mod.ts";

const open = async (bench: SerialBench, options: object = {}) => {
  const bus = await em4100Ascii.open(bench.host, [em4100Ascii.parseOptions(options)], never());
  return { bus, ...listen(bus) };
};

/** A frame that datasheets and projects print: tag 010F3D7A98, checksum D1. */
const PRINTED = "\x02010F3D7A98D1\r\n\x03";

Deno.test("a printed frame, with and without CR LF, whole and byte by byte", () => {
  for (const text of [PRINTED, PRINTED.replace("\r\n", ""), PRINTED.toLowerCase()]) {
    const frames: Em4100Frame[] = [];
    const finder = new Em4100Finder();
    const bytes = new TextEncoder().encode(text);
    finder.push(bytes, (frame) => frames.push(frame));
    for (const byte of bytes) finder.push(Uint8Array.of(byte), (frame) => frames.push(frame));
    const tag = { kind: "tag", tag: Uint8Array.fromHex("010f3d7a98") };
    assert.deepEqual(frames, [tag, tag]);
  }
});

Deno.test("the same tag as a Wiegand reader sends it", () => {
  // H10301 of facility 61, number 31384 (0x3d7a98), by the book: even parity of 001111010111 and odd of 101010011000.
  const tag = Uint8Array.fromHex("010f3d7a98");
  assert.deepEqual(cardOfTag(tag, "wiegand-26"), {
    bits: 26,
    data: Uint8Array.of(0b0001_1110, 0b1011_1101, 0b0100_1100, 0b0000_0000),
  });
  assert.equal(cardOfTag(tag, "wiegand-34").bits, 34);
  assert.equal(cardOfTag(tag, "wiegand-34").data.length, 5);
});

Deno.test("a tag that lies there is one card, and one again after it was away", async () => {
  const bench = new SerialBench(() => {});
  const { bus, reader, events, cards } = await open(bench);
  await using _ = bus;
  assert.equal(reader.online(), true, "one-way: there while its port is");
  const device = simulateEm4100Reader(bench.device, { crlf: false });
  for (let repeat = 0; repeat < 40; repeat++) {
    await device.present(0x010f3d7a98n);
    await bench.clock.advance(65);
  }
  assert.deepEqual(cards(), ["40 010f3d7a98"]);
  assert.equal(events[0]?.kind === "card" && events[0].receivedMonotonicMs, 0);
  await device.present(0x0200000001n);
  await bench.clock.advance(1_600);
  await device.present(0x010f3d7a98n);
  await bench.clock.advance(1);
  assert.deepEqual(cards(), ["40 010f3d7a98", "40 0200000001", "40 010f3d7a98"]);
});

Deno.test("a pulled adapter is offline and comes back without a restart", async () => {
  const bench = new SerialBench(() => {});
  const { bus, reader, events, cards } = await open(bench);
  await bench.send("\x02010F3D");
  bench.pull();
  await bench.clock.advance(20_000);
  assert.equal(reader.online(), false);
  bench.plug();
  await bench.clock.advance(6_000);
  assert.equal(reader.online(), true);
  await bench.send("7A98D1\x03");
  await bench.send(PRINTED);
  await bench.clock.advance(1);
  assert.deepEqual(
    cards(),
    ["40 010f3d7a98"],
    "half a frame from before the pull is not completed",
  );
  assert.deepEqual(events.map((event) => event.kind), ["offline", "online", "card"]);
  await bus[Symbol.asyncDispose]();
  await bus[Symbol.asyncDispose]();
  assert.deepEqual(events.at(-1), { kind: "offline", reason: "closed" });
  assert.equal(bench.clock.pendingTimers(), 0);
});

Deno.test("half a frame that stood still is not completed by what comes later", async () => {
  const bench = new SerialBench(() => {});
  const { bus, cards } = await open(bench);
  await using _ = bus;
  await bench.send("\x02010F3D");
  await bench.clock.advance(5_000);
  await bench.send("7A98D1\x03");
  await bench.send(PRINTED);
  await bench.clock.advance(1);
  assert.deepEqual(cards(), ["40 010f3d7a98"]);
  assert.equal(bench.logged.length, 0, "nor told as broken");
  await bench.clock.advance(5_000);
  await bench.send("\x02010F3D");
  await bench.clock.advance(1_500);
  await bench.send("7A98D1\x03");
  await bench.clock.advance(1);
  assert.equal(cards().length, 1);
});

Deno.test("no single wrong character makes another tag, and random bytes none", async () => {
  const bench = new SerialBench(() => {});
  const { bus, cards } = await open(bench, { absentMs: 100 });
  await using _ = bus;
  const bytes = new TextEncoder().encode(PRINTED);
  for (let at = 0; at < bytes.length; at++) {
    for (let value = 0; value < 256; value++) {
      const spoilt = bytes.with(at, value);
      // CR and LF alone may be missing, and digits be small.
      await bench.send(spoilt);
    }
  }
  await bench.clock.advance(200);
  assert.deepEqual([...new Set(cards())], ["40 010f3d7a98"]);
  const random = seeded();
  for (let round = 0; round < 2_000; round++) {
    await bench.send(
      Uint8Array.from({ length: 50 }, () => random(4) === 0 ? random(4) : random(256)),
    );
  }
  await bench.clock.advance(2_000);
  assert.deepEqual([...new Set(cards())], ["40 010f3d7a98"]);
  const before = cards().length;
  await bench.send(PRINTED);
  await bench.clock.advance(1);
  assert.equal(cards().length, before + 1, "a card comes through after it");
  assert.ok(bench.logged.length < 20, "told, but not for each");
});

Deno.test("LED and buzzer lines, and options with faults are named", async () => {
  const bench = new SerialBench(() => {});
  const { bus, reader } = await open(bench, { led: { chip: "gpiochip0", line: 4 } });
  reader.show("granted");
  assert.equal(bench.gpio.level("gpiochip0", 4), true);
  await bus[Symbol.asyncDispose]();
  assert.equal(bench.gpio.level("gpiochip0", 4), false);
  assert.throws(() => em4100Ascii.parseOptions({ format: "hid" }), { name: "ValiError" });
  assert.throws(() => em4100Ascii.parseOptions({ absentMs: 1 }), /expected 100 to 60000 ms/);
  assert.throws(() => reader.output(0), RangeError);
});
