import assert from "node:assert/strict";
import { HalError, type OneWireHost } from "../../../hal/mod.ts";
import { ABSENT, romCode, VirtualClock } from "../../../hal/sim/mod.ts";
import type { ReaderEvent } from "../../contract.ts";
import { ibutton } from "./mod.ts";

function rig() {
  const clock = new VirtualClock();
  const logged: string[] = [];
  const bus = { codes: [] as string[], fault: undefined as HalError | undefined, searches: 0 };
  const oneWire: OneWireHost = {
    search: (_, signal) =>
      new Promise((resolve) => {
        signal.throwIfAborted();
        bus.searches++;
        if (bus.fault !== undefined) throw bus.fault;
        resolve([...bus.codes]);
      }),
  };
  const open = async (raw: object = {}) => {
    const host = {
      ...ABSENT,
      clock,
      oneWire,
      log: (level: string, text: string, fields?: object) =>
        logged.push(`${level} ${text} ${JSON.stringify(fields ?? {})}`),
    };
    const reader = await ibutton.open(
      host,
      ibutton.parseOptions(raw),
      new AbortController().signal,
    );
    const events: ReaderEvent[] = [];
    reader.onEvent((event) => events.push(event));
    await clock.advance(1);
    const cards = () =>
      events.flatMap((event) =>
        event.kind === "card" ? [`${event.bits} ${event.data.toHex()}`] : []
      );
    return { reader, events, cards };
  };
  return { clock, bus, logged, open };
}

const BUTTON = romCode(0x01, 0x0000169b7c3fn);

Deno.test("a touch is told once, however it bounces; the next one after a second is another", async () => {
  const { clock, bus, open } = rig();
  const { reader, cards } = await open();
  await using _ = reader;
  assert.equal(reader.online(), true);
  for (const there of [true, false, true, true, false, true, false]) {
    bus.codes = there ? [BUTTON] : [];
    await clock.advance(150);
  }
  assert.deepEqual(cards(), [`64 ${BUTTON}`]);
  bus.codes = [];
  await clock.advance(1_000);
  bus.codes = [BUTTON];
  await clock.advance(60_000);
  assert.deepEqual(cards(), [`64 ${BUTTON}`, `64 ${BUTTON}`], "one that lies there is one touch");
});

Deno.test("several buttons, families, the serial number alone, and codes that are none", async () => {
  const { clock, bus, open, logged } = rig();
  const other = romCode(0x23, 0x1n);
  const all = await open();
  bus.codes = [BUTTON, other, romCode(0x09, 0x77n), "0000000000000000", "not a code"];
  bus.codes.push("00" + BUTTON.slice(2));
  await clock.advance(300);
  assert.deepEqual(all.cards(), [`64 ${BUTTON}`, `64 ${other}`]);
  assert.match(logged.join(), /wrong code/);
  await all.reader[Symbol.asyncDispose]();
  bus.codes = [];
  const some = await open({ families: ["23"], number: "serial" });
  bus.codes = [BUTTON, other];
  await clock.advance(300);
  assert.deepEqual(some.cards(), ["48 000000000001"]);
  await some.reader[Symbol.asyncDispose]();
});

Deno.test("a bus that is not there is waited for, and one that vanishes is an offline reader", async () => {
  const { clock, bus, open, logged } = rig();
  bus.fault = new HalError("not-found", "no such bus");
  const { reader, events } = await open();
  assert.equal(reader.online(), false);
  await clock.advance(60_000);
  assert.equal(logged.length, 1);
  assert.ok(bus.searches < 20, "it is asked for with back-off");
  bus.fault = undefined;
  await clock.advance(6_000);
  assert.equal(reader.online(), true);
  bus.fault = new HalError("io", "the adapter was pulled");
  await clock.advance(1_000);
  assert.equal(reader.online(), false);
  await reader[Symbol.asyncDispose]();
  assert.deepEqual(events.map((event) => event.kind), ["online", "offline", "offline"]);
  assert.equal(clock.pendingTimers(), 0);
});

Deno.test("options with faults are named", () => {
  const bad = (options: object, message: RegExp) =>
    assert.throws(() => ibutton.parseOptions(options), { name: "ValiError", message });
  bad({ oneWireBus: "/sys/bus" }, /w1_bus_master1/);
  bad({ families: [1] }, /two hex digits/);
  bad({ families: [] }, /./);
  bad({ number: "hex" }, /rom or serial/);
  bad({ pollMs: 10 }, /50 to 1000/);
  bad({ absentMs: 50 }, /100 to 60000/);
});
