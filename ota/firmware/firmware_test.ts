/**
 * The firmware's back end over starts of the updater, and what both sides read of each other. The box is
 * stood in for by the report that it leaves.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { VirtualClock } from "../../hal/sim/mod.ts";
import { UpdateFault, type Wanted } from "../agent/mod.ts";
import { parseFirmwareRelease } from "../manifest/mod.ts";
import type { RepositorySource, TrustedTarget, UpdateTrust } from "../trust/mod.ts";
import { FirmwareBackEnd } from "./mod.ts";
import { type FirmwareReport, readOrder, readReport, writeReport } from "./order.ts";

const never = new AbortController().signal;
const FILE = new Uint8Array(randomBytes(3_000));
const SHA256 = createHash("sha256").update(FILE).digest("hex");
const WANTED: Wanted = {
  ...{ version: "1.6.0", path: "firmware/0a0017-1/1.6.0.bin", sha256: SHA256, action: "7" },
};
const RELEASE = {
  ...{ schema: 1, kind: "firmware", version: "1.6.0", vendor: "0a0017", model: 1, fileType: 1 },
  releasedMs: 1,
};

/** An updater's folder and what it may be given. */
async function desk(custom: unknown = RELEASE, lengthBytes = FILE.length) {
  const folder = await Deno.makeTempDir({ prefix: "reader-firmware-" });
  const clock = new VirtualClock();
  const dir = join(folder, "readers");
  const report = join(folder, "report.json");
  const state = { left: 0, freeBytes: 1e9 };
  const target = { ...WANTED, lengthBytes, custom } as unknown as TrustedTarget;
  const trust = {
    look: (_signal: AbortSignal, use: (view: unknown) => Promise<unknown>) =>
      use({ target: (path: string) => Promise.resolve(path === WANTED.path ? target : undefined) }),
  } as unknown as UpdateTrust;
  const source = {
    get: (_path: string, _signal: AbortSignal, from = 0) =>
      Promise.resolve({
        status: from > 0 ? 206 : 200,
        body: new Blob([FILE.slice(from)]).stream(),
      }),
  } as unknown as RepositorySource;
  const start = () =>
    new FirmwareBackEnd({
      ...{ dir, report, trust, source, clock },
      freeBytes: () => Promise.resolve(state.freeBytes),
      leave: () => {
        state.left++;
        return Promise.resolve();
      },
    });
  const says = (change: Partial<FirmwareReport>) =>
    writeReport(report, { sha256: SHA256, readers: [], over: true, ...change });
  return {
    ...{ dir, report, clock, state, start, says, order: join(dir, "order.json") },
    files: () => [...Deno.readDirSync(dir)].map(({ name }) => name).sort(),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

Deno.test("an order is given after the file is whole, and gone when it was carried out", async () => {
  await using at = await desk();
  const first = at.start();
  await first.fetch(WANTED, never);
  assert.equal(first.running(), undefined);
  await first.switch(WANTED);
  assert.equal(at.state.left, 1);
  const order = readOrder(at.order)!;
  assert.deepEqual(
    [order.vendor, order.model, order.version, order.fileType, order.sha256],
    ["0a0017", 1, "1.6.0", 1, SHA256],
  );
  assert.deepEqual(Deno.readFileSync(order.file), FILE);
  const second = at.start();
  assert.equal(second.running(), SHA256);
  const done = { reader: "in", state: "done", sentBytes: 3_000 } as const;
  at.says({ readers: [done] });
  assert.equal(await second.carriedOut(never), undefined);
  await second.confirm();
  assert.equal(second.running(), undefined, "the next rollout of it would ask no reader");
  // Cut off before that was noted: the next start finds what ran, and confirms it.
  const third = at.start();
  assert.equal(third.running(), SHA256);
  await third.confirm();
  await at.start().clean();
  assert.deepEqual(at.files(), []);
  assert.equal(at.start().running(), undefined);
});

Deno.test("what a reader or the box says is wrong is what the district hears; the order is withdrawn", async () => {
  await using at = await desk();
  const backEnd = at.start();
  await backEnd.fetch(WANTED, never);
  await backEnd.switch(WANTED);
  // A report of another order is none.
  at.says({ sha256: "0".repeat(64) });
  const wrong = backEnd.carriedOut(never);
  await at.clock.advance(3_000);
  const waiting = { reader: "out", state: "waiting", sentBytes: 0 } as const;
  at.says({ over: false, readers: [waiting] });
  await at.clock.advance(3_000);
  at.says({
    readers: [{ reader: "in", state: "failed", sentBytes: 9, detail: "it burns" }, waiting],
  });
  await at.clock.advance(2_000);
  assert.equal(await wrong, "reader in: it burns");
  at.says({ fault: "the file is another" });
  assert.equal(await backEnd.carriedOut(never), "the file is another");
  await backEnd.revert();
  assert.deepEqual([at.files(), at.state.left], [[], 2]);
});

Deno.test("a box that says nothing for 25 minutes is not waited for, one that gets on is", async () => {
  await using at = await desk();
  const backEnd = at.start();
  await backEnd.fetch(WANTED, never);
  await backEnd.switch(WANTED);
  let said: string | undefined | null = null;
  void backEnd.carriedOut(never).then((wrong) => said = wrong);
  for (let minute = 0; minute < 60; minute++) {
    at.says({ over: false, readers: [{ reader: "in", state: "sending", sentBytes: minute }] });
    await at.clock.advance(60_000);
  }
  assert.equal(said, null, "it was given up though it got on");
  await at.clock.advance(26 * 60_000);
  assert.equal(said, "the box says nothing of its readers' firmware");
});

Deno.test("what is not for readers, too large or without room is refused before it is fetched", async () => {
  const fault = async (at: Awaited<ReturnType<typeof desk>>, reason: string) => {
    await assert.rejects(at.start().fetch(WANTED, never), (error) => {
      assert.ok(error instanceof UpdateFault);
      assert.equal(error.reason, reason, error.message);
      return true;
    });
    assert.deepEqual(at.files(), []);
  };
  for (
    const bad of [
      { ...RELEASE, kind: "app" },
      { ...RELEASE, schema: 2 },
      { ...RELEASE, vendor: "0A0017" },
      { ...RELEASE, model: 256 },
      { ...RELEASE, version: "1.6" },
      { ...RELEASE, fileType: 0 },
      { ...RELEASE, more: 1 },
      { ...RELEASE, model: "1" },
      null,
    ]
  ) {
    assert.throws(() => parseFirmwareRelease(bad));
    await using at = await desk(bad);
    await fault(at, "refused");
  }
  await using large = await desk(RELEASE, (64 << 20) + 1);
  await fault(large, "refused");
  await using full = await desk();
  full.state.freeBytes = 1_000;
  await fault(full, "no-space");
});

Deno.test("an order or a report that is spoilt, huge or of another shape is none", async () => {
  await using at = await desk();
  at.start();
  const order = {
    ...{ sha256: SHA256, file: "/x", vendor: "0a0017", model: 1, version: "1.6.0", fileType: 1 },
  };
  const report = { sha256: SHA256, readers: [], over: false };
  const bad: readonly unknown[] = [
    ...["", "null", "[]", "{", "\0\0\0", `"${"x".repeat(300_000)}"`],
    ...[{ ...order, sha256: "x" }, { ...order, model: -1 }, { ...order, file: "x".repeat(2_000) }],
    { ...order, more: 1 },
    { ...report, over: "yes" },
    { ...report, readers: [{ reader: "in", state: "sleeping", sentBytes: 0 }] },
    { ...report, readers: [{ reader: "in", state: "done", sentBytes: -1 }] },
    { ...report, readers: Array(1_001).fill({ reader: "in", state: "done", sentBytes: 0 }) },
  ];
  for (const what of bad) {
    const text = typeof what === "string" ? what : JSON.stringify(what);
    for (const [path, read] of [[at.order, readOrder], [at.report, readReport]] as const) {
      await Deno.writeTextFile(path, text);
      assert.equal(read(path), undefined, text.slice(0, 80));
    }
  }
  await Deno.writeTextFile(at.order, JSON.stringify(order));
  assert.deepEqual(readOrder(at.order), order);
});
