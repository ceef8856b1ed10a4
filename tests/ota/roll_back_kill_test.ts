/** The district killed while it takes a rollout back: it is taken back whole or not at all. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { SqliteStore } from "../../district/store/sqlite/mod.ts";
import { ROOT } from "../../demo/program.ts";
import { random, seedOfRun } from "../crash/random.ts";

const BOXES = 2_000;
const KILLS = 12;
/** What it takes here, and some more. */
const SPAN_MS = 120;
const OLD = "app/1/a";
const NEW = "app/2/a";

/** A district whose boxes have all gone from the old release to the new one; that rollout. */
async function installed(folder: string): Promise<number> {
  const store = new SqliteStore(folder);
  const { rollouts } = store;
  const ids = Array.from({ length: BOXES }, (_, index) => `gate-${index}`);
  for (const id of ids) {
    await rollouts.putController({
      ...{ id, tokenHash: new Uint8Array(32).fill(1), addedMs: 1, labels: {} },
    });
  }
  let last = 0;
  for (const [atMs, path] of [OLD, NEW].entries()) {
    const hashes = { sha256: "0".repeat(64), sha1: "1".repeat(40) };
    await rollouts.addRelease({
      path,
      kind: "app",
      version: path,
      bytes: 1,
      ...hashes,
      addedMs: 1,
    });
    const plan = { name: "all", boxes: BOXES, successPercent: 100, errorPercent: 100 };
    const groups = [{ plan, controllerIds: ids }];
    const draft = { name: path, releasePath: path, createdBy: "li", groups };
    last = await rollouts.addRollout(draft, atMs);
    await rollouts.stepRollout(last, { kind: "submit", by: "li" }, atMs);
    await rollouts.stepRollout(last, { kind: "approve", by: "wang" }, atMs);
    // One is left, so that the rollout runs on.
    for (const id of path === NEW ? ids.slice(1) : ids) {
      const { actionId } = (await rollouts.offer(id, atMs))!;
      await rollouts.report(id, actionId, { kind: "installed" }, atMs);
    }
  }
  await store[Symbol.asyncDispose]();
  return last;
}

Deno.test("a rollout is taken back whole or not at all, wherever the district is killed", async () => {
  const seed = seedOfRun();
  console.log(`seed ${seed}`);
  const next = random(seed);
  const folder = await Deno.makeTempDir({ prefix: "roll-back-" });
  const ended = { whole: 0, not: 0 };
  try {
    const first = join(folder, "first");
    await Deno.mkdir(first);
    const id = await installed(first);
    for (let kill = 0; kill < KILLS; kill++) {
      const copy = join(folder, `copy-${kill}`);
      await new Deno.Command("cp", { args: ["-r", first, copy] }).output();
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", "--no-check", "--cached-only", `--config=${ROOT}/deno.json`],
          ...[`${ROOT}/tests/ota/roll_back_child.ts`, copy, String(id), OLD],
        ],
        stdout: "piped",
      }).spawn();
      const reader = child.stdout.getReader();
      await reader.read();
      await new Promise((resolve) => setTimeout(resolve, next() * SPAN_MS));
      try {
        child.kill("SIGKILL");
      } catch {
        // It was faster.
      }
      await child.status;
      await reader.cancel();
      await using store = new SqliteStore(copy);
      const all = await store.rollouts.rollouts(9);
      const back = all.filter(({ rollout }) => rollout.takesBack === id);
      const { rollout: { status } } = (await store.rollouts.rollout(id))!;
      if (back.length === 0) {
        assert.equal(status.at, "running");
        ended.not++;
      } else {
        assert.deepEqual([back.length, status.at], [1, "aborted"]);
        const query = { rolloutId: back[0]!.id, afterActionId: 0, limit: BOXES };
        assert.equal((await store.rollouts.targets(query)).length, BOXES - 1);
        ended.whole++;
      }
    }
    console.log(JSON.stringify(ended));
    assert.ok(ended.whole > 0, "every kill came before it");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
