import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { linuxClock } from "../../hal/linux/mod.ts";
import type { RepositorySource, TrustedTarget } from "../trust/mod.ts";
import { TrustError } from "../trust/mod.ts";
import { serveBundle } from "./mod.ts";

const clock = linuxClock();
const BUNDLE = new Uint8Array(randomBytes(3_000_000));
const TAIL = 5_000;
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const TARGET = {
  path: "os/1.0.0/gatehouse-amd64.raucb",
  lengthBytes: BUNDLE.length,
  sha256: sha256(BUNDLE),
} as TrustedTarget;
const tail = { bytes: TAIL, sha256: sha256(BUNDLE.subarray(BUNDLE.length - TAIL)) };

/** Serves the bundle; `spoil` may change an answer. */
function sourceOf(
  spoil: (from: number, bytes: Uint8Array) => Uint8Array | undefined = (_, bytes) => bytes,
): RepositorySource & { readonly asked: number[] } {
  const asked: number[] = [];
  return {
    asked,
    get(_path, _signal, fromByte = 0, bytes = Infinity) {
      asked.push(fromByte);
      const part = spoil(fromByte, BUNDLE.slice(fromByte, fromByte + bytes));
      return Promise.resolve(
        part === undefined
          ? { status: 503, body: null }
          : { status: fromByte === 0 ? 200 : 206, body: new Blob([part.slice()]).stream() },
      );
    },
  };
}

const range = (from: number, to: number) => ({ headers: { range: `bytes=${from}-${to}` } });

Deno.test("a bundle is read by ranges, ever further ahead, its end without the line", async () => {
  const stop = new AbortController();
  const source = sourceOf();
  {
    await using bundle = await serveBundle({ target: TARGET, tail, source, clock }, stop.signal);
    const whole = new Uint8Array(BUNDLE.length);
    for (let at = 0; at < whole.length; at += 4_096) {
      const last = Math.min(at + 4_096, whole.length) - 1;
      const answer = await fetch(bundle.url, range(at, last));
      assert.equal(answer.status, 206);
      assert.equal(answer.headers.get("content-range"), `bytes ${at}-${last}/${BUNDLE.length}`);
      whole.set(new Uint8Array(await answer.arrayBuffer()), at);
    }
    assert.equal(sha256(whole), TARGET.sha256);
    assert.equal(bundle.taken(), BUNDLE.length);
    assert.ok(source.asked.length < 20, `${source.asked.length} calls`);
    for (
      const [init, status] of [
        [{}, 416],
        [range(10, 5), 416],
        [range(BUNDLE.length, BUNDLE.length + 1), 416],
        [range(0, BUNDLE.length * 4), 206],
        [{ headers: { range: "bytes=0-1,4-5" } }, 416],
        [{ method: "POST" }, 404],
      ] as const
    ) {
      const answer = await fetch(bundle.url, init);
      await answer.body?.cancel();
      assert.equal(answer.status, status, JSON.stringify(init));
    }
    const other = await fetch(bundle.url.replace(/[^/]*$/, "other"), range(0, 1));
    await other.body?.cancel();
    assert.equal(other.status, 404);
  }
  // What asked for it may end long after the server has.
  stop.abort(new Error("over"));
  await clock.sleep(50, new AbortController().signal);
});

Deno.test("nothing is served whose end is not the published one", async () => {
  const source = sourceOf((_, bytes) => bytes.fill(1, 0, 1));
  await assert.rejects(
    serveBundle({ target: TARGET, tail, source, clock }, new AbortController().signal),
    (error: Error) => error instanceof TrustError && error.kind === "refused",
  );
  const long = { ...tail, bytes: BUNDLE.length + 1 };
  await assert.rejects(
    serveBundle(
      { target: TARGET, tail: long, source: sourceOf(), clock },
      new AbortController().signal,
    ),
    /shorter than its own end/,
  );
});

Deno.test("a line that drops in the midst is taken up where it broke", async () => {
  let drops = 0;
  const source = sourceOf((from, bytes) =>
    from > 0 && bytes.length > 100_000 && drops++ < 3 ? bytes.subarray(0, 60_000) : bytes
  );
  await using bundle = await serveBundle(
    { target: TARGET, tail, source, clock },
    new AbortController().signal,
  );
  const answer = await fetch(bundle.url, range(1_000, 900_000));
  assert.equal(
    sha256(new Uint8Array(await answer.arrayBuffer())),
    sha256(BUNDLE.slice(1_000, 900_001)),
  );
  assert.ok(drops > 0);
  assert.equal(bundle.fault(), undefined);
});
