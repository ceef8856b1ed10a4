import assert from "node:assert/strict";
import { linuxClock } from "../../hal/linux/mod.ts";
import { SqliteStore } from "../store/sqlite/mod.ts";
import { TestDistrict } from "../testing/district.ts";
import { UpdateDesk } from "../testing/updates.ts";

Deno.test("a district that starts finds of which targets nothing was heard for too long", async () => {
  const clock = linuxClock();
  const dataDir = await Deno.makeTempDir({ prefix: "district-silence-" });
  const thenMs = clock.wallMs() - 3 * 3_600_000;
  const id = await (async () => {
    await using store = new SqliteStore(dataDir);
    const { rollouts } = store;
    const hash = { bytes: 7, sha256: "0".repeat(64), sha1: "1".repeat(40) };
    const release = { path: "app/1/a", kind: "app", version: "1", ...hash, addedMs: thenMs };
    await rollouts.addRelease(release);
    const tokenHash = new Uint8Array(32).fill(1);
    await rollouts.putController({ id: "gate-1", tokenHash, addedMs: thenMs, labels: {} });
    const plan = { name: "all", boxes: 1, successPercent: 100, errorPercent: 50 };
    const groups = [{ plan, controllerIds: ["gate-1"] }];
    const draft = { name: "x", releasePath: release.path, createdBy: "li", groups };
    const id = await rollouts.addRollout({ ...draft, silentAfterHours: 2 }, thenMs);
    await rollouts.stepRollout(id, { kind: "submit", by: "li" }, thenMs);
    await rollouts.stepRollout(id, { kind: "approve", by: "wang" }, thenMs);
    await rollouts.offer("gate-1", thenMs);
    return id;
  })();
  await using test = await TestDistrict.open(clock, { dataDir });
  const desk = new UpdateDesk(test);
  const endMs = clock.monotonicMs() + 10_000;
  for (;;) {
    const [target] = await desk.ok("li", "GET", `rollouts/${id}/targets`);
    if (target.state === "failed") {
      assert.equal(target.reason, "silent: nothing was heard of it for 2 h");
      break;
    }
    assert.ok(clock.monotonicMs() < endMs, `it is ${target.state} still`);
    await clock.sleep(50, new AbortController().signal);
  }
  assert.equal((await desk.ok("li", "GET", `rollouts/${id}`)).status, "paused");
});
