/**
 * What a store must do with targets of which nothing is heard.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { DistrictStore } from "./contract.ts";

const NOW_MS = 1_790_000_000_000;
const HOUR_MS = 3_600_000;
const RELEASE = "app/1/a";

/** Registers the tests of a store called `name`. */
export function testSilence(name: string, open: () => Promise<DistrictStore>): void {
  Deno.test(`${name}: what tells nothing for long counts as failed, and as installed if it was only late`, async () => {
    await using store = await open();
    const { rollouts } = store;
    const boxes = Array.from({ length: 10 }, (_, index) => `gate-${index}`);
    const hash = { bytes: 7, sha256: "0".repeat(64), sha1: "1".repeat(40) };
    await rollouts.addRelease({
      ...{ path: RELEASE, kind: "app", version: "1", ...hash, addedMs: NOW_MS },
    });
    for (const id of boxes) {
      const tokenHash = new Uint8Array(32).fill(1);
      await rollouts.putController({ id, tokenHash, addedMs: NOW_MS, labels: {} });
    }
    const plan = { name: "all", boxes: boxes.length, successPercent: 100, errorPercent: 20 };
    const roll = async (limit: { readonly silentAfterHours?: number }) => {
      const id = await rollouts.addRollout({
        ...{ name: "x", releasePath: RELEASE, createdBy: "li", ...limit },
        groups: [{ plan, controllerIds: boxes }],
      }, NOW_MS);
      await rollouts.stepRollout(id, { kind: "submit", by: "li" }, NOW_MS);
      await rollouts.stepRollout(id, { kind: "approve", by: "wang" }, NOW_MS);
      return id;
    };
    const id = await roll({ silentAfterHours: 5 });
    const action = async (box: string, atMs: number) => (await rollouts.offer(box, atMs))!.actionId;
    const [first, second, third] = [
      await action("gate-0", NOW_MS),
      await action("gate-1", NOW_MS),
      await action("gate-2", NOW_MS + HOUR_MS),
    ];
    // Who has begun has as long again.
    await rollouts.report("gate-1", second, { kind: "progress" }, NOW_MS + 2 * HOUR_MS);
    assert.equal(await rollouts.giveUpSilent(NOW_MS + 5 * HOUR_MS), 0);
    assert.equal(await rollouts.giveUpSilent(NOW_MS + 5 * HOUR_MS + 1), 1);
    assert.equal(await rollouts.giveUpSilent(NOW_MS + 5 * HOUR_MS + 1), 0, "given up once");
    const counts = async () => (await rollouts.rollout(id))!.rollout.counts[0];
    assert.deepEqual(await counts(), { installed: 0, failed: 1 });
    const [given] = await rollouts.targets({ rolloutId: id, afterActionId: 0, limit: 1 });
    assert.equal(given!.reason, "silent: nothing was heard of it for 5 h");
    // It was only switched off: what it tells counts.
    const late = await rollouts.report(
      "gate-0",
      first,
      { kind: "installed" },
      NOW_MS + 6 * HOUR_MS,
    );
    assert.equal(late, "noted");
    assert.deepEqual(await counts(), { installed: 1, failed: 0 });
    assert.equal(await rollouts.report("gate-0", first, { kind: "installed" }, NOW_MS), "same");
    // Too many that say nothing stop it as other failures do.
    assert.equal(await rollouts.giveUpSilent(NOW_MS + 8 * HOUR_MS), 2);
    assert.equal((await rollouts.rollout(id))!.rollout.status.at, "paused");
    // One that failed in its own words, or says after all that it failed, is a failure.
    const failed = { kind: "failed", reason: "no room" } as const;
    assert.equal(await rollouts.report("gate-2", third, failed, NOW_MS), "same");
    assert.deepEqual(await counts(), { installed: 1, failed: 2 });
    // Aborted, nobody waits for it either; and without a limit everybody is waited for.
    await rollouts.stepRollout(id, { kind: "resume", by: "wang" }, NOW_MS);
    await action("gate-3", NOW_MS);
    await rollouts.stepRollout(id, { kind: "abort", by: "li" }, NOW_MS);
    assert.equal(await rollouts.giveUpSilent(NOW_MS + 9 * HOUR_MS), 1);
    assert.deepEqual(await counts(), { installed: 1, failed: 2 });
    await roll({});
    await action("gate-4", NOW_MS);
    assert.equal(await rollouts.giveUpSilent(NOW_MS + 9_000 * HOUR_MS), 0);
  });
}
