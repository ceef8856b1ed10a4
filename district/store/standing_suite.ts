/**
 * What a store must do with rollouts that stand: who is taken in, and who is not.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { DistrictStore } from "./contract.ts";
import type { RolloutStore } from "./rollout_contract.ts";

const NOW_MS = 1_790_000_000_000;
const STABLE = { channel: "stable" };

/** A store with boxes, and rollouts that stand. */
class Desk {
  readonly rollouts: RolloutStore;
  #added = 0;

  constructor(rollouts: RolloutStore) {
    this.rollouts = rollouts;
  }

  async box(id: string, labels: Readonly<Record<string, string>> = STABLE): Promise<void> {
    const tokenHash = new Uint8Array(32).fill(1);
    await this.rollouts.putController({ id, tokenHash, addedMs: NOW_MS, labels });
  }

  /** Rolls `path` out to `ids`, each of which installs it; it stands then for `labels`, where there are any. */
  async stand(
    path: string,
    ids: readonly string[],
    labels: Readonly<Record<string, string>> | null = STABLE,
  ): Promise<number> {
    const { rollouts } = this;
    const [kind = "", version = ""] = path.split("/");
    const hash = { bytes: 7, sha256: "0".repeat(64), sha1: "1".repeat(40) };
    await rollouts.addRelease({ path, kind, version, ...hash, addedMs: NOW_MS + this.#added++ });
    const plan = { name: "all", boxes: ids.length, successPercent: 100, errorPercent: 50 };
    const groups = [{ plan, controllerIds: ids }];
    const draft = { name: path, releasePath: path, createdBy: "li", groups };
    const id = await rollouts.addRollout(
      labels === null ? draft : { ...draft, standing: { labels } },
      NOW_MS,
    );
    await rollouts.stepRollout(id, { kind: "submit", by: "li" }, NOW_MS);
    await rollouts.stepRollout(id, { kind: "approve", by: "wang" }, NOW_MS);
    for (const box of ids) await this.tells(box, true);
    return id;
  }

  /** What a box is offered. */
  async offered(box: string): Promise<string | undefined> {
    return (await this.rollouts.offer(box, NOW_MS))?.release.path;
  }

  async tells(box: string, installed: boolean): Promise<void> {
    const { actionId } = (await this.rollouts.offer(box, NOW_MS))!;
    const report = installed
      ? { kind: "installed" } as const
      : { kind: "failed", reason: "x" } as const;
    await this.rollouts.report(box, actionId, report, NOW_MS + 1);
  }

  async status(id: number): Promise<string> {
    return (await this.rollouts.rollout(id))!.rollout.status.at;
  }
}

/** Registers the tests of a store called `name`. */
export function testStandingRollouts(name: string, open: () => Promise<DistrictStore>): void {
  const test = (what: string, body: (desk: Desk) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      await using store = await open();
      await body(new Desk(store.rollouts));
    });

  test("a box that joins gets what stands for its labels, once, and others do not", async (desk) => {
    await desk.box("gate-1");
    const id = await desk.stand("app/1/a", ["gate-1"]);
    assert.equal(await desk.status(id), "standing");
    assert.equal(await desk.offered("gate-1"), undefined);
    await desk.box("gate-2");
    await desk.box("gate-3", { channel: "beta" });
    await desk.box("gate-4", {});
    assert.equal(await desk.offered("gate-3"), undefined);
    assert.equal(await desk.offered("gate-4"), undefined);
    assert.equal(await desk.offered("stranger"), undefined);
    const first = await desk.rollouts.offer("gate-2", NOW_MS);
    assert.equal(first?.release.path, "app/1/a");
    assert.deepEqual(await desk.rollouts.offer("gate-2", NOW_MS), first, "asked again");
    await desk.tells("gate-2", true);
    assert.equal(await desk.offered("gate-2"), undefined);
    // One that is given the label later is one that joins.
    await desk.box("gate-3", { ...STABLE, school: "north" });
    assert.equal(await desk.offered("gate-3"), "app/1/a");
    const { rollout } = (await desk.rollouts.rollout(id))!;
    assert.deepEqual(rollout.groups.map(({ boxes }) => boxes), [1, 2]);
    assert.deepEqual(rollout.counts, [{ installed: 1, failed: 0 }, { installed: 1, failed: 0 }]);
  });

  test("the newest takes the place of the one before, and no box goes back", async (desk) => {
    for (const box of ["gate-1", "gate-2", "gate-3"]) await desk.box(box);
    const first = await desk.stand("app/1/a", ["gate-1"]);
    const other = await desk.stand("os/9/o", ["gate-1"]);
    const beta = await desk.stand("app/3/a", ["gate-2"], { channel: "beta" });
    const second = await desk.stand("app/2/a", ["gate-1"]);
    assert.deepEqual(
      [await desk.status(first), await desk.status(other), await desk.status(beta)],
      ["finished", "standing", "standing"],
    );
    const said = (await desk.rollouts.rolloutAudit(first)).at(-1)!.what;
    assert.deepEqual(said, { kind: "superseded", rollout: second });
    // Of each kind its newest, one after the other.
    assert.equal(await desk.offered("gate-3"), "app/2/a");
    await desk.tells("gate-3", true);
    assert.equal(await desk.offered("gate-3"), "os/9/o");
    await desk.tells("gate-3", true);
    assert.equal(await desk.offered("gate-3"), undefined);
    // One that was given something newer, though outside of it, is left alone.
    await desk.box("gate-4", {});
    await desk.stand("app/4/a", ["gate-4"], null);
    await desk.box("gate-4");
    assert.equal(await desk.offered("gate-4"), "os/9/o");
    assert.equal(await desk.status(second), "standing");
    // One that waits for something of the kind in another rollout waits on.
    await desk.box("gate-5", {});
    const plan = { name: "all", boxes: 1, successPercent: 100, errorPercent: 50 };
    const groups = [{ plan, controllerIds: ["gate-5"] }];
    const draft = { name: "again", releasePath: "app/1/a", createdBy: "li", groups };
    await desk.rollouts.addRollout(draft, NOW_MS);
    await desk.box("gate-5");
    assert.equal(await desk.offered("gate-5"), "os/9/o");
  });

  test("one that failed is not tried again, and failures close it until it is let go on", async (desk) => {
    await desk.box("gate-1");
    const id = await desk.stand("app/1/a", ["gate-1"]);
    await desk.box("gate-2");
    await desk.box("gate-3");
    await desk.tells("gate-2", false);
    assert.equal(await desk.status(id), "paused");
    assert.equal(await desk.offered("gate-3"), undefined);
    await desk.rollouts.stepRollout(id, { kind: "resume", by: "wang" }, NOW_MS);
    assert.equal(await desk.offered("gate-2"), undefined);
    assert.equal(await desk.offered("gate-3"), "app/1/a");
    await desk.rollouts.stepRollout(id, { kind: "abort", by: "li" }, NOW_MS);
    await desk.box("gate-4");
    assert.equal(await desk.offered("gate-4"), undefined);
    const begun = await desk.rollouts.offer("gate-3", NOW_MS);
    assert.equal(begun?.what, "cancel");
  });

  test("one that stands is rolled back as any other", async (desk) => {
    for (const box of ["gate-1", "gate-2"]) await desk.box(box);
    await desk.stand("app/1/a", ["gate-1"]);
    await desk.tells("gate-2", true);
    const id = await desk.stand("app/2/a", ["gate-1"]);
    await desk.tells("gate-2", true);
    const published = new Set(["app/1/a", "app/2/a"]);
    const back = (await desk.rollouts.rollBack(id, "wang", published, NOW_MS))!;
    assert.ok(back.ok);
    assert.deepEqual(back.left, []);
    assert.equal(await desk.status(id), "aborted");
    for (const box of ["gate-1", "gate-2"]) {
      assert.equal(await desk.offered(box), "app/1/a");
      await desk.tells(box, true);
      assert.equal(await desk.offered(box), undefined);
    }
  });
}
