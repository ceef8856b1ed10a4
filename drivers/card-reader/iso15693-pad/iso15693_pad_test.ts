import assert from "node:assert/strict";
import { SimulatedObidPad } from "../../../hal/sim/mod.ts";
import { listen, never, seeded, SerialBench } from "../../serial_bench_test.ts";
import { encodeQuestion, type ObidAnswer, ObidFinder, parseInventory } from "./frame.ts";
import { iso15693Pad } from "./mod.ts";

const tag = (number: number) => `e0040150${number.toString(16).padStart(8, "0")}`;

async function rig(options: object = {}) {
  const pad = new SimulatedObidPad();
  const bench = new SerialBench((port) => void pad.plug(port));
  const bus = await iso15693Pad.open(bench.host, [iso15693Pad.parseOptions(options)], never());
  return { pad, bench, bus, ...listen(bus) };
}

Deno.test("a question is framed as the manual says, with the CRC's low byte first", () => {
  // 05 FF 69: RF Reset at any address; the CRC by the manual's polynomial 8408 and start FFFF, done by hand here.
  let crc = 0xffff;
  for (const byte of [0x05, 0xff, 0x69]) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0x8408 : crc >> 1;
  }
  assert.deepEqual([...encodeQuestion(0x69)], [0x05, 0xff, 0x69, crc & 0xff, crc >> 8]);
});

Deno.test("several tags, each once while it lies there, though the pad quiets what it has read", async () => {
  const { pad, bench, bus, reader, cards } = await rig();
  await using _ = bus;
  await bench.clock.advance(300);
  assert.equal(reader.online(), true);
  pad.tags.add(tag(1)).add(tag(2)).add(tag(3));
  await bench.clock.advance(5_000);
  assert.deepEqual(cards(), [1, 2, 3].map((number) => `64 ${tag(number)}`));
  pad.tags.delete(tag(2));
  await bench.clock.advance(5_000);
  pad.tags.add(tag(2)).add(tag(4));
  await bench.clock.advance(1_000);
  assert.deepEqual(cards().slice(3).sort(), [`64 ${tag(2)}`, `64 ${tag(4)}`]);
});

for (const longFrames of [false, true]) {
  Deno.test(`80 tags at once, in ${longFrames ? "one long frame" : "several frames"}`, async () => {
    const { pad, bench, bus, cards } = await rig();
    await using _ = bus;
    pad.longFrames = longFrames;
    for (let number = 0; number < 80; number++) pad.tags.add(tag(number));
    await bench.clock.advance(10_000);
    assert.equal(cards().length, 80);
    assert.equal(new Set(cards()).size, 80);
  });
}

Deno.test("faults of the pad are told, silence is offline, and its lights follow the feedback", async () => {
  const { pad, bench, bus, reader, events } = await rig();
  await using _ = bus;
  await bench.clock.advance(300);
  pad.refuseOnce = 0x11;
  await bench.clock.advance(300);
  assert.match(bench.logged.join(), /refused an inventory: status 11/);
  assert.equal(reader.online(), true, "once is no loss");
  reader.show("granted");
  await bench.clock.advance(300);
  reader.show("denied");
  await bench.clock.advance(300);
  assert.deepEqual(pad.signals, [0b010001, 0b010100]);
  pad.mute = true;
  await bench.clock.advance(10_000);
  assert.deepEqual(events.at(-1), { kind: "offline", reason: "no-reply" });
  pad.mute = false;
  await bench.clock.advance(3_000);
  assert.equal(reader.online(), true);
});

Deno.test("an inventory that cannot be is refused; tags of other kinds are left out", () => {
  const other = Uint8Array.of(
    2,
    0x03,
    0,
    ...Uint8Array.fromHex(tag(9)),
    0x00,
    0,
    ...new Uint8Array(8),
  );
  assert.deepEqual(parseInventory(other).map((uid) => uid.toHex()), [tag(9)]);
  for (const bytes of [[], [1], [255, 1, 2], [0, 1]]) {
    assert.throws(() => parseInventory(Uint8Array.from(bytes)), {
      name: "HalError",
      kind: "protocol",
    });
  }
});

Deno.test("no spoilt answer is another tag; garbage is none, and is left behind", async () => {
  const random = seeded();
  const pad = new SimulatedObidPad();
  let spoil = true;
  const bench = new SerialBench((port) => void pad.plug(port), (bytes, from) => {
    if (from === "a" || !spoil) return [{ bytes }];
    const spoilt = bytes.slice();
    for (let times = 1 + random(3); times > 0; times--) {
      spoilt[random(bytes.length)]! ^= 1 << random(8);
    }
    return [{ bytes: spoilt }];
  });
  const options = iso15693Pad.parseOptions({ pollMs: 20, replyMs: 50, absentMs: 100 });
  const bus = await iso15693Pad.open(bench.host, [options], never());
  await using _ = bus;
  const { cards, reader } = listen(bus);
  pad.tags.add(tag(7));
  await bench.clock.advance(200_000);
  assert.ok([...new Set(cards())].every((card) => card === `64 ${tag(7)}`));
  const answers: ObidAnswer[] = [];
  const finder = new ObidFinder();
  for (let round = 0; round < 3_000; round++) {
    const bytes = Uint8Array.from({ length: 30 }, () => random(256));
    if (random(3) === 0) bytes.set([0x02, random(20), random(256)]);
    finder.push(bytes, (answer) => answers.push(answer));
  }
  assert.ok(answers.length < 10, "a CRC of 16 bits lets one in 65,536 through");
  spoil = false;
  await bench.send(Uint8Array.of(0x02, 0x0f, 0xff));
  await bench.clock.advance(10_000);
  assert.equal(reader.online(), true);
});

Deno.test("a pull in the middle of an answer", async () => {
  const { pad, bench, bus, reader, cards } = await rig();
  pad.tags.add(tag(1));
  await bench.clock.advance(300);
  bench.pull();
  await bench.clock.advance(3_000);
  assert.equal(reader.online(), false);
  bench.plug();
  await bench.clock.advance(6_000);
  assert.equal(cards().length, 2, "it lies there anew");
  await bus[Symbol.asyncDispose]();
  assert.equal(bench.clock.pendingTimers(), 0);
});
