import assert from "node:assert/strict";
import { HalError } from "../../../hal/mod.ts";
import {
  ABSENT,
  type KeyboardReportOptions,
  keyboardReports,
  VirtualClock,
  VirtualHid,
  type VirtualHidDevice,
} from "../../../hal/sim/mod.ts";
import type { ReaderEvent } from "../../contract.ts";
import { BootKeyboard } from "./keys.ts";
import { hidKeyboard } from "./mod.ts";

const IDS = { vendorId: 0xffff, productId: 0x35 };

function rig() {
  const clock = new VirtualClock();
  const hid = new VirtualHid(clock);
  const logged: string[] = [];
  const host = {
    ...ABSENT,
    clock,
    hid,
    log: (level: string, text: string, fields?: object) =>
      logged.push(`${level} ${text} ${JSON.stringify(fields ?? {})}`),
  };
  const open = async (options: object = {}, signal = new AbortController().signal) => {
    const parsed = hidKeyboard.parseOptions({ ...IDS, ...options });
    const reader = await hidKeyboard.open(host, parsed, signal);
    const events: ReaderEvent[] = [];
    reader.onEvent((event) => events.push(event));
    await clock.advance(1);
    const cards = () =>
      events.flatMap((event) =>
        event.kind === "card" ? [`${event.bits}:${event.data.toHex()}`] : []
      );
    return { reader, events, cards };
  };
  const type = async (device: VirtualHidDevice, text: string, how: KeyboardReportOptions = {}) => {
    for (const report of keyboardReports(text, how)) {
      device.report(report);
      await clock.advance(4);
    }
  };
  return { clock, hid, logged, open, type };
}

Deno.test("a typed number and Enter are a card, stamped with the last key, and taken from the console", async () => {
  const { hid, open, type, clock } = rig();
  const device = hid.plug(IDS);
  const { reader, events, cards } = await open();
  await using _ = reader;
  assert.equal(device.held, "exclusive");
  assert.equal(reader.online(), true);
  await type(device, "0012345678");
  const beforeMs = clock.monotonicMs();
  await type(device, "\n");
  assert.deepEqual(cards(), ["32:00bc614e"]);
  const card = events.find((event) => event.kind === "card");
  assert.equal(card?.kind === "card" && card.receivedMonotonicMs, beforeMs);
  await type(device, "4294967295\n\n4294967296\n");
  assert.deepEqual(cards(), ["32:00bc614e", "32:ffffffff"], "one more than 32 bits hold is none");
});

Deno.test("formats: hex of any length, byte order, facility and number, the 26 bits of Wiegand", async () => {
  const read = async (options: object, text: string) => {
    const { hid, open, type } = rig();
    const device = hid.plug(IDS);
    const { reader, cards } = await open(options);
    await using _ = reader;
    await type(device, text);
    return cards().join();
  };
  assert.equal(await read({ format: "hex" }, "04a1B2c3D4e5f6\n"), "56:04a1b2c3d4e5f6");
  assert.equal(await read({ format: "hex", bits: 34 }, "3ffffffff\n"), "34:ffffffffc0");
  assert.equal(await read({ format: "hex", bits: 33 }, "3ffffffff\n"), "");
  assert.equal(await read({ format: "hex", byteOrder: "little" }, "04a1b2c3\n"), "32:c3b2a104");
  assert.equal(await read({ byteOrder: "little" }, "12345678\n"), "32:4e61bc00");
  assert.equal(await read({ format: "facility" }, "012,03456\n"), "24:0c0d80");
  assert.equal(await read({ format: "facility" }, "12 3456\n"), "24:0c0d80");
  assert.equal(await read({ format: "facility" }, "256,1\n"), "");
  // The same frame as in the test of the Wiegand driver.
  const wiegand = Uint8Array.of(0b00000110, 0b00000110, 0b11000000, 0b01000000).toHex();
  assert.equal(await read({ format: "facility", as: "h10301" }, "12,3456\n"), `26:${wiegand}`);
  assert.equal(await read({ bits: 24, as: "h10301" }, "789888\n"), `26:${wiegand}`);
  assert.equal(await read({ terminator: "tab" }, "7\t"), "32:00000007");
  assert.equal(await read({ prefix: ";", suffix: "?" }, ";42?\n"), "32:0000002a");
  assert.equal(await read({ prefix: ";", suffix: "?" }, "42\n"), "");
});

Deno.test("with no terminator silence ends a number", async () => {
  const { hid, open, type, clock } = rig();
  const device = hid.plug(IDS);
  const { reader, cards } = await open({ terminator: "none", keyGapMs: 100 });
  await using _ = reader;
  await type(device, "1234");
  assert.deepEqual(cards(), []);
  await clock.advance(120);
  assert.deepEqual(cards(), ["32:000004d2"]);
});

Deno.test("keys that come just after the pause, as on a box that was held up, belong to the number", async () => {
  const { hid, open, type, clock } = rig();
  const device = hid.plug(IDS);
  const { reader, cards } = await open();
  await using _ = reader;
  await type(device, "12");
  await clock.advance(300);
  await type(device, "3\n");
  assert.deepEqual(cards(), ["32:0000007b"]);
});

Deno.test("a held key repeats nothing; hasty rollover and numbered reports are understood", async () => {
  const { hid, open, type, clock } = rig();
  const device = hid.plug(IDS);
  const { reader, cards } = await open();
  await using _ = reader;
  for (let i = 0; i < 5; i++) {
    device.report(Uint8Array.of(0, 0, 0x1e, 0, 0, 0, 0, 0));
    await clock.advance(30);
  }
  device.report(new Uint8Array(8));
  await type(device, "\n");
  await type(device, "1123344\n", { rollover: true });
  assert.deepEqual(cards(), ["32:00000001", "32:00112410"]);

  const numbered = rig();
  const second = numbered.hid.plug(IDS);
  const opened = await numbered.open({ reportId: 3 });
  await using __ = opened.reader;
  await numbered.type(second, "12", { reportId: 3 });
  // A report of another collection, such as media keys.
  second.report(Uint8Array.of(2, 0, 0, 0x20));
  await numbered.type(second, "3\n", { reportId: 3 });
  assert.deepEqual(opened.cards(), ["32:0000007b"]);
});

Deno.test("a report of too many keys (ErrorRollOver) is passed over, its keys are not typed twice", () => {
  const keyboard = new BootKeyboard("us");
  const push = (...usages: number[]) => keyboard.push(Uint8Array.of(0, 0, ...usages));
  assert.deepEqual(push(0x1e, 0x1f, 0, 0, 0, 0), ["1", "2"]);
  assert.deepEqual(push(1, 1, 1, 1, 1, 1), []);
  assert.deepEqual(push(0x1e, 0x1f, 0x20, 0x20, 0, 0), ["3"]);
  assert.deepEqual(push(0x1e, 0, 0, 0, 0, 0), []);
  assert.deepEqual(push(0x1e, 0x1f, 0, 0, 0, 0), ["2"]);
  assert.deepEqual(push(0x59, 0x62, 0x58, 0x2b, 0, 0), ["1", "0", "enter", "tab"]);
  assert.equal(keyboard.push(Uint8Array.of(0, 0)), undefined);
  assert.equal(keyboard.push(new Uint8Array(9)), undefined);
});

Deno.test("a French keyboard's digits need shift, and its letters are moved", () => {
  const keyboard = new BootKeyboard("fr");
  const press = (modifiers: number, usage: number) => {
    const keys = keyboard.push(Uint8Array.of(modifiers, 0, usage, 0, 0, 0, 0, 0));
    keyboard.push(new Uint8Array(8));
    return keys?.join();
  };
  assert.deepEqual([0x1e, 0x26, 0x27].map((usage) => press(0x20, usage)), ["1", "9", "0"]);
  assert.equal(press(0, 0x1e), "strange");
  assert.deepEqual([0x14, 0x04, 0x05].map((usage) => press(0, usage)), ["a", "q", "b"]);
  assert.equal(press(0x02, 0x14), "A");
});

Deno.test("foreign keys, commands, endless typing and halves are refused, never stored, never logged", async () => {
  const { hid, open, type, clock, logged } = rig();
  const device = hid.plug(IDS);
  const { reader, cards } = await open();
  await using _ = reader;
  await type(device, "12[4\n");
  await type(device, "1\t2\n");
  // Control-C between two digits.
  await type(device, "1");
  device.report(Uint8Array.of(1, 0, 6, 0, 0, 0, 0, 0));
  device.report(new Uint8Array(8));
  await type(device, "2\n");
  await type(device, "9".repeat(5_000) + "\n");
  assert.equal(logged.length, 4);
  for (const line of logged.slice(0, 3)) assert.match(line, /keys were typed that no card has/);
  assert.match(logged[3]!, /more was typed than a card has/);
  await type(device, "777");
  await clock.advance(330);
  await type(device, "888\n");
  assert.deepEqual(cards(), ["32:00000378"], "a half before a pause is not put before the next");
  assert.match(logged.join("\n"), /with no end/);
  assert.doesNotMatch(logged.join("\n"), /777|888|9999/);
});

Deno.test("random reports never crash it or fill it, and a card comes through after", async () => {
  const { hid, open, type, clock } = rig();
  const device = hid.plug(IDS);
  const { reader, cards } = await open();
  await using _ = reader;
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  console.log(`seed ${seed}`);
  let word = seed;
  const next = (n: number) =>
    Math.floor((word = (Math.imul(word, 1664525) + 1013904223) >>> 0) / 2 ** 32 * n);
  for (let round = 0; round < 5_000; round++) {
    device.report(Uint8Array.from({ length: 1 + next(12) }, () => next(4) === 0 ? next(256) : 0));
    if (next(3) === 0) await clock.advance(next(60));
  }
  await clock.advance(1_000);
  device.report(new Uint8Array(8));
  await clock.advance(1_000);
  await type(device, "5\n");
  assert.equal(cards().at(-1), "32:00000005");
});

Deno.test("a reader that is not there is waited for; pulled, it is offline, and found again by its ids", async () => {
  const { hid, open, type, clock, logged } = rig();
  hid.plug({ ...IDS, usage: 2 });
  const { reader, events, cards } = await open({ serialNumber: "B" });
  assert.equal(reader.online(), false);
  await clock.advance(60_000);
  assert.equal(logged.length, 1, "said once");
  hid.plug({ ...IDS, serialNumber: "A" });
  const device = hid.plug({ ...IDS, serialNumber: "B" });
  await clock.advance(5_000);
  assert.equal(reader.online(), true);
  await type(device, "12");
  device.unplug();
  await clock.advance(1);
  assert.equal(reader.online(), false);
  const again = hid.plug({ ...IDS, serialNumber: "B" });
  await clock.advance(250);
  await type(again, "3\n");
  assert.deepEqual(cards(), ["32:00000003"], "what was typed before the pull is forgotten");
  await reader[Symbol.asyncDispose]();
  await reader[Symbol.asyncDispose]();
  assert.deepEqual(events.map((event) => event.kind === "offline" ? event.reason : event.kind), [
    "online",
    "bus-lost",
    "online",
    "card",
    "closed",
  ]);
  assert.equal(again.held, "no");
  assert.equal(clock.pendingTimers(), 0);
});

Deno.test("a machine without the HID library keeps the reader offline and says why; an abort ends it", async () => {
  const { hid, open, clock, logged } = rig();
  hid.plug(IDS);
  hid.refusal = new HalError("unsupported", "HID devices cannot be used");
  const stop = new AbortController();
  const { reader, events } = await open({}, stop.signal);
  await clock.advance(20_000);
  assert.equal(reader.online(), false);
  assert.match(logged.join(), /HID devices cannot be used/);
  stop.abort(new Error("over"));
  await reader[Symbol.asyncDispose]();
  assert.deepEqual(events, [{ kind: "offline", reason: "closed" }]);
  await assert.rejects(open({}, stop.signal), { message: "over" });
});

Deno.test("options with faults are named", () => {
  const bad = (options: object, message: RegExp) =>
    assert.throws(() => hidKeyboard.parseOptions({ ...IDS, ...options }), {
      name: "ValiError",
      message,
    });
  bad({ vendorId: "08ff" }, /USB id such as 0x08ff/);
  bad({ productId: 0x10000 }, /USB id/);
  bad({ serialNumber: 42 }, /in quotes/);
  bad({ format: "octal" }, /decimal, hex or facility/);
  bad({ bits: 256 }, /1 to 255 bits/);
  bad({ bits: 26, byteOrder: "little" }, /multiple of 8/);
  bad({ as: "h10301" }, /bits: 24/);
  bad({ terminator: "escape" }, /enter, tab or none/);
  bad({ keyGapMs: 1 }, /20 to 5000/);
  bad({ layout: "dvorak" }, /us or fr/);
  bad({ beep: true }, /beep/);
});
