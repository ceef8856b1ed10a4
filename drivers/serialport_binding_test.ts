import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { linuxClock, linuxSerialHost, openPtyPair } from "../hal/linux/mod.ts";
import { memorySerialLine, VirtualClock } from "../hal/sim/mod.ts";
import { openSerialPortStream, SerialPortBinding } from "./serialport_binding.ts";

const never = () => new AbortController().signal;

function rig() {
  const clock = new VirtualClock();
  const line = memorySerialLine(clock);
  return { clock, line, binding: new SerialPortBinding(line.a) };
}

Deno.test("a chunk that is longer than asked for comes in parts, nothing lost", async () => {
  const { line, binding } = rig();
  await line.b.write(Uint8Array.of(1, 2, 3, 4, 5), never());
  const buffer = Buffer.alloc(8);
  assert.equal((await binding.read(buffer, 1, 2)).bytesRead, 2);
  assert.equal((await binding.read(buffer, 3, 5)).bytesRead, 3);
  assert.deepEqual([...buffer], [0, 1, 2, 3, 4, 5, 0, 0]);
});

Deno.test("closing cancels a read and a write that wait, and disposes the port once", async () => {
  const { line, binding } = rig();
  const reading = binding.read(Buffer.alloc(4), 0, 4);
  assert.equal(binding.isOpen, true);
  const closing = binding.close();
  assert.equal(binding.isOpen, false);
  await assert.rejects(reading, { canceled: true });
  await closing;
  await binding.close();
  await assert.rejects(binding.write(Buffer.of(1)), { canceled: true });
  await assert.rejects(binding.drain(), { canceled: true });
  await assert.rejects(line.a.read(never()), { kind: "disconnected" });
});

Deno.test("a hang-up is an error and not a cancellation", async () => {
  const { line, binding } = rig();
  const reading = binding.read(Buffer.alloc(4), 0, 4);
  line.hangUp();
  await assert.rejects(reading, (error: { kind?: string; canceled?: boolean }) => {
    assert.equal(error.kind, "disconnected");
    assert.equal(error.canceled, undefined);
    return true;
  });
  await binding.close();
});

Deno.test("flush drops what came in, also the part that was kept back", async () => {
  const { line, binding } = rig();
  await line.b.write(Uint8Array.of(1, 2, 3), never());
  const buffer = Buffer.alloc(4);
  await binding.read(buffer, 0, 1);
  await line.b.write(Uint8Array.of(4), never());
  await binding.flush();
  await line.b.write(Uint8Array.of(9), never());
  await binding.read(buffer, 0, 4);
  assert.equal(buffer[0], 9);
});

Deno.test("a drain waits for the write before it", async () => {
  const { line, binding } = rig();
  const order: string[] = [];
  const port = {
    ...line.a,
    settings: line.a.settings,
    write: async () => {
      await Promise.resolve();
      order.push("written");
    },
    drain: () => {
      order.push("drained");
      return Promise.resolve();
    },
  };
  const slow = new SerialPortBinding(port as unknown as typeof line.a);
  const writing = slow.write(Buffer.of(1));
  await slow.drain();
  await writing;
  assert.deepEqual(order, ["written", "drained"]);
  await binding.close();
});

Deno.test("what a port of ours cannot do is refused, not ignored", async () => {
  const { binding } = rig();
  await binding.update({ baudRate: 9_600 });
  await assert.rejects(binding.update({ baudRate: 19_200 }), { kind: "unsupported" });
  await assert.rejects(binding.set(), { kind: "unsupported" });
  await assert.rejects(binding.get(), { kind: "unsupported" });
  assert.deepEqual(await binding.getBaudRate(), { baudRate: 9_600 });
});

Deno.test("the stream reads and writes; a line that is lost closes it as disconnected", async () => {
  const { line } = rig();
  const stream = await openSerialPortStream(line.a);
  const got: number[] = [];
  stream.on("data", (bytes: Uint8Array) => got.push(...bytes));
  await line.b.write(Uint8Array.of(1, 2), never());
  await new Promise<void>((resolve, reject) =>
    stream.write(Buffer.of(7, 8), (error) => error ? reject(error) : resolve())
  );
  assert.deepEqual([...(await line.b.read(never())).bytes], [7, 8]);
  const closed = new Promise<unknown>((resolve) => stream.once("close", resolve));
  line.hangUp();
  assert.equal(((await closed) as { disconnected?: boolean }).disconnected, true);
  assert.deepEqual(got, [1, 2]);
});

Deno.test("back-pressure on a real pty: 256 KiB arrive whole while the reader is slow", async () => {
  const clock = linuxClock();
  const abort = new AbortController();
  await using pair = openPtyPair(clock);
  const port = await linuxSerialHost(clock).open(
    { path: pair.path, baudRate: 115_200 },
    abort.signal,
  );
  const stream = await openSerialPortStream(port);
  const sent = new Uint8Array(1 << 18).map((_, index) => index * 31 + (index >> 8));
  let waits = 0;
  const sending = (async () => {
    for (let at = 0; at < sent.length; at += 1_000) {
      if (!stream.write(sent.subarray(at, at + 1_000))) {
        waits++;
        await new Promise<void>((resolve) => stream.once("drain", resolve));
      }
    }
  })();
  const got: number[] = [];
  while (got.length < sent.length) {
    got.push(...(await pair.port.read(abort.signal)).bytes);
    if (got.length % 7 === 0) await clock.sleep(1, abort.signal);
  }
  await sending;
  assert.ok(waits > 0, "the stream never asked its writer to wait");
  assert.deepEqual(Uint8Array.from(got), sent);
  await new Promise<void>((resolve) => stream.close(() => resolve()));
});
