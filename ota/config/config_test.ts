/** Bundles and notes, with hostile ones; the box is stood in for by what it says of itself. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { VirtualClock } from "../../hal/sim/mod.ts";
import { UpdateFault, type Wanted } from "../agent/mod.ts";
import { parseConfigRelease } from "../manifest/mod.ts";
import type { RepositorySource, TrustedTarget, UpdateTrust } from "../trust/mod.ts";
import {
  notePaths,
  readNote,
  type Running,
  type StandInBackEnd,
  TEXT_BYTES_MAX,
} from "../stand_in/mod.ts";
import { bundleLine, findInBundle } from "./bundle.ts";
import { CONFIG_BYTES_MAX, configBackEnd, configHash } from "./mod.ts";

const never = new AbortController().signal;
const hash = (text: string) => createHash("sha256").update(text).digest("hex");
const stream = (text: string, step = 7) => {
  const bytes = new TextEncoder().encode(text);
  const parts = Array.from(
    { length: Math.ceil(bytes.length / step) },
    (_, index) => bytes.slice(index * step, (index + 1) * step),
  );
  return ReadableStream.from(parts);
};
const BUNDLE = bundleLine("bx-1", "box: { name: 东门 }\n") + bundleLine("bx-2", "box: two\n");

/** An updater's folder, a box.yaml, and a bundle that it may be given. */
async function desk(bundle = BUNDLE, boxId = "bx-1") {
  const updates = await Deno.makeTempDir({ prefix: "config-" });
  const config = join(updates, "box.yaml");
  await Deno.writeTextFile(config, "the box's own");
  const clock = new VirtualClock();
  const path = "config/2.0.0/boxes.jsonl";
  const wanted: Wanted = { version: "2.0.0", path, sha256: hash(bundle), action: "7" };
  const custom = { schema: 1, kind: "config", version: "2.0.0", releasedMs: 1 };
  const bytes = new TextEncoder().encode(bundle);
  const target = { ...wanted, lengthBytes: bytes.length, custom } as unknown as TrustedTarget;
  const trust = {
    look: (_signal: AbortSignal, use: (view: unknown) => Promise<unknown>) =>
      use({ target: () => Promise.resolve(target) }),
  } as unknown as UpdateTrust;
  const source = {
    get: () => Promise.resolve({ status: 200, body: new Blob([bytes]).stream() }),
  } as unknown as RepositorySource;
  const state = { restarts: 0, left: 0, stuck: false };
  const start = () =>
    configBackEnd({
      ...{ updates, config, boxId, trust, source, clock },
      restart: () => {
        state.restarts++;
        return state.stuck ? Promise.reject(new Error("no systemd")) : Promise.resolve();
      },
      leave: () => Promise.resolve(void state.left++),
    });
  return {
    ...{ config, clock, wanted, state, start, paths: notePaths(updates, "config") },
    files: () => [...Deno.readDirSync(join(updates, "config"))].map(({ name }) => name).sort(),
    [Symbol.asyncDispose]: () => Deno.remove(updates, { recursive: true }),
  };
}

async function tried(at: Awaited<ReturnType<typeof desk>>): Promise<StandInBackEnd> {
  const backEnd = at.start();
  await backEnd.fetch(at.wanted, never);
  await backEnd.stage(at.wanted, never);
  await backEnd.switch(at.wanted);
  return at.start();
}

Deno.test("a box finds its own line, however the bundle comes in", async () => {
  for (const step of [1, 3, 1_000]) {
    assert.equal(await findInBundle(stream(BUNDLE, step), "bx-1"), "box: { name: 东门 }\n");
    assert.equal(await findInBundle(stream(BUNDLE, step), "bx-2"), "box: two\n");
    assert.equal(await findInBundle(stream(BUNDLE, step), "bx-3"), undefined);
  }
  const hostile = [
    ...["x\n", "null\n", "[]\n", `${BUNDLE}{`, BUNDLE.slice(0, -1), "{}\n"],
    `{"box":"bx-9","yaml":1}\n`,
    `{"box":"../x","yaml":""}\n`,
    `{"box":"bx-9","yaml":"","more":1}\n`,
  ];
  for (const text of hostile) {
    await assert.rejects(findInBundle(stream(text, 10_000), "bx-3"), /./, text.slice(0, 40));
  }
  // One line without an end is not read to it.
  let chunks = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      if (++chunks > 1_000) controller.close();
      else controller.enqueue(new Uint8Array(10_000).fill(0x78));
    },
  });
  await assert.rejects(findInBundle(endless, "bx-3"), /line of the bundle is too long/);
  assert.ok(chunks < 500, `it read ${chunks} chunks of it`);
  assert.throws(() => bundleLine("bx/1", ""));
  assert.throws(() => bundleLine("bx-1", "x".repeat(CONFIG_BYTES_MAX + 1)));
});

Deno.test("it is on trial from the switch on, stays when confirmed, and is gone when taken back", async () => {
  await using at = await desk();
  const second = await tried(at);
  assert.deepEqual([second.running(), second.concerns()], [at.wanted.sha256, true]);
  const note = readNote(at.paths.trial)!;
  assert.deepEqual([note.text, note.base], ["box: { name: 东门 }\n", configHash("the box's own")]);
  // Cut off in the switch and asked again.
  await second.switch(at.wanted);
  await second.confirm();
  assert.equal(second.running(), undefined);
  // Cut off before that was noted: the next start finds what ran, and confirms it.
  assert.equal(at.start().running(), at.wanted.sha256);
  await at.start().confirm();
  await at.start().clean();
  assert.deepEqual(at.files(), ["good.json"]);
  assert.equal(at.start().running(), undefined);
  const third = await tried(at);
  await third.revert();
  await third.clean();
  assert.deepEqual([at.files(), at.state.restarts], [["good.json"], 4]);
  assert.equal(readNote(at.paths.good)!.text, "box: { name: 东门 }\n");
});

Deno.test("a bundle without the box leaves all as it was, and no box is restarted", async () => {
  await using at = await desk(BUNDLE, "bx-3");
  const second = await tried(at);
  assert.deepEqual([second.running(), second.concerns()], [at.wanted.sha256, false]);
  await second.confirm();
  await at.start().clean();
  assert.deepEqual([at.files(), at.state.restarts, at.state.left], [[], 0, 1]);
});

Deno.test("what is no bundle is refused, and a box that cannot be restarted keeps what it has", async () => {
  await using bad = await desk("nonsense\n");
  const backEnd = bad.start();
  await backEnd.fetch(bad.wanted, never);
  await assert.rejects(backEnd.stage(bad.wanted, never), (error) => {
    assert.ok(error instanceof UpdateFault && error.reason === "refused" && error.final);
    return true;
  });
  await using at = await desk();
  at.state.stuck = true;
  await assert.rejects(tried(at), /no systemd/);
  assert.equal(at.start().running(), undefined);
  await assert.rejects(at.start().switch({ ...at.wanted, sha256: "0".repeat(64) }), /is gone/);
  for (const custom of [null, {}, { schema: 1, kind: "config", version: "2", releasedMs: 1 }]) {
    assert.throws(() => parseConfigRelease(custom));
  }
});

Deno.test("the box's own word decides: taken, faulty, silent, or changed at the box", async () => {
  await using at = await desk();
  const backEnd = await tried(at);
  const verdict = async (say: () => Running | undefined) => {
    let said: string | undefined | null = null;
    void backEnd.taken(() => Promise.resolve(say()), never).then((wrong) => said = wrong);
    for (let s = 0; s < 200 && said === null; s++) await at.clock.advance(1_000);
    return said;
  };
  let asked = 0;
  const late = () => ++asked > 20 ? { bundle: at.wanted.sha256 } : undefined;
  assert.equal(await verdict(late), undefined);
  assert.equal(await verdict(() => ({ bundle: "", fault: "line 3: no door" })), "line 3: no door");
  assert.match((await verdict(() => undefined))!, /does not answer/);
  assert.match((await verdict(() => ({ bundle: "" })))!, /was changed meanwhile/);
});

Deno.test("a note that is spoilt, huge or of another shape is none", async () => {
  await using at = await desk();
  at.start();
  const good = { sha256: "0".repeat(64), base: "1".repeat(64), text: "x" };
  const bad: unknown[] = [
    "",
    "null",
    "{",
    "x".repeat(8 * TEXT_BYTES_MAX + 1),
    { ...good, sha256: "x" },
    {
      ...good,
      more: 1,
    },
    { ...good, text: 7 },
    { ...good, base: undefined },
  ];
  for (const what of bad) {
    await Deno.writeTextFile(
      at.paths.trial,
      typeof what === "string" ? what : JSON.stringify(what),
    );
    assert.equal(readNote(at.paths.trial), undefined);
    assert.equal(at.start().running(), undefined);
  }
  await Deno.writeTextFile(at.paths.trial, JSON.stringify(good));
  assert.deepEqual(readNote(at.paths.trial), good);
});
