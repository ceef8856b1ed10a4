/**
 * The district's store dies after each statement of an offer, an outcome, a resumption and an abort.
 * Started again it must have all of it or nothing, and the same call again must make it whole.
 */
import assert from "node:assert/strict";
import type { RolloutStore } from "../../district/mod.ts";
import { SqliteStore } from "../../district/store/sqlite/mod.ts";

const CHILD = new URL("./rollout_child.ts", import.meta.url).pathname;
const NOW_MS = 1_790_000_000_000;
const GATES = ["gate-1", "gate-2", "gate-3", "gate-4"];
/** More than any call has; then it lives. */
const STATEMENTS_MAX = 12;

type Call = readonly [verb: string, ...rest: string[]];

/** Lets the child make `call` and die after its `n`-th statement. @returns what it printed, if it lived. */
async function child(dataDir: string, n: number, call: Call): Promise<string | undefined> {
  const { signal, code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", CHILD, dataDir, String(n), ...call],
  }).output();
  if (signal === "SIGKILL") return undefined;
  assert.equal(code, 0);
  return new TextDecoder().decode(stdout).trim();
}

/** A running rollout, a store's folder, and everything that is kept of it. */
async function withStore<T>(dataDir: string, body: (rollouts: RolloutStore) => Promise<T>) {
  await using store = new SqliteStore(dataDir);
  return await body(store.rollouts);
}

async function begin(rollouts: RolloutStore): Promise<void> {
  await rollouts.addRelease({
    path: "app/1.2.3/gatehouse.tar.zst",
    kind: "app",
    version: "1.2.3",
    bytes: 7,
    sha256: "0".repeat(64),
    sha1: "1".repeat(40),
    addedMs: NOW_MS,
  });
  for (const id of GATES) {
    await rollouts.putController({ id, tokenHash: new Uint8Array(32), addedMs: 1, labels: {} });
  }
  const plan = { name: "all", boxes: 4, successPercent: 100, errorPercent: 50 };
  const groups = [{ plan, controllerIds: GATES }];
  const releasePath = "app/1.2.3/gatehouse.tar.zst";
  await rollouts.addRollout({ name: "winter", releasePath, createdBy: "li", groups }, NOW_MS);
  await rollouts.stepRollout(1, { kind: "submit", by: "li" }, NOW_MS);
  await rollouts.stepRollout(1, { kind: "approve", by: "wang" }, NOW_MS);
}

async function look(rollouts: RolloutStore) {
  const { rollout } = (await rollouts.rollout(1))!;
  const targets = await rollouts.targets({ rolloutId: 1, afterActionId: 0, limit: 9 });
  const audit = await rollouts.rolloutAudit(1);
  return {
    status: rollout.status.at,
    counts: rollout.counts[0]!,
    states: targets.map(({ state }) => state),
    audit: audit.map(({ what }) => what),
  };
}

async function fails(rollouts: RolloutStore, ...gates: string[]): Promise<void> {
  for (const gate of gates) {
    const { actionId } = (await rollouts.offer(gate, NOW_MS))!;
    await rollouts.report(gate, actionId, { kind: "failed", reason: "x" }, NOW_MS);
  }
}

const CASES: readonly {
  readonly name: string;
  readonly call: Call;
  readonly before: (rollouts: RolloutStore) => Promise<unknown>;
  /** What the call answers when it was done before. */
  readonly again: RegExp;
}[] = [
  {
    name: "an offer",
    call: ["offer", "gate-1"],
    before: () => Promise.resolve(),
    again: /"actionId":1/,
  },
  {
    name: "an installation",
    call: ["installed", "gate-1", "1"],
    before: (rollouts) => rollouts.offer("gate-1", NOW_MS),
    again: /"same"/,
  },
  {
    name: "the failure that stops it",
    call: ["failed", "gate-2", "2"],
    before: async (rollouts) => {
      await fails(rollouts, "gate-1");
      await rollouts.offer("gate-2", NOW_MS);
    },
    again: /"same"/,
  },
  {
    name: "a resumption",
    call: ["resume", "1"],
    before: (rollouts) => fails(rollouts, "gate-1", "gate-2"),
    again: /it is not paused/,
  },
  {
    name: "an abort",
    call: ["abort", "1"],
    before: (rollouts) => fails(rollouts, "gate-1"),
    again: /it is over/,
  },
];

for (const { name, call, before, again } of CASES) {
  Deno.test(`${name} that is killed after each statement is whole or nothing`, async () => {
    let kills = 0;
    let wholes = 0;
    for (let n = 1; n <= STATEMENTS_MAX; n++) {
      const dataDir = await Deno.makeTempDir({ prefix: "rollout-statement-" });
      try {
        const first = await withStore(dataDir, async (rollouts) => {
          await begin(rollouts);
          await before(rollouts);
          return await look(rollouts);
        });
        const lived = await child(dataDir, n, call);
        const killed = await withStore(dataDir, look);
        const said = await child(dataDir, 0, call);
        const whole = await withStore(dataDir, look);
        assert.notDeepEqual(whole, first);
        const isWhole = killed.states.join() === whole.states.join() &&
          killed.status === whole.status;
        assert.deepEqual(killed, isWhole ? whole : first, `after statement ${n}`);
        if (isWhole) assert.match(said!, again);
        else assert.doesNotMatch(said!, /same|not paused|over/);
        const count = (state: string) => whole.states.filter((each) => each === state).length;
        assert.deepEqual(whole.counts, { installed: count("installed"), failed: count("failed") });
        if (lived !== undefined) break;
        kills++;
        if (isWhole) wholes++;
      } finally {
        await Deno.remove(dataDir, { recursive: true });
      }
    }
    // Nothing before the commit counts, everything after it.
    assert.ok(kills >= 3 && kills < STATEMENTS_MAX, `${kills} kills`);
    assert.equal(wholes, 1, "only the kill after the commit finds it done");
    console.log(`${name}: killed after each of ${kills} statements`);
  });
}
