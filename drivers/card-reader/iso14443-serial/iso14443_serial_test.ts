import assert from "node:assert/strict";
import { SimulatedIso14443Module } from "../../../hal/sim/mod.ts";
import { listen, never, seeded, SerialBench } from "../../serial_bench_test.ts";
import { EHUOYAN } from "./ehuoyan.ts";
import { iso14443Serial } from "./mod.ts";
import type { ModuleProtocol } from "./module.ts";
import { STRONGLINK } from "./stronglink.ts";

const UIDS = ["04a1b2c3", "04aa2233aabbcc", "0102030405060708aa00", "aaaaaaaa", "bdbd0301"];

async function rig(family: "stronglink" | "ehuoyan", options: object = {}) {
  const module = new SimulatedIso14443Module(family);
  const bench = new SerialBench((port) => void module.plug(port));
  const bus = await iso14443Serial.open(
    bench.host,
    [iso14443Serial.parseOptions({ protocol: family, ...options })],
    never(),
  );
  return { module, bench, bus, ...listen(bus) };
}

const frames = (protocol: ModuleProtocol, hex: string) => {
  const found: string[] = [];
  protocol.finder().push(Uint8Array.fromHex(hex), (frame) => found.push(frame.toHex()));
  return found;
};

Deno.test("frames as the manuals print them", () => {
  assert.equal(STRONGLINK.select.toHex(), "ba0201b9");
  assert.deepEqual(frames(STRONGLINK, "bd030101be"), ["0101"]);
  assert.deepEqual(frames(STRONGLINK, "bd030101bf"), []);
  assert.equal(EHUOYAN.select.toHex(), "aabb022022");
  // A block with an AA in it, from the manual of the YHY522R: the 00 behind it does not count.
  assert.deepEqual(
    frames(EHUOYAN, "aabb122800112233445566778899aa00bbccddeeff3a"),
    ["2800112233445566778899aabbccddeeff"],
  );
  assert.deepEqual(frames(EHUOYAN, "aabb02dfdd"), ["df"]);
});

for (const family of ["stronglink", "ehuoyan"] as const) {
  Deno.test(`${family}: UIDs of every length, once while a card lies there`, async () => {
    const { module, bench, bus, reader, cards, events } = await rig(family);
    await using _ = bus;
    await bench.clock.advance(500);
    assert.equal(reader.online(), true);
    for (const uid of UIDS) {
      module.card = Uint8Array.fromHex(uid);
      await bench.clock.advance(3_000);
      module.card = undefined;
      await bench.clock.advance(1_000);
    }
    assert.deepEqual(cards(), UIDS.map((uid) => `${uid.length * 4} ${uid}`));
    module.card = Uint8Array.fromHex(UIDS[0]!);
    await bench.clock.advance(200);
    assert.equal(cards().length, UIDS.length + 1);
    const online = events.find((event) => event.kind === "online");
    assert.equal(
      online?.kind === "online" && online.identity?.firmware,
      family === "stronglink" ? "SL025-1.5" : undefined,
    );
  });

  Deno.test(`${family}: a module that falls silent is offline, and back when it speaks`, async () => {
    const { module, bench, bus, reader, events } = await rig(family);
    await using _ = bus;
    await bench.clock.advance(500);
    module.mute = true;
    await bench.clock.advance(3_000);
    assert.equal(reader.online(), false);
    assert.deepEqual(events.at(-1), { kind: "offline", reason: "no-reply" });
    module.mute = false;
    await bench.clock.advance(2_000);
    assert.equal(reader.online(), true);
    bench.pull();
    await bench.clock.advance(10);
    assert.deepEqual(events.at(-1), { kind: "offline", reason: "bus-lost" });
    bench.plug();
    await bench.clock.advance(6_000);
    assert.equal(reader.online(), true);
  });

  Deno.test(`${family}: no spoilt answer is another card, and garbage none`, async () => {
    const random = seeded();
    const module = new SimulatedIso14443Module(family);
    module.card = Uint8Array.fromHex("04a1b2c3");
    let spoil = false;
    const bench = new SerialBench((port) => void module.plug(port), (bytes, from) => {
      if (from === "a" || !spoil) return [{ bytes }];
      const at = random(bytes.length);
      return [{ bytes: bytes.with(at, bytes[at]! ^ (1 << random(8))) }];
    });
    const parsed = iso14443Serial.parseOptions({
      protocol: family,
      absentMs: 100,
      pollMs: 20,
      replyMs: 50,
    });
    const bus = await iso14443Serial.open(bench.host, [parsed], never());
    await using _ = bus;
    const { cards, reader } = listen(bus);
    await bench.clock.advance(100);
    spoil = true;
    await bench.clock.advance(200_000);
    // One bit wrong is always found; what is read right before and after is the card itself.
    assert.deepEqual([...new Set(cards())], ["32 04a1b2c3"]);
    spoil = false;
    module.card = undefined;
    for (let round = 0; round < 2_000; round++) {
      await bench.send(Uint8Array.from({ length: 20 }, () => random(256)));
      await bench.clock.advance(random(30));
    }
    const before = cards().length;
    module.card = Uint8Array.fromHex("04ffffff");
    await bench.clock.advance(5_000);
    assert.deepEqual(cards().slice(before), ["32 04ffffff"]);
    assert.equal(reader.online(), true);
    assert.ok(bench.logged.length < 60);
  });
}

Deno.test("stronglink: its status codes are told, and its LED follows the feedback", async () => {
  const { module, bench, bus, reader, cards } = await rig("stronglink");
  await bench.clock.advance(200);
  assert.equal(module.lit, false);
  module.faultOnce = 0xf0;
  await bench.clock.advance(200);
  assert.match(bench.logged.join(), /found our checksum wrong/);
  reader.show("granted");
  await bench.clock.advance(200);
  assert.equal(module.lit, true);
  await bench.clock.advance(2_500);
  assert.equal(module.lit, false);
  reader.show("free");
  reader.show("denied");
  await bench.clock.advance(200);
  assert.equal(module.lit, true);
  assert.deepEqual(cards(), []);
  await bus[Symbol.asyncDispose]();
  assert.equal(bench.clock.pendingTimers(), 0);
});

Deno.test("options with faults are named", () => {
  assert.throws(() => iso14443Serial.parseOptions({}), { name: "ValiError" });
  assert.throws(
    () => iso14443Serial.parseOptions({ protocol: "sl025" }),
    /expected stronglink or ehuoyan/,
  );
});
