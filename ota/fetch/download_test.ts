import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { linuxClock } from "../../hal/linux/mod.ts";
import { VirtualClock } from "../../hal/sim/mod.ts";
import { FolderSource } from "../testing/mod.ts";
import { TrustError, type TrustErrorKind } from "../trust/mod.ts";
import { download, pathOf } from "./mod.ts";

const never = new AbortController().signal;

async function rig(lengthBytes = 3_000_000) {
  const folder = await Deno.makeTempDir({ prefix: "gatehouse-download-" });
  const content = new Uint8Array(lengthBytes).map((_, i) => (i * 2_654_435_761) >>> 13);
  const sha256 = createHash("sha256").update(content).digest("hex");
  const target = { path: "app/1.0.0/a.zst", lengthBytes, sha256, custom: {} };
  const source = new FolderSource(join(folder, "repository"));
  const path = pathOf(target);
  await Deno.mkdir(join(folder, "repository/targets/app/1.0.0"), { recursive: true });
  await Deno.writeFile(join(folder, "repository", path), content);
  const file = join(folder, "box/a.zst");
  const clock = linuxClock();
  return {
    target,
    source,
    path,
    file,
    content,
    clock,
    get: (options = {}, signal = never) =>
      download(target, { source, clock, file, ...options }, signal),
    /** Breaks the line after `bytes`, once; `ranges` false answers with the whole file. */
    cutAfter(bytes: number, ranges = true) {
      source.instead.set(path, (_signal, fromByte) => {
        source.instead.delete(path);
        const from = ranges ? fromByte : 0;
        const body = new ReadableStream<Uint8Array>({
          start(controller) {
            controller.enqueue(content.slice(from, from + bytes));
          },
          pull(controller) {
            controller.error(new Error("connection reset"));
          },
        });
        return Promise.resolve({ status: from === 0 ? 200 : 206, body });
      });
    },
    async [Symbol.asyncDispose]() {
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function fails(kind: TrustErrorKind, act: Promise<unknown>): Promise<void> {
  const error = await act.then(() => assert.fail("it came"), (error) => error);
  assert.ok(error instanceof TrustError, `${error?.stack}`);
  assert.equal(error.kind, kind, error.message);
}

Deno.test("a file comes whole, and is not fetched twice", async () => {
  await using r = await rig();
  await r.get();
  assert.deepEqual(await Deno.readFile(r.file), r.content);
  await r.get();
  assert.deepEqual(r.source.asked, [r.path]);
});

Deno.test("a line that breaks again and again costs no byte twice", async () => {
  await using r = await rig();
  let at = 0;
  for (const bytes of [1, 999_999, 500_000]) {
    r.cutAfter(bytes);
    await fails("unreachable", r.get());
    at += bytes;
    assert.equal((await Deno.stat(`${r.file}.part`)).size, at);
  }
  await r.get();
  assert.deepEqual(await Deno.readFile(r.file), r.content);
  assert.equal(r.source.asked.at(-1), `${r.path} from ${at}`);
});

Deno.test("a source that knows no ranges is skipped over", async () => {
  await using r = await rig();
  r.cutAfter(1_000_000);
  await fails("unreachable", r.get());
  r.source.instead.set(
    r.path,
    () => Promise.resolve({ status: 200, body: new Blob([r.content.slice()]).stream() }),
  );
  await r.get();
  assert.deepEqual(await Deno.readFile(r.file), r.content);
});

Deno.test("another file, a longer one and a spoilt part are refused and leave nothing behind", async () => {
  await using r = await rig();
  const other = r.content.slice();
  other[1_234_567]! ^= 1;
  r.source.put(r.path, other);
  await fails("refused", r.get());
  await assert.rejects(Deno.stat(`${r.file}.part`), Deno.errors.NotFound);
  r.source.put(r.path, new Uint8Array([...r.content, 0]));
  await fails("too-large", r.get());
  await assert.rejects(Deno.stat(`${r.file}.part`), Deno.errors.NotFound);
  r.source.instead.clear();
  r.cutAfter(1_000_000);
  await fails("unreachable", r.get());
  using part = await Deno.open(`${r.file}.part`, { write: true });
  await part.write(Uint8Array.of(r.content[0]! ^ 1));
  await fails("refused", r.get());
  await r.get();
  assert.deepEqual(await Deno.readFile(r.file), r.content);
});

Deno.test("a part longer than the file is cut, a whole one is only named", async () => {
  await using r = await rig();
  await Deno.mkdir(join(r.file, ".."), { recursive: true });
  await Deno.writeFile(`${r.file}.part`, new Uint8Array([...r.content, 1, 2, 3]));
  await r.get();
  assert.deepEqual(await Deno.readFile(r.file), r.content);
  assert.deepEqual(r.source.asked, []);
});

Deno.test("no answer, and a status that is none of ours, may be tried again", async () => {
  await using r = await rig();
  for (const status of [404, 416, 500]) {
    r.source.instead.set(r.path, () => Promise.resolve({ status, body: null }));
    await fails("unreachable", r.get());
  }
  r.source.instead.set(r.path, () => Promise.reject(new Error("no route")));
  await fails("unreachable", r.get());
});

Deno.test("a stalled line is given up, an abort ends it with its reason and keeps the part", async () => {
  await using r = await rig();
  const clock = new VirtualClock();
  let waiting = Promise.withResolvers<void>();
  r.source.instead.set(r.path, () =>
    Promise.resolve({
      status: 200,
      body: new ReadableStream({
        start: (controller) => controller.enqueue(r.content.slice(0, 1_000)),
        pull: () => {
          waiting.resolve();
          return new Promise(() => {});
        },
      }),
    }));
  const stalled = fails("too-slow", r.get({ clock }));
  await waiting.promise;
  // The wait of the second read begins a few promises after the stream was asked.
  while (clock.pendingTimers() === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await new Promise((resolve) => setTimeout(resolve, 50));
  await clock.advance(20_001);
  await stalled;
  assert.equal((await Deno.stat(`${r.file}.part`)).size, 1_000);
  waiting = Promise.withResolvers();
  const stop = new AbortController();
  const aborted = r.get({}, stop.signal);
  await waiting.promise;
  stop.abort(new Error("the box stops"));
  await assert.rejects(aborted, /the box stops/);
});

Deno.test("a limit of bytes a second is kept", async () => {
  await using r = await rig();
  const clock = new VirtualClock();
  const got = r.get({ clock, bytesPerSecondMax: 1_000_000 });
  let done = false;
  void got.finally(() => done = true);
  let turns = 0;
  while (!done) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    await clock.advance(100);
    turns++;
    assert.ok(turns < 10_000, "it never ended");
  }
  await got;
  // 3 MB at 1 MB a second; the virtual seconds pass at least as fast as it takes them.
  assert.ok(clock.monotonicMs() >= 3_000, `${clock.monotonicMs()} ms`);
});
