import assert from "node:assert/strict";
import { openRig } from "./rig_test.ts";

const CARD = Uint8Array.of(0xde, 0xad, 0xbe, 0xef);

Deno.test("what a listener orders is the very next frame to that reader, before any poll", async () => {
  await using rig = await openRig([{ address: 0 }, { address: 1 }]);
  await rig.clock.advance(300);
  const codes: string[] = [];
  for (const device of rig.line.readers) {
    device.onCommand((code) => codes.push(`${device.address}:${code.toString(16)}`));
  }
  rig.reader(0).onEvent((event) => {
    if (event.kind !== "card") return;
    codes.push("card");
    rig.reader(0).output(0).set(true, { revertAfterMs: 5_000 });
    rig.reader(0).show("granted");
  });
  rig.line.reader(0).present(32, CARD);
  await rig.clock.advance(100);
  const after = codes.slice(codes.indexOf("card") + 1);
  assert.deepEqual(after.slice(0, 3), ["0:68", "0:69", "0:6a"]);
  assert.equal(rig.line.reader(0).output(0), true);
  assert.equal(rig.line.reader(0).led().colour, "green");
});

Deno.test("feedback to a card is temporary, resting feedback stays", async () => {
  await using rig = await openRig([{ address: 0 }]);
  const beeps: number[] = [];
  rig.line.reader(0).onBeep(({ count }) => beeps.push(count));
  rig.reader(0).show("idle");
  await rig.clock.advance(300);
  const led = () => {
    const { colour, otherColour, temporary } = rig.line.reader(0).led();
    return `${colour}/${otherColour}${temporary ? " for a while" : ""}`;
  };
  assert.equal(led(), "red/red");
  rig.reader(0).show("granted");
  await rig.clock.advance(100);
  assert.equal(led(), "green/green for a while");
  await rig.clock.advance(3_000);
  assert.equal(led(), "red/red");
  rig.reader(0).show("denied");
  await rig.clock.advance(100);
  assert.equal(led(), "red/off for a while");
  rig.reader(0).show("free");
  await rig.clock.advance(3_000);
  assert.equal(led(), "green/green");
  assert.deepEqual(beeps, [1, 3]);
});

Deno.test("an LED or buzzer that is switched off in the options stays dark and silent", async () => {
  await using rig = await openRig([{ address: 0 }], { driver: { led: false, buzzer: false } });
  const codes = new Set<number>();
  rig.line.reader(0).onCommand((code) => codes.add(code));
  await rig.clock.advance(300);
  rig.reader(0).show("alarm");
  rig.reader(0).show("denied");
  await rig.clock.advance(300);
  assert.ok(!codes.has(0x69) && !codes.has(0x6a));
});

Deno.test("a timed output falls back by itself, to off, also from permanently on", async () => {
  await using rig = await openRig([{ address: 0 }]);
  await rig.clock.advance(300);
  const changes: string[] = [];
  const device = rig.line.reader(0);
  device.onOutput((index, active) => changes.push(`${index} ${active}`));
  const output = rig.reader(0).output(1);
  const driven: boolean[] = [];
  output.onDriven((active) => driven.push(active));
  assert.equal(output.commanded(), undefined);
  output.set(true, { revertAfterMs: 1_000 });
  assert.equal(output.commanded(), true);
  await rig.clock.advance(950);
  assert.equal(device.output(1), true);
  await rig.clock.advance(200);
  assert.deepEqual(changes, ["1 true", "1 false"]);
  output.set(true);
  await rig.clock.advance(5_000);
  output.set(true, { revertAfterMs: 1_000 });
  await rig.clock.advance(2_000);
  output.set(false);
  await rig.clock.advance(100);
  assert.deepEqual(changes, ["1 true", "1 false", "1 true", "1 false"], "no flutter between");
  assert.deepEqual(driven, [true, true, true, false]);
});

Deno.test("orders that pile up are told as the last of each kind", async () => {
  await using rig = await openRig([{ address: 0 }]);
  await rig.clock.advance(300);
  let outs = 0;
  rig.line.reader(0).onCommand((code) => outs += Number(code === 0x68));
  for (let i = 0; i < 10_000; i++) {
    rig.reader(0).output(0).set(i % 2 === 0);
    rig.reader(0).show(i % 2 === 0 ? "granted" : "denied");
  }
  await rig.clock.advance(200);
  assert.ok(outs >= 1 && outs <= 2, `${outs} OUT frames`);
  assert.equal(rig.line.reader(0).output(0), false);
  assert.equal(rig.line.reader(0).led().colour, "red");
});

Deno.test("an order to open that waits for a silent reader is dropped", async () => {
  await using rig = await openRig([{ address: 0 }]);
  await rig.clock.advance(500);
  const device = rig.line.reader(0);
  let opened = 0;
  device.onOutput((_index, active) => opened += Number(active));
  device.faults.mute = true;
  await rig.clock.advance(300);
  rig.reader(0).output(0).set(true, { revertAfterMs: 5_000 });
  await rig.clock.advance(4_000);
  device.faults.mute = false;
  await rig.clock.advance(5_000);
  assert.equal(opened, 0);
  assert.ok(rig.logs.some((line) => line.includes("too late")));
});

Deno.test("an order to open that was sent and not answered is not repeated late", async () => {
  const outs: number[] = [];
  let cut = false;
  let watching = true;
  await using rig = await openRig([{ address: 0 }], {
    interfere: (bytes, from) => {
      if (watching && from === "a" && bytes[5] === 0x68) {
        outs.push(rig.clock.monotonicMs());
        cut = true;
      }
      return cut ? [] : [{ bytes }];
    },
  });
  await rig.clock.advance(500);
  const device = rig.line.reader(0);
  let opened = 0;
  device.onOutput((_index, active) => opened += Number(active));
  const orderedMs = rig.clock.monotonicMs();
  rig.reader(0).output(0).set(true, { revertAfterMs: 20_000 });
  await rig.clock.advance(4_000);
  assert.ok(outs.length > 1, "it was tried more than once");
  assert.ok(outs.at(-1)! - orderedMs <= 2_000, "and not after 2 s");
  watching = cut = false;
  await rig.clock.advance(5_000);
  assert.equal(opened, 0);
  assert.equal(rig.reader(0).online(), true);
});

Deno.test("after a reboot, permanent outputs and the resting LED are restored, timed ones are not", async () => {
  await using rig = await openRig([{ address: 0 }]);
  await rig.clock.advance(500);
  const device = rig.line.reader(0);
  rig.reader(0).show("free");
  rig.reader(0).output(0).set(true);
  rig.reader(0).output(1).set(true, { revertAfterMs: 60_000 });
  await rig.clock.advance(200);
  assert.deepEqual([device.output(0), device.output(1)], [true, true]);
  device.reboot(1_000);
  assert.deepEqual([device.output(0), device.output(1)], [false, false]);
  await rig.clock.advance(5_000);
  assert.deepEqual([device.output(0), device.output(1)], [true, false]);
  assert.equal(device.led().colour, "green");
  assert.deepEqual(rig.events, ["0: online 1.4.2"], "short enough to be nobody's business");
});

Deno.test("a restart of the conversation leaves a timed output running", async () => {
  await using rig = await openRig([{ address: 0 }]);
  await rig.clock.advance(500);
  const device = rig.line.reader(0);
  rig.reader(0).output(0).set(true, { revertAfterMs: 20_000 });
  await rig.clock.advance(200);
  device.faults.mute = true;
  await rig.clock.advance(9_000);
  device.faults.mute = false;
  await rig.clock.advance(5_000);
  assert.equal(rig.reader(0).online(), true);
  assert.equal(device.output(0), true);
  await rig.clock.advance(8_000);
  assert.equal(device.output(0), false);
});
