import assert from "node:assert/strict";
import { join } from "node:path";
import type { ByteStream } from "../mod.ts";
import { linuxClock, linuxConnectUnix } from "./mod.ts";

const connect = linuxConnectUnix(linuxClock());
const never = new AbortController().signal;

async function withServer(
  run: (stream: ByteStream, peer: Deno.UnixConn, path: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "daemon.sock");
  using listener = Deno.listen({ transport: "unix", path });
  try {
    await using stream = await connect(path, never);
    const peer = await listener.accept();
    try {
      await run(stream, peer, path);
    } finally {
      try {
        peer.close();
      } catch {
        // The test closed it.
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("bytes go both ways, an abort takes none along, and the peer's end is null", async () => {
  await withServer(async (stream, peer) => {
    await stream.write(Uint8Array.of(1, 2, 3), never);
    const got = new Uint8Array(8);
    assert.equal(await peer.read(got), 3);
    assert.deepEqual([...got.subarray(0, 3)], [1, 2, 3]);
    const stop = new AbortController();
    const given = stream.read(stop.signal);
    await assert.rejects(stream.read(never), { kind: "busy" });
    stop.abort(new Error("enough"));
    await assert.rejects(given, { message: "enough" });
    await peer.write(Uint8Array.of(9));
    assert.deepEqual([...(await stream.read(never))!], [9]);
    peer.close();
    assert.equal(await stream.read(never), null);
    await assert.rejects(
      (async () => {
        await stream.write(Uint8Array.of(1), never);
        await stream.write(Uint8Array.of(1), never);
      })(),
      { kind: "disconnected" },
    );
  });
});

Deno.test("more than the kernel holds is written once the peer reads; a peer that never does times out", async () => {
  await withServer(async (stream, peer) => {
    const all = new Uint8Array(1_000_000).fill(7);
    const writing = stream.write(all, never);
    let taken = 0;
    const chunk = new Uint8Array(65_536);
    while (taken < all.length) taken += (await peer.read(chunk))!;
    await writing;
    await assert.rejects(stream.write(all, never), { kind: "timeout" });
  });
});

Deno.test("closing ends a read that waits, twice is fine", async () => {
  await withServer(async (stream) => {
    const reading = stream.read(never);
    await Promise.all([stream[Symbol.asyncDispose](), stream[Symbol.asyncDispose]()]);
    await assert.rejects(reading, { kind: "disconnected" });
    await assert.rejects(stream.write(Uint8Array.of(1), never), { kind: "disconnected" });
  });
});

Deno.test("nobody there, a path that is none and an aborted signal are told apart", async () => {
  await assert.rejects(connect("/run/gatehouse-none.sock", never), { kind: "not-found" });
  await assert.rejects(connect("/" + "x".repeat(108), never), { kind: "invalid" });
  await assert.rejects(connect("/x", AbortSignal.abort(new Error("over"))), { message: "over" });
  const file = await Deno.makeTempFile();
  await assert.rejects(connect(file, never), { kind: "not-found", message: /ECONNREFUSED/ });
  await Deno.remove(file);
});
