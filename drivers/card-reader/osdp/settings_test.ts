import assert from "node:assert/strict";
import { parseOsdpOptions } from "./mod.ts";
import { openLineRig, openRig, settle } from "./rig_test.ts";

const CARD = Uint8Array.of(0xde, 0xad, 0xbe, 0xef);
const KEY = Uint8Array.fromHex("000102030405060708090a0b0c0d0e0f");
const { signal } = new AbortController();

Deno.test("COMSET: the bus follows a reader to another address, its neighbour hears nothing of it", async () => {
  for (const key of [undefined, KEY]) {
    await using rig = await openLineRig(
      [{ address: 0, ...(key && { key, secureOnly: true }) }, { address: 1 }],
      { baudRate: 9_600, ...(key && { keys: { 0: key.toHex() } }) },
    );
    await rig.clock.advance(2_000);
    const restarts: number[] = [];
    rig.devices[1]!.onCommand((_code, sequence) => sequence === 0 && restarts.push(sequence));
    const moved = await settle(rig, rig.bus.setCommunication(0, { address: 7 }, signal), 5_000);
    assert.deepEqual(moved, { address: 7, baudRate: 9_600 });
    assert.equal(rig.devices[0]!.address, 7);
    assert.throws(() => rig.bus.reader(0), RangeError);
    rig.events.length = 0;
    rig.devices[0]!.present(32, CARD);
    rig.devices[1]!.present(32, CARD);
    await rig.clock.advance(500);
    assert.deepEqual(rig.events.toSorted(), ["0: card 32 deadbeef", "1: card 32 deadbeef"]);
    assert.deepEqual(restarts, []);
    await assert.rejects(rig.bus.setCommunication(7, { address: 1 }, signal), /another reader/);
    await assert.rejects(rig.bus.setCommunication(7, { baudRate: 38_400 }, signal), /others/);
    await assert.rejects(rig.bus.setCommunication(1, { address: 127 }, signal), RangeError);
  }
});

Deno.test("COMSET: the bus follows a reader that is alone to another rate", async () => {
  await using rig = await openLineRig([{ address: 3 }], { baudRate: 9_600 });
  await rig.clock.advance(2_000);
  const to = { address: 4, baudRate: 115_200 };
  assert.deepEqual(await settle(rig, rig.bus.setCommunication(3, to, signal), 5_000), to);
  rig.devices[0]!.present(32, CARD);
  await rig.clock.advance(100);
  assert.equal(rig.events.at(-1), "3: card 32 deadbeef");
  assert.ok(!rig.logs.some((line) => line.startsWith("error")), rig.logs.join("; "));
});

Deno.test("COMSET: a reader with switches stays, one that does not know it says so, a lost answer is looked after", async () => {
  await using stays = await openLineRig([{ address: 3, switches: true }], { baudRate: 9_600 });
  await stays.clock.advance(2_000);
  const kept = await settle(stays, stays.bus.setCommunication(3, { address: 9 }, signal), 5_000);
  assert.deepEqual(kept, { address: 3, baudRate: 9_600 });
  assert.equal(stays.bus.reader(3).online(), true);
  await using cannot = await openRig([{ address: 0, unknownCommands: [0x6e] }]);
  await cannot.clock.advance(500);
  await assert.rejects(
    settle(cannot, cannot.bus.setCommunication(0, { address: 9 }, signal), 1_000),
    /refuses COMSET/,
  );
  await using deaf = await openLineRig([{ address: 3 }], { baudRate: 9_600 });
  await deaf.clock.advance(2_000);
  // Its answer and every retry's are lost: it has gone, and only looking there finds it.
  const device = deaf.devices[0]!;
  device.onCommand((code) => code === 0x6e && (device.faults.loseReplies = 1));
  const found = deaf.bus.setCommunication(3, { address: 9, baudRate: 38_400 }, signal);
  assert.deepEqual(await settle(deaf, found, 30_000), { address: 9, baudRate: 38_400 });
  await using gone = await openLineRig([{ address: 3 }], { baudRate: 9_600 });
  await gone.clock.advance(2_000);
  gone.devices[0]!.onMove(() => gone.devices[0]!.faults.mute = true);
  await assert.rejects(
    settle(gone, gone.bus.setCommunication(3, { address: 9 }, signal), 60_000),
    /neither at address 9/,
  );
});

Deno.test("TEXT: a display shows it for a while or for good; without one it is refused", async () => {
  await using rig = await openRig([{ address: 0, display: true }, { address: 1 }]);
  await rig.clock.advance(500);
  const texts: string[] = [];
  rig.line.reader(0).onText(({ text, forS }) => texts.push(`${text}/${forS}`));
  await settle(rig, rig.bus.showText(0, { text: "Hello", forS: 5 }, signal), 500);
  await settle(rig, rig.bus.showText(0, { text: "Gate 3" }, signal), 500);
  assert.deepEqual(texts, ["Hello/5", "Gate 3/undefined"]);
  await assert.rejects(settle(rig, rig.bus.showText(1, { text: "x" }, signal), 500), /no display/);
  await assert.rejects(rig.bus.showText(0, { text: "校门" }, signal), RangeError);
  await assert.rejects(rig.bus.showText(0, { text: "x".repeat(65) }, signal), RangeError);
  await assert.rejects(rig.bus.showText(0, { text: "x", forS: 0 }, signal), RangeError);
});

Deno.test("a request to a reader that is lost meanwhile ends, and polls go between two of them", async () => {
  await using rig = await openRig([{ address: 0, display: true }]);
  await rig.clock.advance(500);
  const codes: number[] = [];
  rig.line.reader(0).onCommand((code) => codes.push(code));
  const three = ["a", "b", "c"].map((text) => rig.bus.showText(0, { text }, signal));
  await settle(rig, Promise.all(three), 1_000);
  const sent = codes.join(" ");
  assert.match(sent, /107 96 107 96 107/, "text, poll, text, poll, text");
  // It dies with the first of them in hand.
  rig.line.reader(0).onCommand((code) => {
    if (code === 0x6b) rig.line.reader(0).faults.loseReplies = Infinity;
  });
  const lost = rig.bus.showText(0, { text: "d" }, signal);
  const never = rig.bus.showText(0, { text: "e" }, signal);
  const outcome = Promise.allSettled([lost, never]);
  const [first, second] = await settle(rig, outcome, 20_000);
  assert.ok(first?.status === "rejected" && first.reason.kind === "lost");
  assert.ok(second?.status === "rejected" && second.reason.kind === "offline");
  await assert.rejects(rig.bus.showText(0, { text: "f" }, signal), { kind: "offline" });
});

Deno.test("a reader with long messages is told how much we take, others are not asked that", async () => {
  for (const largest of [undefined, 64, 1_024]) {
    await using rig = await openRig([{
      address: 0,
      ...(largest === undefined ? {} : { largestMessage: largest }),
    }]);
    const codes = new Set<number>();
    rig.line.reader(0).onCommand((code) => codes.add(code));
    await rig.clock.advance(500);
    assert.equal(rig.reader(0).online(), true);
    assert.equal(codes.has(0x7b), largest === 1_024);
  }
});

Deno.test("what Gatehouse does not use is refused by name: no event, no crash, the reader stays", async () => {
  const codes = [0x51, 0x57, 0x58, 0x80, 0x81, 0x82, 0x83, 0x84, 0x90, 0xb1, 0x99];
  await using rig = await openRig([{ address: 0 }]);
  await rig.clock.advance(500);
  for (const code of codes) {
    for (const data of [[], [0, 0, 4, 49, 50, 51, 52], Array(300).fill(0xff)]) {
      rig.line.reader(0).hand(code, data);
    }
  }
  await rig.clock.advance(3_000);
  assert.deepEqual(rig.events, ["0: online 1.4.2"]);
  const said = (word: string) => rig.logs.filter((line) => line.includes(word)).length;
  for (const word of ["FMT", "BIOREADR", "BIOMATCHR", "PIVDATAR", "MFGREP", "XRD"]) {
    assert.equal(said(word), 1, word);
  }
  assert.ok(rig.logs.some((line) => line.startsWith("error") && line.includes("raw card data")));
  rig.line.reader(0).present(32, CARD);
  await rig.clock.advance(100);
  assert.equal(rig.events.at(-1), "0: card 32 deadbeef");
});

Deno.test("RAW is read alike in every format code, and of any length", async () => {
  await using rig = await openRig([{ address: 0 }]);
  await rig.clock.advance(500);
  rig.events.length = 0;
  for (const format of [0, 1, 2, 0xff]) {
    rig.line.reader(0).hand(0x50, [0, format, 37, 0, 1, 2, 3, 4, 8]);
  }
  rig.line.reader(0).hand(0x50, [0, 0, 200, 0, ...Array(25).fill(0x5a)]);
  await rig.clock.advance(500);
  assert.deepEqual(rig.events, [
    ...Array(4).fill("0: card 37 0102030408"),
    `0: card 200 ${"5a".repeat(25)}`,
  ]);
});

Deno.test("BUSY is answered with the very same bytes, after a wait", async () => {
  for (const key of [undefined, KEY]) {
    const sent: { hex: string; atMs: number }[] = [];
    let atMs = () => 0;
    await using rig = await openRig([{ address: 0, ...(key && { key }) }], {
      ...(key && { keys: { 0: key.toHex() } }),
      interfere: (bytes, from) => {
        if (from === "a") sent.push({ hex: bytes.toHex(), atMs: atMs() });
        return [{ bytes }];
      },
    });
    atMs = () => rig.clock.monotonicMs();
    await rig.clock.advance(1_000);
    sent.length = 0;
    rig.line.reader(0).faults.busyReplies = 3;
    await rig.clock.advance(400);
    const first = sent[0]!;
    assert.deepEqual(sent.slice(0, 4).map((one) => one.hex), Array(4).fill(first.hex));
    assert.notEqual(sent[4]!.hex, first.hex);
    assert.ok(sent[1]!.atMs - first.atMs >= 50);
  }
});

Deno.test("LED, buzzer and text follow box.yaml, and the resting ones come back after a reboot", async () => {
  await using rig = await openRig([{ address: 0, display: true }], {
    driver: {
      feedback: {
        granted: {
          led: { colour: "blue", forMs: 1_000 },
          beeps: { count: 2, onMs: 100, offMs: 100 },
          text: "Welcome",
        },
        denied: { beeps: { count: 0 } },
        idle: { led: { colour: "white", onMs: 500, offMs: 500, other: "cyan" }, text: "Gate 3" },
      },
    },
  });
  const device = rig.line.reader(0);
  const beeps: string[] = [];
  const texts: string[] = [];
  device.onBeep(({ count, onMs, offMs }) => beeps.push(`${count} ${onMs} ${offMs}`));
  device.onText(({ text, forS }) => texts.push(`${text} ${forS}`));
  const led = () => `${device.led().colour}/${device.led().otherColour}`;
  await rig.clock.advance(500);
  rig.reader(0).show("idle");
  await rig.clock.advance(300);
  assert.equal(led(), "white/cyan");
  rig.reader(0).show("granted");
  await rig.clock.advance(300);
  assert.equal(led(), "blue/blue");
  await rig.clock.advance(1_000);
  assert.equal(led(), "white/cyan");
  rig.reader(0).show("denied");
  await rig.clock.advance(300);
  assert.equal(led(), "red/off", "what is not said stays as it is");
  assert.deepEqual(beeps, ["2 100 100"]);
  assert.deepEqual(texts, ["Gate 3 undefined", "Welcome 3"]);
  device.reboot(500);
  await rig.clock.advance(5_000);
  assert.equal(led(), "white/cyan");
  assert.equal(texts.at(-1), "Gate 3 undefined");
  assert.equal(texts.length, 3);
  for (
    const wrong of [
      { granted: { led: { colour: "pink" } } },
      { granted: { text: "你好" } },
      { granted: { beeps: { count: 21 } } },
      { idle: { led: { colour: "red", onMs: 30_000 } } },
      { welcome: {} },
    ]
  ) {
    assert.throws(() => parseOsdpOptions({ address: 0, feedback: wrong }), JSON.stringify(wrong));
  }
});
