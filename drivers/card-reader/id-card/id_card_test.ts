import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import {
  SIMULATED_UID_COMMAND,
  type SimulatedIdCard,
  SimulatedIdCardModule,
} from "../../../hal/sim/mod.ts";
import { listen, never, seeded, SerialBench } from "../../serial_bench_test.ts";
import { citizenNumber, encodeQuestion, moduleNumber, type SamAnswer, SamFinder } from "./frame.ts";
import { idCard } from "./mod.ts";

const KEY = "00112233445566778899aabbccddeeff";
/** Made up; the check digit is that of GB 11643's own example. */
const WEI: SimulatedIdCard = {
  number: "11010519491231002X",
  name: "韦小宝",
  uid: Uint8Array.fromHex("10e4100102030405"),
};
const referenceOf = (number: string, key = KEY) =>
  createHmac("sha256", Uint8Array.fromHex(key)).update(number).digest("hex").slice(0, 32);

async function rig(options: object = { reference: "number", key: KEY }) {
  const module = new SimulatedIdCardModule();
  const bench = new SerialBench((port) => void module.plug(port));
  const bus = await idCard.open(bench.host, [idCard.parseOptions(options)], never());
  return { module, bench, bus, ...listen(bus) };
}

Deno.test("frames as makers print them", () => {
  assert.equal(encodeQuestion(0x20, 0x01).toHex(), "aaaaaa96690003200122");
  assert.equal(encodeQuestion(0x20, 0x02).toHex(), "aaaaaa96690003200221");
  assert.equal(encodeQuestion(0x30, 0x01).toHex(), "aaaaaa96690003300132");
  const answers: SamAnswer[] = [];
  const printed = "aaaaaa9669000800009f0000000097" + "aaaaaa9669000c00009000000000000000009c" +
    "aaaaaa9669000400004145";
  new SamFinder().push(Uint8Array.fromHex("aa" + printed), (answer) => answers.push(answer));
  assert.deepEqual(answers.map(({ status, data }) => [status, data.length]), [
    [0x9f, 4],
    [0x90, 8],
    [0x41, 0],
  ]);
});

Deno.test("each single wrong bit of an answer is found", () => {
  const frame = Uint8Array.fromHex("aaaaaa9669000c00009000000000000000009c");
  const answers: SamAnswer[] = [];
  for (let bit = 0; bit < frame.length * 8; bit++) {
    const finder = new SamFinder();
    const spoilt = frame.with(bit >> 3, frame[bit >> 3]! ^ (1 << (bit & 7)));
    finder.push(spoilt, (answer) => answers.push(answer));
  }
  assert.deepEqual(answers, []);
});

Deno.test("a card is known by a keyed hash of its number, once while it lies there", async () => {
  const { module, bench, bus, reader, cards, events } = await rig();
  await using _ = bus;
  await bench.clock.advance(1_000);
  assert.equal(reader.online(), true);
  const online = events.find((event) => event.kind === "online");
  assert.ok(online?.kind === "online");
  assert.equal(online.identity?.serial, "05000300b56134014e61bc00b17f3905");
  assert.equal(online.identity?.firmware, "05.03");
  assert.match(bench.logged.join(), /05\.03-20210101-0012345678-0087654321/);
  module.lay(WEI);
  await bench.clock.advance(5_000);
  assert.deepEqual(cards(), [`128 ${referenceOf(WEI.number)}`]);
  module.lay(undefined);
  await bench.clock.advance(4_000);
  module.lay(WEI);
  await bench.clock.advance(1_000);
  assert.equal(cards().length, 2);
  const said = JSON.stringify([events, bench.logged]);
  assert.ok(!said.includes(WEI.number) && !said.includes(WEI.name) && !said.includes(KEY));
});

Deno.test("a card is known by its UID, and then nothing else of it is read", async () => {
  const { module, bench, bus, cards } = await rig({
    reference: "uid",
    uidCommand: SIMULATED_UID_COMMAND,
  });
  await using _ = bus;
  module.lay(WEI);
  await bench.clock.advance(3_000);
  assert.deepEqual(cards(), ["64 10e4100102030405"]);
  assert.ok(!module.asked.includes("3001"));
});

Deno.test("what is wrong is told, and a module that falls silent is offline", async () => {
  const { module, bench, bus, reader, cards, events } = await rig();
  await using _ = bus;
  await bench.clock.advance(1_000);
  module.readStatusOnce = 0x32;
  module.lay(WEI);
  await bench.clock.advance(1_000);
  assert.match(bench.logged.join(), /does not trust the card/);
  assert.equal(cards().length, 1, "and is read at the next try");
  module.mute = true;
  await bench.clock.advance(10_000);
  assert.deepEqual(events.at(-1), { kind: "offline", reason: "no-reply" });
  module.mute = false;
  bench.pull();
  bench.plug();
  await bench.clock.advance(8_000);
  assert.equal(reader.online(), true);
  await bus[Symbol.asyncDispose]();
  assert.equal(bench.clock.pendingTimers(), 0);
});

Deno.test("only a citizen's number with its check digit is taken", () => {
  const data = (number: string) => {
    const bytes = new Uint8Array(4 + 256);
    bytes.set([1, 0, 4, 0]);
    for (const [index, character] of [...number].entries()) {
      bytes[4 + 122 + index * 2] = character.charCodeAt(0);
      bytes[4 + 122 + index * 2 + 1] = character.charCodeAt(0) >> 8;
    }
    return bytes;
  };
  assert.equal(
    new TextDecoder().decode(citizenNumber(data("11010519491231002X"))),
    "11010519491231002X",
  );
  assert.equal(
    new TextDecoder().decode(citizenNumber(data("440524188001010014"))),
    "440524188001010014",
  );
  for (
    const wrong of [
      "110105194912310021",
      "11010519491231002x",
      "1101051949123100２X",
      "",
      "X".repeat(18),
    ]
  ) {
    assert.throws(() => citizenNumber(data(wrong)), { name: "HalError", kind: "protocol" }, wrong);
  }
  assert.throws(() => citizenNumber(new Uint8Array(10)), { name: "HalError" });
  assert.throws(() => moduleNumber(new Uint8Array(15)), { name: "HalError" });
});

Deno.test("no spoilt answer is another card, and garbage is none", async () => {
  const random = seeded();
  const module = new SimulatedIdCardModule();
  let spoil = true;
  const bench = new SerialBench((port) => void module.plug(port), (bytes, from) => {
    if (from === "a" || !spoil || random(3) > 0) return [{ bytes }];
    const at = random(bytes.length);
    return [{ bytes: bytes.with(at, bytes[at]! ^ (1 << random(8))) }];
  });
  const options = idCard.parseOptions({ reference: "number", key: KEY, pollMs: 100, replyMs: 100 });
  const bus = await idCard.open(bench.host, [options], never());
  await using _ = bus;
  const { cards, reader } = listen(bus);
  for (let round = 0; round < 200; round++) {
    module.lay(WEI);
    await bench.clock.advance(1_000);
    module.lay(undefined);
    await bench.clock.advance(4_000);
  }
  assert.ok(cards().length > 20);
  assert.deepEqual([...new Set(cards())], [`128 ${referenceOf(WEI.number)}`]);
  spoil = false;
  for (let round = 0; round < 1_000; round++) {
    const bytes = Uint8Array.from({ length: 40 }, () => random(256));
    if (random(2) === 0) bytes.set([0xaa, 0xaa, 0xaa, 0x96, 0x69, random(12), random(256)]);
    await bench.send(bytes);
    await bench.clock.advance(random(40));
  }
  module.lay(WEI);
  const before = cards().length;
  await bench.clock.advance(20_000);
  assert.equal(cards().length, before + 1);
  assert.equal(reader.online(), true);
});

Deno.test("options with faults are named, and a key is never quoted", () => {
  const bad = (options: object, message: RegExp) =>
    assert.throws(() => idCard.parseOptions(options), (error: Error) => {
      assert.match(error.message, message);
      assert.ok(!error.message.includes("5ecre7"), "the key is quoted");
      return true;
    });
  bad({}, /reference/);
  bad({ reference: "number", key: "5ecre75ecre7" }, /32 to 128 hex digits/);
  bad({ reference: "number" }, /number needs key/);
  bad({ reference: "uid", uidCommand: "36ff", key: KEY }, /uid has no key/);
  bad({ reference: "uid", uidCommand: "3" }, /2 to 64 bytes/);
});
