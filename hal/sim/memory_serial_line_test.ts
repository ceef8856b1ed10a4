import assert from "node:assert/strict";
import { HalError } from "../mod.ts";
import { type Delivery, memorySerialLine } from "./memory_serial_line.ts";
import { VirtualClock } from "./virtual_clock.ts";

const never = () => new AbortController().signal;
const isKind = (kind: HalError["kind"]) => (error: unknown) =>
  error instanceof HalError && error.kind === kind;

Deno.test("bytes pass both ways, each chunk the reader's own", async () => {
  const clock = new VirtualClock();
  const { a, b } = memorySerialLine(clock);
  const sent = Uint8Array.of(1, 2, 3);
  await a.write(sent, never());
  sent.fill(0);
  assert.deepEqual([...(await b.read(never())).bytes], [1, 2, 3]);
  const reading = a.read(never());
  await clock.advance(7);
  await b.write(Uint8Array.of(4), never());
  assert.deepEqual(await reading, { bytes: Uint8Array.of(4), receivedMonotonicMs: 7 });
});

Deno.test("an aborted read loses no byte", async () => {
  const { a, b } = memorySerialLine(new VirtualClock());
  const abort = new AbortController();
  const reading = assert.rejects(b.read(abort.signal), /enough/);
  abort.abort(new Error("enough"));
  await a.write(Uint8Array.of(9), never());
  await reading;
  assert.deepEqual([...(await b.read(never())).bytes], [9]);
});

Deno.test("hang-up lets what arrived be read, then disconnects both ends", async () => {
  const { a, b, hangUp } = memorySerialLine(new VirtualClock());
  await a.write(Uint8Array.of(1), never());
  const waiting = assert.rejects(a.read(never()), isKind("disconnected"));
  hangUp();
  await waiting;
  assert.deepEqual([...(await b.read(never())).bytes], [1]);
  await assert.rejects(b.read(never()), isKind("disconnected"));
  await assert.rejects(b.write(Uint8Array.of(1), never()), isKind("disconnected"));
});

Deno.test("disposal is idempotent, ends a read, and the other end goes on", async () => {
  const { a, b } = memorySerialLine(new VirtualClock());
  const waiting = assert.rejects(a.read(never()), isKind("disconnected"));
  await a[Symbol.asyncDispose]();
  await a[Symbol.asyncDispose]();
  await waiting;
  for (let i = 0; i < 100; i++) await b.write(new Uint8Array(4096), never());
});

Deno.test("interference spoils, splits, delays and drops, in order", async () => {
  const clock = new VirtualClock();
  const plans: Delivery[][] = [
    [{ bytes: Uint8Array.of(0xff) }],
    [{ bytes: Uint8Array.of(1), delayMs: 30 }, { bytes: Uint8Array.of(2) }],
    [],
    [{ bytes: Uint8Array.of(3) }],
  ];
  const { a, b } = memorySerialLine(clock, {
    interfere: (bytes, from) => {
      assert.equal(from, "a");
      assert.equal(bytes.length, 1);
      return plans.shift()!;
    },
  });
  for (let i = 0; i < 4; i++) await a.write(Uint8Array.of(0), never());
  const got: [number, number][] = [];
  const reading = (async () => {
    for (let i = 0; i < 4; i++) {
      const { bytes, receivedMonotonicMs } = await b.read(never());
      got.push([bytes[0]!, receivedMonotonicMs]);
    }
  })();
  await clock.advance(100);
  await reading;
  assert.deepEqual(got, [[0xff, 0], [1, 30], [2, 30], [3, 30]]);
});

Deno.test("a writer waits for a reader, a second at most", async () => {
  const clock = new VirtualClock();
  const { a, b } = memorySerialLine(clock);
  const big = new Uint8Array(70_000);
  await a.write(big, never());
  const stalled = assert.rejects(a.write(big, never()), isKind("timeout"));
  await clock.advance(1_000);
  await stalled;
  const waiting = a.write(Uint8Array.of(5), never());
  await clock.advance(500);
  assert.equal((await b.read(never())).bytes.length, 70_000);
  await waiting;
  b.discardInput();
  await a.write(Uint8Array.of(6), never());
  assert.deepEqual([...(await b.read(never())).bytes], [6]);
  assert.equal(clock.pendingTimers(), 0);
});
