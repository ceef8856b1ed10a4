import assert from "node:assert/strict";
import { rs485Line } from "./rs485_line.ts";
import type { SerialPort } from "../serial.ts";
import { VirtualClock } from "./virtual_clock.ts";

const { signal } = new AbortController();

/** Collects what a station hears. */
const ears = (port: SerialPort) => {
  const heard: { hex: string; atMs: number }[] = [];
  void (async () => {
    for (;;) {
      const { bytes, receivedMonotonicMs } = await port.read(signal);
      heard.push({ hex: bytes.toHex(), atMs: receivedMonotonicMs });
    }
  })().catch(() => {});
  return heard;
};

Deno.test("bytes take the time of their bits, and everybody but the sender hears them", async () => {
  const clock = new VirtualClock();
  const line = rs485Line(clock);
  const [a, b, c] = [line.join(9_600), line.join(9_600), line.join(9_600)];
  const [atA, atB, atC] = [ears(a), ears(b), ears(c)];
  await a.write(Uint8Array.of(1, 2, 3), signal);
  await clock.advance(3.1);
  assert.equal(atB.length, 0);
  await clock.advance(0.1);
  assert.deepEqual(atB.map((one) => one.hex), ["010203"]);
  assert.ok(Math.abs(atB[0]!.atMs - 3.125) < 1e-9);
  assert.deepEqual(atC, atB);
  assert.equal(atA.length, 0);
  await a.write(Uint8Array.of(4), signal);
  await a.write(Uint8Array.of(5), signal);
  await clock.advance(10);
  assert.deepEqual(atB.slice(1).map((one) => one.hex), ["04", "05"]);
  assert.ok(Math.abs(atB[2]!.atMs - atB[1]!.atMs - 10 / 9.6) < 1e-9);
});

Deno.test("two who send at once are not understood, and do not hear each other", async () => {
  const clock = new VirtualClock();
  const line = rs485Line(clock);
  const [a, b, c] = [line.join(38_400), line.join(38_400), line.join(38_400)];
  const [atA, atB, atC] = [ears(a), ears(b), ears(c)];
  await a.write(Uint8Array.of(0x55, 0x0f), signal);
  await b.write(Uint8Array.of(0x33, 0xf0), signal);
  await clock.advance(10);
  assert.equal(atA.length + atB.length, 0);
  assert.ok(atC.length > 0);
  assert.ok(!atC.some(({ hex }) => hex === "550f" || hex === "33f0"));
  atC.length = 0;
  await a.write(Uint8Array.of(0x55), signal);
  await clock.advance(10);
  assert.deepEqual(atC.map((one) => one.hex), ["55"], "and it is over when they are done");
});

Deno.test("at another rate a UART hears something else, as on a real line", async () => {
  const clock = new VirtualClock();
  const line = rs485Line(clock);
  const a = line.join(9_600);
  const fast = line.join(38_400);
  const slow = line.join(2_400);
  const [atFast, atSlow] = [ears(fast), ears(slow)];
  await a.write(Uint8Array.of(0x53, 0x00, 0x08), signal);
  await clock.advance(20);
  const bytes = (heard: { hex: string }[]) => heard.map((one) => one.hex).join("");
  assert.ok(bytes(atFast).length > 6, "four times as fast finds more bytes than there are");
  assert.ok(bytes(atSlow).length < 6, "four times as slow finds fewer");
  assert.ok(!bytes(atFast).includes("530008"));
  fast.setBaudRate(9_600);
  atFast.length = 0;
  await a.write(Uint8Array.of(0x53), signal);
  await clock.advance(20);
  assert.equal(bytes(atFast), "53");
});

Deno.test("a station that is unplugged is gone, the others go on", async () => {
  const clock = new VirtualClock();
  const line = rs485Line(clock);
  const [a, b, c] = [line.join(9_600), line.join(9_600), line.join(9_600)];
  const atC = ears(c);
  const reading = assert.rejects(b.read(signal), { kind: "disconnected" });
  b.unplug();
  await reading;
  await assert.rejects(b.write(Uint8Array.of(1), signal), { kind: "disconnected" });
  await a.write(Uint8Array.of(7), signal);
  await clock.advance(10);
  assert.deepEqual(atC.map((one) => one.hex), ["07"]);
});
