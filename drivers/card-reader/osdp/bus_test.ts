import assert from "node:assert/strict";
import { hexOf, openRig } from "./rig_test.ts";

const CARD = Uint8Array.of(0xde, 0xad, 0xbe, 0xef);

Deno.test("a reader comes online, and a card is one event, with the time of its last byte", async () => {
  await using rig = await openRig([{ address: 3, serial: 0x01020304 }]);
  const seen: number[] = [];
  rig.reader(3).onEvent((event) => {
    if (event.kind === "card") seen.push(event.receivedMonotonicMs, rig.clock.monotonicMs());
  });
  await rig.clock.advance(300);
  assert.equal(rig.reader(3).online(), true);
  rig.line.reader(3).present(32, CARD);
  await rig.clock.advance(100);
  assert.deepEqual(rig.events, ["3: online 1.4.2", "3: card 32 deadbeef"]);
  assert.equal(seen[0], seen[1], "the listener runs in the tick in which the bytes were read");
});

Deno.test("26- and 37-bit cards, keys, tamper, power and inputs are told", async () => {
  await using rig = await openRig([{ address: 0, inputs: 2 }]);
  const input = rig.reader(0).input(1);
  const levels: (boolean | undefined)[] = [];
  input.onChange((active) => levels.push(active));
  assert.equal(input.active(), undefined);
  await rig.clock.advance(300);
  const device = rig.line.reader(0);
  device.present(26, Uint8Array.of(1, 2, 3, 0xff));
  device.present(37, Uint8Array.of(1, 2, 3, 4, 0x08));
  device.press("12*#");
  device.setTamper(true);
  device.setPowerFailed(true);
  device.setInput(1, true);
  await rig.clock.advance(300);
  assert.deepEqual(rig.events, [
    "0: online 1.4.2",
    "0: tamper true",
    "0: power true",
    "0: card 26 010203c0",
    "0: card 37 0102030408",
    "0: keys 12*#",
  ]);
  assert.deepEqual(levels, [false, true]);
  device.faults.mute = true;
  await rig.clock.advance(10_000);
  assert.equal(input.active(), undefined, "nobody knows what a silent reader's contact does");
});

Deno.test("sequence numbers go 0, 1, 2, 3, 1, and a retry repeats number and bytes", async () => {
  const sent: Uint8Array[] = [];
  await using rig = await openRig([{ address: 0 }], {
    interfere: (bytes, from) => {
      if (from === "a") sent.push(bytes);
      return [{ bytes }];
    },
  });
  await rig.clock.advance(150);
  const sequences = sent.map((bytes) => bytes[4]! & 3);
  assert.deepEqual(sequences.slice(0, 7), [0, 1, 2, 3, 1, 2, 3]);
  sent.length = 0;
  rig.line.reader(0).present(32, CARD);
  rig.line.reader(0).faults.loseReplies = 2;
  await rig.clock.advance(700);
  assert.equal(hexOf(sent[0]!), hexOf(sent[1]!));
  assert.equal(hexOf(sent[0]!), hexOf(sent[2]!));
  assert.deepEqual(
    rig.events.slice(1),
    ["0: card 32 deadbeef"],
    "the lost reply comes again, once",
  );
});

Deno.test("replies that are late, double, broken or behind garbage give each card once", async () => {
  const faults = [
    { lateMs: 260 },
    { twice: true },
    { corruptReplies: 2 },
    { garbageReplies: 3 },
    { garbageReplies: 3, garbage: Uint8Array.of(0x53, 0x80, 0x00, 0x05, 0x04) },
    { busyReplies: 3 },
    { twice: true, lateMs: 199 },
  ];
  for (const fault of faults) {
    await using rig = await openRig([{ address: 0 }, { address: 1 }]);
    await rig.clock.advance(500);
    rig.events.length = 0;
    const device = rig.line.reader(0);
    Object.assign(device.faults, fault);
    for (let i = 0; i < 3; i++) {
      device.present(32, Uint8Array.of(0, 0, 0, i));
      await rig.clock.advance(1_900);
    }
    const wanted = ["0: card 32 00000000", "0: card 32 00000001", "0: card 32 00000002"];
    assert.deepEqual(rig.events, wanted, JSON.stringify(fault));
  }
});

Deno.test("a reader is declared offline 8 s after its last reply, and back within 10 s", async () => {
  await using rig = await openRig([{ address: 0 }, { address: 1 }]);
  await rig.clock.advance(500);
  rig.events.length = 0;
  rig.line.reader(0).faults.mute = true;
  await rig.clock.advance(7_800);
  assert.deepEqual(rig.events, []);
  await rig.clock.advance(1_500);
  assert.deepEqual(rig.events, ["0: offline no-reply"]);
  assert.equal(rig.reader(0).online(), false);
  await rig.clock.advance(60_000);
  rig.line.reader(0).faults.mute = false;
  await rig.clock.advance(3_000);
  assert.deepEqual(rig.events, ["0: offline no-reply", "0: online 1.4.2"]);
});

Deno.test("dead readers and a recovery do not disturb a neighbour", async () => {
  await using rig = await openRig([{ address: 0 }, { address: 1 }], { absent: [2, 3, 4, 5, 6] });
  await rig.clock.advance(20_000);
  rig.events.length = 0;
  const restarts: number[] = [];
  rig.line.reader(1).onCommand((_code, sequence) => {
    if (sequence === 0) restarts.push(rig.clock.monotonicMs());
  });
  const waitsMs: number[] = [];
  let presentedMs = 0;
  rig.reader(1).onEvent((event) => {
    if (event.kind !== "card") return;
    waitsMs.push(event.receivedMonotonicMs - presentedMs);
  });
  for (let i = 0; i < 60; i++) {
    if (i === 10) rig.line.reader(0).faults.mute = true;
    if (i === 30) rig.line.reader(0).reboot(500);
    if (i === 30) rig.line.reader(0).faults.mute = false;
    presentedMs = rig.clock.monotonicMs();
    rig.line.reader(1).present(32, CARD);
    await rig.clock.advance(503);
  }
  assert.equal(waitsMs.length, 60);
  // One turn of somebody who does not answer, and a poll; two in the moment when one more fell silent.
  const [worst, second] = waitsMs.toSorted((a, b) => b - a);
  assert.ok(second! < 260 && worst! < 470, `cards waited ${worst} and ${second} ms`);
  assert.ok(waitsMs.toSorted((a, b) => a - b)[30]! < 150, "and half of them much less");
  assert.deepEqual(restarts, [], "the neighbour's conversation went on");
  assert.ok(rig.events.includes("0: offline no-reply") && rig.events.includes("0: online 1.4.2"));
});

Deno.test("cards from while a reader was not heard open nothing", async () => {
  await using rig = await openRig([{ address: 0 }]);
  const device = rig.line.reader(0);
  for (let i = 0; i < 20; i++) device.present(32, Uint8Array.of(9, 9, 9, i));
  device.press("1234");
  await rig.clock.advance(2_000);
  assert.deepEqual(rig.events, ["0: online 1.4.2"]);
  assert.ok(rig.logs.some((line) => line.includes("dropped") && line.includes('"count":21')));
  // The same in an outage too short for the reader to be declared offline.
  device.faults.mute = true;
  await rig.clock.advance(3_000);
  for (let i = 0; i < 5; i++) device.present(32, CARD);
  device.faults.mute = false;
  await rig.clock.advance(2_000);
  assert.deepEqual(rig.events, ["0: online 1.4.2"]);
  device.present(32, CARD);
  await rig.clock.advance(100);
  assert.deepEqual(rig.events, ["0: online 1.4.2", "0: card 32 deadbeef"]);
});

Deno.test("the line is opened again after it was pulled, and everybody recovers", async () => {
  await using rig = await openRig([{ address: 0 }, { address: 1 }]);
  await rig.clock.advance(500);
  rig.events.length = 0;
  rig.unplug(20_000);
  await rig.clock.advance(100);
  assert.deepEqual(rig.events, ["0: offline bus-lost", "1: offline bus-lost"]);
  await rig.clock.advance(30_000);
  assert.deepEqual(rig.events.slice(2), ["0: online 1.4.2", "1: online 1.4.2"]);
  assert.equal(rig.bus.counts().reopened, 1);
  rig.line.reader(1).present(32, CARD);
  await rig.clock.advance(100);
  assert.equal(rig.events.at(-1), "1: card 32 deadbeef");
});

Deno.test("commands that a reader does not know are not sent to it again", async () => {
  await using rig = await openRig([{ address: 0, unknownCommands: [0x62, 0x65, 0x6a, 0x69] }]);
  const codes: number[] = [];
  rig.line.reader(0).onCommand((code) => codes.push(code));
  await rig.clock.advance(500);
  for (let i = 0; i < 3; i++) {
    rig.reader(0).show("denied");
    await rig.clock.advance(200);
  }
  rig.line.reader(0).present(32, CARD);
  await rig.clock.advance(100);
  assert.deepEqual(rig.events, ["0: online 1.4.2", "0: card 32 deadbeef"]);
  for (const code of [0x62, 0x65, 0x6a, 0x69]) {
    assert.equal(codes.filter((one) => one === code).length, 1, code.toString(16));
  }
});

Deno.test("a reader that demands a secure channel is offline with a reason, and the rest go on", async () => {
  await using rig = await openRig([{ address: 0, secureOnly: true }, { address: 1 }]);
  await rig.clock.advance(3_000);
  assert.deepEqual(rig.events, ["0: offline protocol", "1: online 1.4.2"]);
  assert.ok(rig.logs.some((line) => line.includes("secure channel")));
  rig.line.reader(1).present(32, CARD);
  await rig.clock.advance(100);
  assert.equal(rig.events.at(-1), "1: card 32 deadbeef");
});

Deno.test("readers with checksums alone are spoken to in checksums", async () => {
  const controls = new Set<number>();
  await using rig = await openRig([{ address: 0 }], {
    driver: { check: "checksum" },
    interfere: (bytes) => {
      controls.add(bytes[4]! & 0x04);
      return [{ bytes }];
    },
  });
  await rig.clock.advance(500);
  assert.equal(rig.reader(0).online(), true);
  assert.deepEqual([...controls], [0]);
});

Deno.test("a listener that throws stops neither the others nor the bus", async () => {
  await using rig = await openRig([{ address: 0 }]);
  rig.reader(0).onEvent(() => {
    throw new Error("planted");
  });
  await rig.clock.advance(500);
  rig.line.reader(0).present(32, CARD);
  await rig.clock.advance(100);
  assert.deepEqual(rig.events, ["0: online 1.4.2", "0: card 32 deadbeef"]);
  assert.ok(rig.logs.some((line) => line.includes("planted")));
});

Deno.test("disposal reports each reader, closes the port, leaves no timer, and may be repeated", async () => {
  const rig = await openRig([{ address: 0 }, { address: 1 }]);
  await rig.clock.advance(500);
  rig.events.length = 0;
  await rig.bus[Symbol.asyncDispose]();
  await rig.bus[Symbol.asyncDispose]();
  assert.deepEqual(rig.events, ["0: offline closed", "1: offline closed"]);
  rig.reader(0).show("granted");
  await rig[Symbol.asyncDispose]();
  await rig.clock.advance(10);
  assert.equal(rig.clock.pendingTimers(), 0);
});

Deno.test("idle readers are polled no faster than asked for", async () => {
  await using rig = await openRig([{ address: 0 }], { driver: { pollMs: 50 } });
  await rig.clock.advance(1_000);
  const before = rig.bus.counts().sent;
  await rig.clock.advance(1_000);
  const sent = rig.bus.counts().sent - before;
  assert.ok(sent >= 15 && sent <= 20, `${sent} polls in a second`);
});

Deno.test("an address that is none, or twice on a line, is refused", async () => {
  await using rig = await openRig([{ address: 0 }]);
  assert.throws(() => rig.bus.reader(1), RangeError);
  assert.throws(() => rig.reader(0).output(14), RangeError);
  assert.throws(() => rig.reader(0).input(-1), RangeError);
  await assert.rejects(openRig([{ address: 0 }], { absent: [0] }), RangeError);
});

Deno.test("seven absent readers are each tried within 5 s, and found when they appear", async () => {
  await using rig = await openRig(
    Array.from({ length: 8 }, (_, address) => ({ address })),
  );
  for (const device of rig.line.readers.slice(1)) device.faults.mute = true;
  await rig.clock.advance(20_000);
  rig.events.length = 0;
  rig.line.reader(7).faults.mute = false;
  await rig.clock.advance(6_000);
  assert.deepEqual(rig.events, ["7: online 1.4.2"]);
});

Deno.test("a reader that repeats a fault does not fill the log", async () => {
  await using rig = await openRig([{ address: 0 }]);
  await rig.clock.advance(500);
  const before = rig.logs.length;
  for (let i = 0; i < 100; i++) {
    rig.line.reader(0).present(300, new Uint8Array(38));
    await rig.clock.advance(50);
  }
  assert.equal(rig.logs.length - before, 1);
  await rig.clock.advance(10_000);
  rig.line.reader(0).present(300, new Uint8Array(38));
  await rig.clock.advance(50);
  assert.match(rig.logs.at(-1)!, /impossible length.*"leftOut":99/);
  assert.deepEqual(rig.events, ["0: online 1.4.2"]);
});
