import assert from "node:assert/strict";
import { memorySerialLine } from "./memory_serial_line.ts";
import { mismatchedUart, sampleUart } from "./uart_line.ts";
import { VirtualClock } from "./virtual_clock.ts";

const TEXT = new TextEncoder().encode("OSDP S frame");

Deno.test("alike ends hear each other, also two percent apart", () => {
  for (const receivedBaud of [9_600, 9_408, 9_792]) {
    const { bytes, framing, breaks } = sampleUart(TEXT, { sentBaud: 9_600, receivedBaud });
    assert.deepEqual(bytes, TEXT);
    assert.equal(framing + breaks, 0);
  }
});

Deno.test("another rate gives other bytes, and a long low level is a break", () => {
  const slow = sampleUart(Uint8Array.of(0x00), { sentBaud: 4_800, receivedBaud: 9_600 });
  assert.deepEqual(
    [slow.bytes.length, slow.breaks],
    [0, 1],
    "nine low bits are eighteen at twice the rate",
  );
  const wrong = sampleUart(TEXT, { sentBaud: 38_400, receivedBaud: 9_600 });
  assert.notDeepEqual(wrong.bytes, TEXT);
  assert.ok(wrong.bytes.length < TEXT.length, "a slow receiver sees fewer bytes");
});

Deno.test("an inverted line gives other bytes, and errors where no stop bit stands", () => {
  const { bytes, framing, breaks } = sampleUart(TEXT, {
    sentBaud: 9_600,
    receivedBaud: 9_600,
    inverted: true,
  });
  assert.notDeepEqual(bytes, TEXT);
  assert.ok(framing + breaks > 0);
});

Deno.test("joined ends spoil what differs, both ways, and count it", async () => {
  const clock = new VirtualClock();
  const { signal } = new AbortController();
  let boxBaud = 9_600;
  const line = memorySerialLine(clock);
  const device = mismatchedUart(line.b, { ownBaud: 38_400, peerBaud: () => boxBaud });
  await line.a.write(TEXT, signal);
  assert.notDeepEqual((await device.read(signal)).bytes, TEXT);
  assert.ok(device.lineErrors!()!.framing > 0);
  boxBaud = 38_400;
  await line.a.write(TEXT, signal);
  assert.deepEqual((await device.read(signal)).bytes, TEXT);
  await device.write(TEXT, signal);
  assert.deepEqual((await line.a.read(signal)).bytes, TEXT);
});
