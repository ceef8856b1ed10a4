import assert from "node:assert/strict";
import { join } from "node:path";
import { VirtualClock } from "../../hal/sim/mod.ts";
import { type BoxHealth, HealthGate } from "./health_gate.ts";

const NEW = "f".repeat(64);
const never = new AbortController().signal;
const WELL: BoxHealth = {
  slot: "",
  alive: true,
  journalWritable: true,
  journalEpoch: 3,
  districtConnected: true,
  config: { bundle: "" },
  policy: { settings: "", bundle: "" },
  policyVersion: 7,
  rssBytes: 100e6,
  doors: [{ id: "main", busy: false, alarm: false }],
  readers: [{ id: "in", online: true }, { id: "out", online: false }],
};

/** A gate whose box says what `said` holds. */
async function rig(mayDrop = false) {
  const dir = await Deno.makeTempDir({ prefix: "health-gate-" });
  const clock = new VirtualClock();
  const at = {
    said: WELL as BoxHealth | undefined,
    freeBytes: 1e9,
    givenUp: false,
    clock,
    file: join(dir, "before.json"),
    gate: undefined as unknown as HealthGate,
    /** Notes the state as it is, then lets the new release say `changes` until the gate has decided. */
    async judge(changes: Partial<BoxHealth> | undefined): Promise<string | undefined> {
      await clear(at);
      at.said = changes && { ...WELL, slot: NEW, ...changes };
      let verdict: string | undefined | null = null;
      void at.gate.watch(NEW, () => at.givenUp, never).then((said) => verdict = said);
      for (let s = 0; s < 400 && verdict === null; s++) await clock.advance(1_000);
      assert.notEqual(verdict, null, "the gate never decides");
      return verdict!;
    },
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
  at.gate = new HealthGate({
    probe: () => Promise.resolve(at.said),
    freeBytes: () => Promise.resolve(at.freeBytes),
    file: at.file,
    clock,
    mayDrop,
  });
  return at;
}

async function clear(at: { gate: HealthGate; clock: VirtualClock }): Promise<void> {
  const cleared = at.gate.clear(() => true, never);
  await at.clock.advance(2_000);
  await cleared;
}

Deno.test("a door or reader that a configuration took out is not missed, one that is silent is", async () => {
  const judge = async (changes: Partial<BoxHealth>) => {
    await using at = await rig(true);
    return await at.judge(changes) ?? "well";
  };
  assert.equal(await judge({ doors: [], readers: [] }), "well");
  assert.match(await judge({ readers: [{ id: "in", online: false }] }), /reader in was/);
  assert.match(await judge({ districtConnected: false }), /district/);
});

Deno.test("what is as well as before stays, also where not all was well before", async () => {
  await using at = await rig();
  assert.equal(await at.judge({}), undefined);
  assert.equal(
    await at.judge({ readers: [{ id: "in", online: true }], rssBytes: 220e6 }),
    undefined,
  );
});

const WORSE: readonly (readonly [Partial<BoxHealth> | undefined, RegExp])[] = [
  [undefined, /does not answer/],
  [{ slot: "" }, /does not stay up/],
  [{ alive: false }, /door loop/],
  [{ journalWritable: false }, /cannot be written/],
  [{ journalEpoch: 4 }, /spoilt the journal/],
  [{ doors: [] }, /door main/],
  [{ readers: [{ id: "in", online: false }] }, /reader in was online/],
  [{ policyVersion: 0 }, /policy 7/],
  [{ districtConnected: false }, /the district was reached/],
  [{ rssBytes: 300e6 }, /300 MB of memory/],
];
for (const [changes, said] of WORSE) {
  Deno.test(`worse than before: ${said.source}`, async () => {
    await using at = await rig();
    assert.match(await at.judge(changes) ?? "it may stay", said);
    // A release that has used its starts up need not be waited for.
    at.said = WELL;
    at.givenUp = true;
    const sinceMs = at.clock.monotonicMs();
    assert.match(await at.judge(changes) ?? "it may stay", /all its starts are used up/);
    assert.ok(at.clock.monotonicMs() - sinceMs < 10_000);
  });
}

Deno.test("a disk that fills up is noticed", async () => {
  await using at = await rig();
  await clear(at);
  at.freeBytes = 1e6;
  at.said = { ...WELL, slot: NEW };
  const verdict = at.gate.watch(NEW, () => false, never);
  await at.clock.advance(200_000);
  assert.match(await verdict ?? "it may stay", /filled the disk: 1 MB/);
});

Deno.test("it has to stay well: a release that falls ill in its first minute goes back", async () => {
  await using at = await rig();
  await clear(at);
  at.said = { ...WELL, slot: NEW };
  const verdict = at.gate.watch(NEW, () => false, never);
  await at.clock.advance(50_000);
  at.said = { ...WELL, slot: NEW, readers: [] };
  await at.clock.advance(300_000);
  assert.match(await verdict ?? "it may stay", /reader in/);
});

Deno.test("one that is well and ill by turns does not hold the gate up for ever", async () => {
  await using at = await rig();
  await clear(at);
  const verdict = at.gate.watch(NEW, () => false, never);
  for (let s = 0; s < 300; s++) {
    at.said = { ...WELL, slot: NEW, alive: s % 20 !== 0 };
    await at.clock.advance(1_000);
  }
  assert.match(await verdict ?? "it may stay", /door loop|stay well/);
});

Deno.test("no switch with a door in use, in alarm or outside the window; a silent box is not waited for", async () => {
  await using at = await rig();
  let open = false;
  let cleared = false;
  void at.gate.clear(() => open, never).then(() => cleared = true);
  await at.clock.advance(5_000);
  assert.equal(cleared, false, "the window is shut");
  at.said = { ...WELL, doors: [{ id: "main", busy: false, alarm: true }] };
  open = true;
  await at.clock.advance(5_000);
  assert.equal(cleared, false, "a door is in alarm");
  at.said = { ...WELL, doors: [{ id: "main", busy: true, alarm: false }] };
  await at.clock.advance(3_600_000);
  assert.equal(cleared, false, "somebody goes through");
  at.said = undefined;
  await at.clock.advance(300_000);
  assert.equal(cleared, false, "it may be starting");
  await at.clock.advance(400_000);
  assert.equal(cleared, true);
});

Deno.test("a note that is gone or spoilt asks for a box that answers, and no more", async () => {
  await using at = await rig();
  for (const text of ["", "{", '{"readers":5}', "x".repeat(100_000)]) {
    await clear(at);
    await Deno.writeTextFile(at.file, text);
    at.said = { ...WELL, slot: NEW, readers: [], policyVersion: 0 };
    const verdict = at.gate.watch(NEW, () => false, never);
    await at.clock.advance(100_000);
    assert.equal(await verdict, undefined);
    at.said = WELL;
  }
});
