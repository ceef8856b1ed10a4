import assert from "node:assert/strict";
import { processClock } from "../hal/linux/mod.ts";
import { startSync } from "./mod.ts";
import {
  assertComplete,
  FakeDistrict,
  fill,
  MemoryJournal,
  type Rig,
  SILENT_LOG,
  syncRig,
  until,
} from "./testing/mod.ts";
import { LANES } from "./wire/mod.ts";

const clock = processClock();
const forever = new AbortController().signal;
const linked = (r: Rig) => until(clock, "linked", () => r.sync.state().link === "connected");

Deno.test("uploads what is there and what comes, once each", async () => {
  await using r = syncRig(clock);
  await fill(r.journal, 3_000);
  await r.journal.append({ kind: "box.started", version: "1" });
  await until(clock, "drained", () => r.sync.state().backlogEvents === 0);
  await r.journal.append({ kind: "door.forced", door: "main" });
  await until(clock, "alarm drained", () => r.sync.state().backlogEvents === 0);
  assertComplete(r);
  assert.equal(r.sync.state().counters.eventsAcknowledged, 3_002);
  assert.ok(Math.abs(r.sync.state().lastAckWallMs! - clock.wallMs()) < 5_000);
});

Deno.test("exactly once while half of all answers are lost after the commit", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  let state = seed;
  const random = () => (state = (state * 48271 + 11) % 2147483647) / 2147483647;
  await using r = syncRig(clock, { overrides: { random: () => 0.01 } });
  r.district.faults.loseAnswer = () => random() < 0.5;
  for (let round = 0; round < 20; round++) {
    await fill(r.journal, 100);
    await clock.sleep(5, forever);
  }
  await until(clock, "drained", () => r.sync.state().backlogEvents === 0, 10_000);
  assertComplete(r);
  assert.ok(r.sync.state().counters.uploadFailures > 0);
});

Deno.test("a fresh alarm waits for no backlog", async () => {
  await using r = syncRig(clock);
  r.district.faults.delayMs = 400;
  await fill(r.journal, 20_000);
  await until(clock, "bulk in flight", () => r.district.uploads > 0);
  const atMs = clock.monotonicMs();
  await r.journal.append({ kind: "door.forced", door: "main" });
  await until(clock, "alarm arrived", () => r.district.seq(r.identity.boxId, "alarm") === 1);
  const tookMs = clock.monotonicMs() - atMs;
  assert.ok(r.district.seq(r.identity.boxId, "access") < 20_000, "the backlog was too short");
  assert.ok(tookMs < 300, `${tookMs} ms`);
});

Deno.test("an answer that the district did not sign moves nothing", async () => {
  await using r = syncRig(clock);
  r.district.faults.wrongKey = true;
  await fill(r.journal, 10);
  await until(clock, "fault", () => r.sync.state().fault?.kind === "unsigned");
  assert.equal(r.sync.state().backlogEvents, 10);
  assert.notEqual(r.sync.state().link, "connected");
  r.district.faults.wrongKey = false;
  await until(clock, "drained", () => r.sync.state().backlogEvents === 0);
  assertComplete(r);
});

Deno.test("a proxy's error page is told from the district's own", async () => {
  await using r = syncRig(clock);
  r.district.faults.intercept = () => new Response("<h1>Blocked</h1>", { status: 403 });
  await fill(r.journal, 1);
  await until(clock, "fault", () => r.sync.state().fault?.kind === "unsigned");
  assert.match(r.sync.state().fault!.message, /proxy/);
  assert.equal(r.sync.state().backlogEvents, 1);
});

Deno.test("comes back after the link is cut and after the district was gone", async () => {
  const first = new FakeDistrict(clock);
  const port = Number(new URL(first.url).port);
  await using r = syncRig(clock, { district: first, overrides: { random: () => 0.02 } });
  await linked(r);
  first.cutLinks();
  await until(clock, "gone", () => r.sync.state().link !== "connected");
  await linked(r);
  assert.equal(r.sync.state().counters.linksOpened, 2);
  await first[Symbol.asyncDispose]();
  await fill(r.journal, 100);
  await until(clock, "fault", () => r.sync.state().fault?.kind === "unreachable");
  assert.match(r.sync.state().fault!.message, /check the network/);
  await using second = new FakeDistrict(clock, undefined, port);
  second.admit(r.identity.key.publicKey);
  // It has another key: that is not the district this box knows.
  await until(clock, "unsigned", () => r.sync.state().fault?.kind === "unsigned", 10_000);
  assert.equal(r.sync.state().backlogEvents, 100);
});

Deno.test("stops for good when the district has withdrawn the box", async () => {
  await using r = syncRig(clock);
  await linked(r);
  r.district.faults.refuse = { status: 403, error: "revoked" };
  await fill(r.journal, 1);
  await until(clock, "stopped", () => r.sync.state().link === "stopped");
  assert.equal(r.sync.state().fault?.kind, "revoked");
  assert.match(r.sync.state().fault!.message, /enrol/);
  const { uploads } = r.district;
  await clock.sleep(100, forever);
  assert.equal(r.district.uploads, uploads);
});

Deno.test("honours Retry-After", async () => {
  await using r = syncRig(clock, { overrides: { random: () => 0 } });
  await linked(r);
  r.district.faults.refuse = { status: 503, error: "busy", retryAfterS: 1 };
  let asked = 0;
  r.district.faults.intercept = () => {
    asked++;
    return undefined;
  };
  await fill(r.journal, 1);
  await until(clock, "refused", () => r.sync.state().fault?.kind === "refused");
  delete r.district.faults.refuse;
  await clock.sleep(500, forever);
  assert.equal(asked, 1);
  await until(clock, "drained", () => r.sync.state().backlogEvents === 0);
});

Deno.test("goes back to where a restored district is", async () => {
  await using r = syncRig(clock);
  await fill(r.journal, 50);
  await until(clock, "drained", () => r.sync.state().backlogEvents === 0);
  const at20 = await r.journal.read("access", 20, { eventsMax: 1, bytesMax: 1000 });
  r.district.rewind(r.identity.boxId, "access", 20, at20!.prevHash);
  await fill(r.journal, 5);
  await until(clock, "drained", () => r.district.seq(r.identity.boxId, "access") === 55);
  assertComplete(r);
});

Deno.test("says so when events were given up by the lane's policy, and goes on", async () => {
  const journal = new MemoryJournal(clock);
  for (let i = 0; i < 30; i++) {
    await journal.append({ kind: "input.changed", input: "x", active: i % 2 === 0 });
  }
  journal.drop("telemetry", 12);
  await using r = syncRig(clock, { journal });
  await until(clock, "drained", () => r.sync.state().backlogEvents === 0);
  assert.deepEqual(
    r.district.events.map(({ seq }) => seq),
    Array.from({ length: 18 }, (_, i) => i + 13),
  );
  assert.deepEqual(r.sync.state().lanesRefused, []);
});

Deno.test("a lane whose history was changed is reported, not hammered; others go on", async () => {
  await using r = syncRig(clock);
  await fill(r.journal, 10);
  await until(clock, "drained", () => r.sync.state().backlogEvents === 0);
  r.district.rewind(r.identity.boxId, "access", 10, new Uint8Array(32).fill(7));
  await fill(r.journal, 1);
  await until(clock, "refused", () => r.sync.state().lanesRefused.length === 1);
  assert.equal(r.sync.state().lanesRefused[0]!.lane, "access");
  const { uploads } = r.district;
  await r.journal.append({ kind: "box.started", version: "1" });
  await until(clock, "telemetry", () => r.district.seq(r.identity.boxId, "telemetry") === 1);
  await clock.sleep(50, forever);
  assert.equal(r.district.uploads, uploads + 1);
});

Deno.test("goes on in a new epoch after the store was replaced", async () => {
  await using r = syncRig(clock);
  await fill(r.journal, 10);
  await until(clock, "drained", () => r.sync.state().backlogEvents === 0);
  r.journal.replace();
  await fill(r.journal, 4);
  await until(clock, "drained", () => r.district.seq(r.identity.boxId, "access") === 4);
  assert.deepEqual(
    r.district.events.map(({ epoch, seq }) => `${epoch}/${seq}`).slice(-5),
    ["1/10", "2/1", "2/2", "2/3", "2/4"],
  );
});

Deno.test("repeats of what the district holds are taken as done", async () => {
  await using r = syncRig(clock);
  await fill(r.journal, 500);
  await until(clock, "drained", () => r.sync.state().backlogEvents === 0);
  await r.sync[Symbol.asyncDispose]();
  // The box lost its note of the acknowledgements: a power cut.
  r.journal.forgetSynced();
  const again = startSync({
    identity: r.identity,
    journal: r.journal,
    clock,
    log: SILENT_LOG,
    status: r.status,
    onStatusChange: () => () => {},
    policyVersion: () => 0,
    applyPolicy: () => Promise.resolve(),
    execute: () => ({ outcome: "done" }),
  }, forever);
  await until(clock, "drained", () => again.state().backlogEvents === 0);
  await again[Symbol.asyncDispose]();
  assertComplete(r);
});

Deno.test("lanes are those of the wire", () => {
  assert.deepEqual(new MemoryJournal(clock).state().lanes.map(({ lane }) => lane), [...LANES]);
});
