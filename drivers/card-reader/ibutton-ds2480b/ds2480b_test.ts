import assert from "node:assert/strict";
import {
  type Ds2480bOptions as ChipOptions,
  memorySerialLine,
  romCode,
  type SimulatedDs2480b,
  simulateDs2480b,
  VirtualClock,
} from "../../../hal/sim/mod.ts";
import { listen, never, seeded, SerialBench } from "../../serial_bench_test.ts";
import { Ds2480b } from "./adapter.ts";
import { ibuttonDs2480b } from "./mod.ts";

const BUTTON = romCode(0x01, 0x0000169b7c3fn);

async function rig(options: object = {}, chip: ChipOptions = {}) {
  let device: SimulatedDs2480b | undefined;
  const bench = new SerialBench((port) => device = simulateDs2480b(port, chip));
  const parsed = ibuttonDs2480b.parseOptions(options);
  const bus = await ibuttonDs2480b.open(bench.host, [parsed], never());
  const heard = listen(bus);
  await bench.clock.advance(100);
  return { bench, bus, device: () => device!, ...heard };
}

Deno.test("the adapter is set up, and a touch is told once", async () => {
  const { bench, bus, device, reader, cards } = await rig();
  await using _ = bus;
  assert.equal(reader.online(), true);
  await bench.clock.advance(1_000);
  device().touch(BUTTON);
  await bench.clock.advance(30_000);
  assert.deepEqual(cards(), [`64 ${BUTTON}`]);
  device().release(BUTTON);
  await bench.clock.advance(2_000);
  device().touch(BUTTON);
  await bench.clock.advance(500);
  assert.deepEqual(cards(), [`64 ${BUTTON}`, `64 ${BUTTON}`]);
  assert.deepEqual(bench.logged, []);
});

for (
  const [how, chip] of [
    ["command mode", { fresh: false }],
    ["data mode", { fresh: false, inDataMode: true }],
  ] as const
) {
  Deno.test(`an adapter that was left in ${how} is set up as well`, async () => {
    const { bench, bus, device, cards } = await rig({ number: "serial" }, chip);
    await using _ = bus;
    device().touch(BUTTON);
    await bench.clock.advance(500);
    assert.deepEqual(cards(), ["48 0000169b7c3f"]);
    assert.deepEqual(bench.logged, []);
  });
}

Deno.test("a search finds any set of buttons, whatever their codes", async () => {
  const next = seeded();
  const clock = new VirtualClock();
  for (let round = 0; round < 60; round++) {
    const line = memorySerialLine(clock);
    const chip = simulateDs2480b(line.b);
    const adapter = new Ds2480b(line.a, clock);
    let done = false;
    const codes = new Set(
      Array.from({ length: next(12) }, () => {
        // Neighbours differ in few bits, so that paths fork early and late.
        const serial = BigInt(next(2) === 0 ? next(8) : next(2 ** 32)) << BigInt(next(16));
        return romCode([0x01, 0x81, 0x23][next(3)]!, serial);
      }),
    );
    for (const code of codes) chip.touch(code);
    const found = (async () => {
      await adapter.begin(never());
      const result = await adapter.search(never());
      done = true;
      return result;
    })();
    while (!done) await clock.advance(5);
    const { codes: got, shorted } = await found;
    assert.deepEqual([...got].sort(), [...codes].sort());
    assert.equal(shorted, false);
  }
});

Deno.test("a bouncing contact makes no card of a wrong code; a shorted one is said after some seconds", async () => {
  const { bench, bus, device, cards } = await rig();
  await using _ = bus;
  device().spoilNextSearch();
  device().touch(BUTTON);
  await bench.clock.advance(1_000);
  assert.deepEqual(cards(), [`64 ${BUTTON}`]);
  assert.deepEqual(bench.logged, []);
  device().short(true);
  await bench.clock.advance(10_000);
  assert.match(bench.logged.join(), /the contact is shorted/);
  assert.equal(cards().length, 1);
});

Deno.test("a silent adapter is an offline reader until it answers; a pulled one is found again", async () => {
  const { bench, bus, device, reader, events, cards } = await rig();
  device().mute(true);
  await bench.clock.advance(3_000);
  assert.equal(reader.online(), false);
  assert.match(bench.logged.join(), /does not answer as a DS2480B does/);
  device().mute(false);
  await bench.clock.advance(3_000);
  assert.equal(reader.online(), true);
  bench.pull();
  await bench.clock.advance(3_000);
  bench.plug();
  await bench.clock.advance(6_000);
  device().touch(BUTTON);
  await bench.clock.advance(500);
  assert.deepEqual(cards(), [`64 ${BUTTON}`]);
  await bus[Symbol.asyncDispose]();
  await bus[Symbol.asyncDispose]();
  assert.deepEqual(events.map((event) => event.kind === "offline" ? event.reason : event.kind), [
    "online",
    "no-reply",
    "online",
    "bus-lost",
    "online",
    "card",
    "closed",
  ]);
  assert.equal(bench.clock.pendingTimers(), 0);
});

Deno.test("garbage on the line makes no card, and a button is read after it", async () => {
  const next = seeded();
  const { bench, bus, device, cards } = await rig();
  await using _ = bus;
  for (let round = 0; round < 2_000; round++) {
    await bench.send(Uint8Array.from({ length: 1 + next(40) }, () => next(256)));
    await bench.clock.advance(next(200));
  }
  assert.deepEqual(cards(), []);
  await bench.clock.advance(10_000);
  device().touch(BUTTON);
  await bench.clock.advance(500);
  assert.deepEqual(cards(), [`64 ${BUTTON}`]);
});
