/**
 * What the part of a store that keeps updates must do.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { DistrictStore } from "./contract.ts";
import type { GroupMembers, ReleaseRow, RolloutStore, TargetReport } from "./rollout_contract.ts";

const NOW_MS = 1_790_000_000_000;

const RELEASE: ReleaseRow = {
  path: "app/1.2.3/gatehouse.tar.zst",
  kind: "app",
  version: "1.2.3",
  bytes: 7,
  sha256: "0".repeat(64),
  sha1: "1".repeat(40),
  addedMs: NOW_MS,
};

const gates = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `gate-${from + index}`);

function group(controllerIds: readonly string[], successPercent = 100, errorPercent = 50) {
  const name = `${controllerIds[0]}…`;
  return {
    plan: { name, boxes: controllerIds.length, successPercent, errorPercent },
    controllerIds,
  } satisfies GroupMembers;
}

async function running(rollouts: RolloutStore, groups: readonly GroupMembers[]): Promise<number> {
  await rollouts.addRelease(RELEASE);
  for (const [index, id] of groups.flatMap(({ controllerIds }) => controllerIds).entries()) {
    const tokenHash = new Uint8Array(32).fill(index + 1);
    await rollouts.putController({ id, tokenHash, addedMs: NOW_MS, labels: { row: `${index}` } });
  }
  const id = await rollouts.addRollout(
    { name: "winter", releasePath: RELEASE.path, createdBy: "li", groups },
    NOW_MS,
  );
  await rollouts.stepRollout(id, { kind: "submit", by: "li" }, NOW_MS);
  await rollouts.stepRollout(id, { kind: "approve", by: "wang" }, NOW_MS);
  return id;
}

async function tells(rollouts: RolloutStore, controllerId: string, report: TargetReport) {
  const offer = await rollouts.offer(controllerId, NOW_MS);
  assert.ok(offer !== undefined, `${controllerId} is offered nothing`);
  return await rollouts.report(controllerId, offer.actionId, report, NOW_MS + 1);
}

const INSTALLED = { kind: "installed" } as const;
const FAILED = { kind: "failed", reason: "no room" } as const;

/** Registers the tests of a store called `name`. */
export function testRolloutStore(name: string, open: () => Promise<DistrictStore>): void {
  const test = (what: string, body: (rollouts: RolloutStore) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      await using store = await open();
      await body(store.rollouts);
    });

  test("a controller keeps what it tells when its token changes; its labels are the operator's", async (rollouts) => {
    const put = (byte: number, labels: Record<string, string>) =>
      rollouts.putController({
        id: "gate-1",
        tokenHash: new Uint8Array(32).fill(byte),
        addedMs: NOW_MS + byte,
        labels,
      });
    await put(1, { school: "north" });
    await rollouts.putAttributes("gate-1", { hw: "pi4", school: "forged" });
    await put(2, { school: "south" });
    assert.deepEqual(await rollouts.controller("gate-1"), {
      id: "gate-1",
      tokenHash: new Uint8Array(32).fill(2),
      addedMs: NOW_MS + 1,
      labels: { school: "south" },
      attributes: { hw: "pi4", school: "forged" },
    });
    assert.equal(await rollouts.controller("gate-2"), undefined);
    assert.equal((await rollouts.controllers()).length, 1);
  });

  test("targets are offered group by group, and an action keeps its number", async (rollouts) => {
    const id = await running(rollouts, [group(gates(1, 2)), group(gates(3, 4))]);
    const first = await rollouts.offer("gate-1", NOW_MS);
    assert.deepEqual(first, { actionId: first!.actionId, release: RELEASE, what: "install" });
    assert.deepEqual(await rollouts.offer("gate-1", NOW_MS + 9), first);
    assert.equal(await rollouts.offer("gate-3", NOW_MS), undefined);
    assert.equal(await rollouts.offer("stranger", NOW_MS), undefined);
    await tells(rollouts, "gate-1", INSTALLED);
    assert.equal(await rollouts.offer("gate-3", NOW_MS), undefined);
    await tells(rollouts, "gate-2", INSTALLED);
    assert.notEqual(await rollouts.offer("gate-3", NOW_MS), undefined);
    const states = await rollouts.targets({ rolloutId: id, afterActionId: 0, limit: 9 });
    assert.deepEqual(states.map(({ controllerId, state }) => [controllerId, state]), [
      ["gate-1", "installed"],
      ["gate-2", "installed"],
      ["gate-3", "offered"],
      ["gate-4", "waiting"],
    ]);
    const page = await rollouts.targets({
      rolloutId: id,
      afterActionId: states[0]!.actionId,
      state: "installed",
      limit: 9,
    });
    assert.deepEqual(page.map(({ controllerId }) => controllerId), ["gate-2"]);
  });

  test("an outcome counts once, however often it is told, and cannot be changed", async (rollouts) => {
    const id = await running(rollouts, [group(gates(1, 4))]);
    const { actionId } = (await rollouts.offer("gate-1", NOW_MS))!;
    const report = (what: TargetReport, who = "gate-1") =>
      rollouts.report(who, actionId, what, NOW_MS);
    assert.equal(await report(INSTALLED, "gate-2"), "unknown");
    assert.equal(await report({ kind: "progress" }), "noted");
    assert.equal(await report(FAILED), "noted");
    assert.deepEqual(
      [await report(FAILED), await report(INSTALLED), await report({ kind: "progress" })],
      ["same", "closed", "closed"],
    );
    const { rollout } = (await rollouts.rollout(id))!;
    assert.deepEqual(rollout.counts, [{ installed: 0, failed: 1 }]);
    const [target] = await rollouts.targets({ rolloutId: id, afterActionId: 0, limit: 1 });
    assert.deepEqual([target!.state, target!.reason], ["failed", "no room"]);
    assert.equal(await rollouts.offer("gate-1", NOW_MS), undefined);
    assert.equal(await rollouts.openAction("gate-1", actionId), undefined);
    // What was never offered cannot have ended.
    assert.equal(await rollouts.report("gate-2", actionId + 1, INSTALLED, NOW_MS), "unknown");
  });

  test("failures stop it, the audit says so, and it goes on when told", async (rollouts) => {
    const id = await running(rollouts, [group(gates(1, 4))]);
    const late = (await rollouts.offer("gate-3", NOW_MS))!;
    for (const gate of gates(1, 2)) await tells(rollouts, gate, FAILED);
    assert.equal(await rollouts.offer("gate-4", NOW_MS), undefined);
    // Whoever has begun is not taken back.
    assert.deepEqual(await rollouts.offer("gate-3", NOW_MS), late);
    const step = await rollouts.stepRollout(id, { kind: "resume", by: "wang" }, NOW_MS + 5);
    assert.ok(step?.ok);
    assert.equal((await rollouts.offer("gate-4", NOW_MS))?.what, "install");
    assert.deepEqual(
      (await rollouts.rolloutAudit(id)).map(({ operator, what }) => [operator, what]),
      [
        ["li", { kind: "made" }],
        ["li", { kind: "submitted" }],
        ["wang", { kind: "approved", group: "gate-1…" }],
        ["", { kind: "stopped", group: "gate-1…", failed: 2, boxes: 4 }],
        ["wang", { kind: "resumed" }],
      ],
    );
    const refused = await rollouts.stepRollout(id, { kind: "approve", by: "wang" }, NOW_MS);
    assert.deepEqual(refused, { ok: false, why: "nothing waits for approval" });
    assert.equal(
      await rollouts.stepRollout(id + 1, { kind: "abort", by: "li" }, NOW_MS),
      undefined,
    );
  });

  test("aborted, those that began are called off; one that will not stop ends by itself", async (rollouts) => {
    const id = await running(rollouts, [group(gates(1, 4))]);
    const offers = [];
    for (const gate of gates(1, 3)) offers.push((await rollouts.offer(gate, NOW_MS))!);
    const early = { kind: "cancel-refused" } as const;
    assert.equal(await rollouts.report("gate-1", offers[0]!.actionId, early, NOW_MS), "unknown");
    // Given up uncalled for is a failure.
    assert.equal(await tells(rollouts, "gate-3", { kind: "cancelled" }), "noted");
    await rollouts.stepRollout(id, { kind: "abort", by: "li" }, NOW_MS);
    assert.deepEqual(await rollouts.offer("gate-1", NOW_MS), { ...offers[0], what: "cancel" });
    assert.equal(await tells(rollouts, "gate-1", { kind: "cancelled" }), "noted");
    assert.equal(await tells(rollouts, "gate-2", { kind: "cancel-refused" }), "noted");
    assert.equal((await rollouts.offer("gate-2", NOW_MS))?.what, "install");
    assert.equal(await tells(rollouts, "gate-2", INSTALLED), "noted");
    assert.equal(await rollouts.offer("gate-4", NOW_MS), undefined);
    const states = await rollouts.targets({ rolloutId: id, afterActionId: 0, limit: 9 });
    assert.deepEqual(states.map(({ state }) => state), [
      "cancelled",
      "installed",
      "failed",
      "cancelled",
    ]);
    assert.deepEqual((await rollouts.rollout(id))!.rollout.counts, [{ installed: 1, failed: 1 }]);
  });

  test("a target does one thing at a time: what has begun, then what is older", async (rollouts) => {
    const first = await running(rollouts, [group(gates(1, 2))]);
    const second = await running(rollouts, [group(gates(1, 2))]);
    await rollouts.stepRollout(first, { kind: "pause", by: "li" }, NOW_MS);
    const newer = (await rollouts.offer("gate-1", NOW_MS))!;
    await rollouts.stepRollout(first, { kind: "resume", by: "li" }, NOW_MS);
    assert.deepEqual(await rollouts.offer("gate-1", NOW_MS), newer);
    await tells(rollouts, "gate-1", INSTALLED);
    const older = (await rollouts.offer("gate-1", NOW_MS))!;
    assert.ok(older.actionId < newer.actionId);
    assert.deepEqual((await rollouts.rollouts(9)).map(({ id }) => id), [second, first]);
  });

  /** Rolls `path` out to `ids`; each is offered it and tells `report`, where there is one. */
  const rolled = async (
    rollouts: RolloutStore,
    path: string,
    ids: readonly string[],
    report?: TargetReport,
  ): Promise<number> => {
    const [kind = "", version = ""] = path.split("/");
    await rollouts.addRelease({ ...RELEASE, path, kind, version });
    const groups = [group(ids)];
    const draft = { name: version, releasePath: path, createdBy: "li", groups };
    const id = await rollouts.addRollout(draft, NOW_MS);
    await rollouts.stepRollout(id, { kind: "submit", by: "li" }, NOW_MS);
    await rollouts.stepRollout(id, { kind: "approve", by: "wang" }, NOW_MS);
    if (report !== undefined) { for (const gate of ids) await tells(rollouts, gate, report); }
    return id;
  };
  const ALL = new Set(["app/1.2.3/gatehouse.tar.zst", "app/1/a", "app/2/a", "app/3/a", "os/9/o"]);
  const offered = async (rollouts: RolloutStore, gate: string) =>
    (await rollouts.offer(gate, NOW_MS))?.release.path;

  test("a rollout taken back brings each box to what that box had", async (rollouts) => {
    await running(rollouts, [group(gates(1, 6))]);
    for (const gate of gates(1, 5)) await tells(rollouts, gate, INSTALLED);
    await rolled(rollouts, "os/9/o", gates(1, 5), INSTALLED);
    await rolled(rollouts, "app/1/a", gates(2, 2), INSTALLED);
    const id = await rolled(rollouts, "app/2/a", gates(1, 5));
    await tells(rollouts, "gate-1", INSTALLED);
    await tells(rollouts, "gate-2", INSTALLED);
    await tells(rollouts, "gate-3", FAILED);
    await tells(rollouts, "gate-4", { kind: "progress" });
    const outcome = (await rollouts.rollBack(id, "wang", ALL, NOW_MS))!;
    assert.ok(outcome.ok);
    assert.deepEqual(outcome.left, []);
    assert.deepEqual(
      outcome.rollouts.map(({ releasePath, rollout }) => [
        releasePath,
        rollout.groups[0]!.boxes,
        rollout.status.at,
        rollout.takesBack,
        rollout.createdBy,
      ]),
      [
        [RELEASE.path, 2, "running", id, "wang"],
        ["app/1/a", 1, "running", id, "wang"],
      ],
    );
    assert.equal((await rollouts.rollout(id))!.rollout.status.at, "aborted");
    assert.equal(await offered(rollouts, "gate-1"), RELEASE.path);
    assert.equal(await offered(rollouts, "gate-2"), "app/1/a");
    // It went back by itself; the next was never offered it.
    assert.equal(await offered(rollouts, "gate-3"), undefined);
    assert.equal(await offered(rollouts, "gate-5"), undefined);
    // What had begun is called off first, and brought back whatever becomes of it.
    const begun = (await rollouts.offer("gate-4", NOW_MS))!;
    assert.deepEqual([begun.what, begun.release.path], ["cancel", "app/2/a"]);
    await rollouts.report("gate-4", begun.actionId, { kind: "cancel-refused" }, NOW_MS);
    await rollouts.report("gate-4", begun.actionId, INSTALLED, NOW_MS);
    assert.equal(await offered(rollouts, "gate-4"), RELEASE.path);
    const said = (await rollouts.rolloutAudit(id)).at(-1)!;
    const by = outcome.rollouts.map((back) => back.id);
    assert.deepEqual([said.operator, said.what], ["wang", { kind: "rolled-back", by }]);
  });

  test("what is taken back is taken back once, and anew where that failed", async (rollouts) => {
    await running(rollouts, [group(gates(1, 2))]);
    for (const gate of gates(1, 2)) await tells(rollouts, gate, INSTALLED);
    await rolled(rollouts, "app/1/a", gates(1, 2), INSTALLED);
    await rolled(rollouts, "app/2/a", gates(1, 1), INSTALLED);
    const id = await rolled(rollouts, "app/2/a", gates(1, 2), INSTALLED);
    await rolled(rollouts, "os/9/o", gates(1, 2), INSTALLED);
    const back = () => rollouts.rollBack(id, "wang", ALL, NOW_MS);
    const first = (await back())!;
    assert.deepEqual(first.ok && first.rollouts.map(({ releasePath }) => releasePath), ["app/1/a"]);
    const again = (await back())!;
    assert.match(again.ok ? "" : again.why, /no box has it/);
    await tells(rollouts, "gate-1", INSTALLED);
    await tells(rollouts, "gate-2", FAILED);
    const third = (await back())!;
    assert.ok(third.ok);
    const { rollouts: [row] } = third;
    const members = { rolloutId: row!.id, afterActionId: 0, limit: 9 };
    assert.deepEqual((await rollouts.targets(members)).map((each) => each.controllerId), [
      "gate-2",
    ]);
    assert.equal(await rollouts.rollBack(999, "wang", ALL, NOW_MS), undefined);
  });

  test("boxes with something newer, or with nowhere to go back to, are left and named", async (rollouts) => {
    const some = [...gates(1, 3), "gate-5"];
    await running(rollouts, [group(some)]);
    for (const gate of some) await tells(rollouts, gate, INSTALLED);
    const tokenHash = new Uint8Array(32).fill(9);
    await rollouts.putController({ id: "gate-4", tokenHash, addedMs: NOW_MS, labels: {} });
    await rolled(rollouts, "app/1/a", ["gate-1"], INSTALLED);
    const id = await rolled(rollouts, "app/2/a", gates(1, 5), INSTALLED);
    await rolled(rollouts, "app/3/a", ["gate-2"], INSTALLED);
    await rollouts.withdrawController("gate-3", NOW_MS);
    const gone = new Set(["app/1/a"]);
    const outcome = (await rollouts.rollBack(id, "wang", gone, NOW_MS))!;
    assert.ok(outcome.ok);
    assert.deepEqual(outcome.rollouts.map(({ releasePath }) => releasePath), ["app/1/a"]);
    // Of one nothing earlier is known, the other's is not published any more.
    assert.deepEqual([...outcome.left].sort(), ["gate-4", "gate-5"]);
    const none = await rolled(rollouts, "os/9/o", ["gate-2"], INSTALLED);
    const why = (await rollouts.rollBack(none, "wang", ALL, NOW_MS))!;
    assert.match(why.ok ? "" : why.why, /of none of 1 boxes an earlier release is known/);
    assert.equal((await rollouts.rollout(none))!.rollout.status.at, "finished");
    const draft = await rollouts.addRollout(
      { name: "x", releasePath: "app/3/a", createdBy: "li", groups: [group(["gate-1"])] },
      NOW_MS,
    );
    const early = (await rollouts.rollBack(draft, "wang", ALL, NOW_MS))!;
    assert.match(early.ok ? "" : early.why, /abort it/);
  });

  test("a withdrawn controller is gone, and holds no rollout up", async (rollouts) => {
    const id = await running(rollouts, [group(gates(1, 2), 100, 90), group(gates(3, 4), 100, 90)]);
    const { actionId } = (await rollouts.offer("gate-1", NOW_MS))!;
    await tells(rollouts, "gate-2", INSTALLED);
    for (const gate of ["gate-1", "gate-4"]) {
      assert.equal(await rollouts.withdrawController(gate, NOW_MS), true);
      assert.equal(await rollouts.withdrawController(gate, NOW_MS), false);
    }
    assert.equal(await rollouts.withdrawController("stranger", NOW_MS), false);
    assert.equal((await rollouts.controller("gate-1"))!.tokenHash.length, 0);
    assert.deepEqual((await rollouts.controllers()).map((each) => each.id), ["gate-2", "gate-3"]);
    assert.equal(await rollouts.report("gate-1", actionId, INSTALLED, NOW_MS), "closed");
    await tells(rollouts, "gate-3", INSTALLED);
    const { rollout } = (await rollouts.rollout(id))!;
    assert.equal(rollout.status.at, "finished");
    assert.deepEqual(rollout.counts, Array(2).fill({ installed: 1, failed: 1 }));
    const failed = { rolloutId: id, afterActionId: 0, state: "failed", limit: 9 } as const;
    assert.deepEqual(
      (await rollouts.targets(failed)).map(({ reason }) => reason),
      Array(2).fill("the device was withdrawn"),
    );
  });

  test("a draft that does not hold together leaves nothing behind", async (rollouts) => {
    await running(rollouts, [group(gates(1, 2))]);
    const draft = (groups: readonly GroupMembers[], releasePath = RELEASE.path) =>
      rollouts.addRollout({ name: "bad", releasePath, createdBy: "li", groups }, NOW_MS);
    await assert.rejects(draft([group(gates(1, 1)), group(gates(1, 1))]), /UNIQUE/);
    await assert.rejects(draft([group(["stranger"])]), /FOREIGN KEY/);
    await assert.rejects(draft([group(gates(1, 1))], "app/9.9.9/x"), /FOREIGN KEY/);
    await assert.rejects(draft([]), RangeError);
    assert.equal((await rollouts.rollouts(9)).length, 1);
  });
}
