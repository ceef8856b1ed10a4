import assert from "node:assert/strict";
import { HalError, type SerialPort } from "../mod.ts";
import { linuxClock, linuxSerialHost, openPtyPair } from "./mod.ts";

const clock = linuxClock();
const host = linuxSerialHost(clock);
const never = () => new AbortController().signal;
const within = (ms: number) => AbortSignal.timeout(ms);

async function collect(port: SerialPort, count: number): Promise<Uint8Array> {
  const all = new Uint8Array(count);
  // One signal for all: a time limit, not a wait.
  const signal = within(5_000);
  for (let at = 0; at < count;) {
    const { bytes } = await port.read(signal);
    assert.ok(at + bytes.length <= count, `more than the ${count} bytes that were sent`);
    all.set(bytes, at);
    at += bytes.length;
  }
  return all;
}

const isKind = (kind: HalError["kind"], text?: RegExp) => (error: unknown) => {
  assert.ok(error instanceof HalError, String(error));
  assert.equal(error.kind, kind, error.message);
  if (text) assert.match(error.message, text);
  return true;
};

Deno.test("every byte value passes unchanged both ways", async () => {
  await using pair = openPtyPair(clock);
  await using port = await host.open({ path: pair.path, baudRate: 9600 }, never());
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  await port.write(bytes, never());
  assert.deepEqual(await collect(pair.port, 256), bytes);
  await pair.port.write(bytes, never());
  assert.deepEqual(await collect(port, 256), bytes);
});

Deno.test("a chunk is stamped between its sending and its delivery", async () => {
  await using pair = openPtyPair(clock);
  await using port = await host.open({ path: pair.path, baudRate: 9600 }, never());
  const reading = port.read(never());
  await clock.sleep(20, never());
  const sentMs = clock.monotonicMs();
  await pair.port.write(Uint8Array.of(1), never());
  const { receivedMonotonicMs } = await reading;
  assert.ok(receivedMonotonicMs >= sentMs, "stamped before it was sent");
  assert.ok(receivedMonotonicMs <= clock.monotonicMs());
});

Deno.test("aborting a read is prompt and loses no byte", async () => {
  await using pair = openPtyPair(clock);
  await using port = await host.open({ path: pair.path, baudRate: 9600 }, never());
  for (let i = 0; i < 200; i++) {
    const abort = new AbortController();
    const reading = port.read(abort.signal).then(
      ({ bytes }) => bytes,
      (error) => {
        assert.equal(error, abort.signal.reason);
        return new Uint8Array();
      },
    );
    if (i % 2 === 0) await clock.sleep(0, never());
    // The byte and the abort race in both orders.
    if (i % 4 < 2) abort.abort(new Error("enough"));
    await pair.port.write(Uint8Array.of(i), never());
    abort.abort(new Error("enough"));
    const early = await reading;
    const got = early.length > 0 ? early : await collect(port, 1);
    assert.deepEqual([...got], [i]);
  }
  const abort = new AbortController();
  const reading = port.read(abort.signal);
  await clock.sleep(10, never());
  const abortedMs = clock.monotonicMs();
  abort.abort();
  await assert.rejects(reading, { name: "AbortError" });
  assert.ok(clock.monotonicMs() - abortedMs < 100, "an aborted read returns at once");
});

Deno.test("hang-up ends a waiting read, and later calls, as disconnected", async () => {
  await using pair = openPtyPair(clock);
  await using port = await host.open({ path: pair.path, baudRate: 9600 }, never());
  const reading = assert.rejects(port.read(never()), isKind("disconnected"));
  await clock.sleep(5, never());
  await pair.hangUp();
  await pair.hangUp();
  await reading;
  await assert.rejects(port.read(never()), isKind("disconnected"));
  await assert.rejects(port.write(Uint8Array.of(1), never()), isKind("disconnected"));
  await assert.rejects(pair.port.read(never()), isKind("disconnected"));
});

Deno.test("a port is held by one at a time, and free after disposal", async () => {
  await using pair = openPtyPair(clock);
  const settings = { path: pair.path, baudRate: 9600 };
  const first = await host.open(settings, never());
  await assert.rejects(host.open(settings, never()), isKind("busy", /stop that one/));
  await first[Symbol.asyncDispose]();
  await using second = await host.open(settings, never());
  await second.write(Uint8Array.of(7), never());
  assert.deepEqual([...await collect(pair.port, 1)], [7]);
});

Deno.test("disposal is idempotent and ends waiting calls", async () => {
  await using pair = openPtyPair(clock);
  const port = await host.open({ path: pair.path, baudRate: 9600 }, never());
  const reading = assert.rejects(port.read(never()), isKind("disconnected", /closed/));
  await Promise.all([port[Symbol.asyncDispose](), port[Symbol.asyncDispose]()]);
  await port[Symbol.asyncDispose]();
  await reading;
  await assert.rejects(port.read(never()), isKind("disconnected"));
  await assert.rejects(port.write(Uint8Array.of(1), never()), isKind("disconnected"));
  await assert.rejects(port.drain(never()), isKind("disconnected"));
  assert.throws(() => port.discardInput(), isKind("disconnected"));
});

Deno.test("a megabyte passes unchanged, the writer waiting for the reader", async () => {
  await using pair = openPtyPair(clock);
  await using port = await host.open({ path: pair.path, baudRate: 4_000_000 }, never());
  const bytes = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
  const [got] = await Promise.all([collect(pair.port, bytes.length), port.write(bytes, never())]);
  assert.ok(same(got, bytes), "bytes differ");
});

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

Deno.test("a line that takes nothing is given up after a second; an abort is prompt", async () => {
  await using pair = openPtyPair(clock);
  await using port = await host.open({ path: pair.path, baudRate: 9600 }, never());
  const flood = new Uint8Array(1 << 20);
  const abort = new AbortController();
  const writing = port.write(flood, abort.signal);
  await clock.sleep(20, never());
  abort.abort(new Error("enough"));
  await assert.rejects(writing, /enough/);
  const startMs = clock.monotonicMs();
  await assert.rejects(port.write(flood, never()), isKind("timeout"));
  const tookMs = clock.monotonicMs() - startMs;
  assert.ok(tookMs > 900 && tookMs < 1_800, `${tookMs} ms`);
});

Deno.test("unusual baud rates, drained writes and discarded input", async () => {
  await using pair = openPtyPair(clock);
  await using port = await host.open({
    path: pair.path,
    baudRate: 12_345,
    parity: "even",
    stopBits: 2,
  }, never());
  await port.write(Uint8Array.of(1, 2, 3), never());
  await port.drain(never());
  assert.deepEqual([...await collect(pair.port, 3)], [1, 2, 3]);
  await pair.port.write(Uint8Array.of(4, 5, 6), never());
  await clock.sleep(5, never());
  port.discardInput();
  await pair.port.write(Uint8Array.of(9), never());
  assert.deepEqual([...await collect(port, 1)], [9]);
});

Deno.test("one reader and one writer at a time", async () => {
  await using pair = openPtyPair(clock);
  await using port = await host.open({ path: pair.path, baudRate: 9600 }, never());
  const reading = port.read(never());
  await assert.rejects(port.read(never()), isKind("busy"));
  await pair.port.write(Uint8Array.of(1), never());
  assert.deepEqual([...(await reading).bytes], [1]);
});

Deno.test("the other end may be closed and opened again", async () => {
  await using pair = openPtyPair(clock);
  const reading = pair.port.read(never());
  for (const byte of [1, 2]) {
    await using port = await host.open({ path: pair.path, baudRate: 9600 }, never());
    await port.write(Uint8Array.of(byte), never());
    if (byte === 1) assert.deepEqual([...(await reading).bytes], [1]);
    else assert.deepEqual([...await collect(pair.port, 1)], [2]);
  }
});

Deno.test("paths and settings that cannot be are refused by kind", async () => {
  await using pair = openPtyPair(clock);
  const file = await Deno.makeTempFile();
  const open = (settings: object) =>
    host.open({ path: pair.path, baudRate: 9600, ...settings } as never, never());
  try {
    await assert.rejects(open({ path: "/dev/nothing-here" }), isKind("not-found", /by-id/));
    await assert.rejects(open({ path: file }), isKind("invalid", /not a serial port/));
    await assert.rejects(open({ path: "" }), isKind("invalid"));
    await assert.rejects(open({ path: `${pair.path}\0x` }), isKind("invalid"));
    await assert.rejects(open({ path: "/".repeat(5_000) }), isKind("invalid"));
    for (const baudRate of [0, -1, 1.5, NaN, Infinity, 2 ** 32 + 9600, "9600"]) {
      await assert.rejects(open({ baudRate }), isKind("invalid", /baud/));
    }
    await assert.rejects(open({ parity: "mark" }), isKind("invalid", /parity/));
    await assert.rejects(open({ stopBits: 3 }), isKind("invalid", /stop bits/));
    const rs485 = { rtsOnSend: true, delayBeforeSendMs: 0, delayAfterSendMs: 0 };
    await assert.rejects(open({ rs485 }), isKind("invalid", /direction control/));
    await assert.rejects(
      open({ rs485: { ...rs485, delayAfterSendMs: -1 } }),
      isKind("invalid", /delay/),
    );
    const aborted = AbortSignal.abort(new Error("too late"));
    await assert.rejects(host.open({ path: pair.path, baudRate: 9600 }, aborted), /too late/);
    // None of these left the port locked.
    await using port = await open({});
    assert.equal(port.settings.path, pair.path);
  } finally {
    await Deno.remove(file);
  }
});
