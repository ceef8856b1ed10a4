import assert from "node:assert/strict";
import { processClock } from "../hal/linux/mod.ts";
import {
  command,
  EXPIRED_CERTIFICATE,
  FakeDistrict,
  fill,
  MemoryJournal,
  results,
  type Rig,
  skewed,
  syncRig,
  until,
} from "./testing/mod.ts";
import { SigningKey } from "./wire/mod.ts";

const clock = processClock();
const forever = new AbortController().signal;
const linked = (r: Rig) => until(clock, "linked", () => r.sync.state().link === "connected");

for (const [year, errorMs] of [["1970", -clock.wallMs()], ["2099", 73 * 365 * 864e5]] as const) {
  Deno.test(`a box whose clock says ${year} uploads, links and obeys`, async () => {
    await using r = syncRig(clock, { clock: skewed(clock, errorMs) });
    await fill(r.journal, 10);
    await linked(r);
    await until(clock, "drained", () => r.sync.state().backlogEvents === 0);
    r.district.send(command(r, "open"));
    r.district.send(command(r, "late", { issued: -20_000, expires: -1 }));
    await until(clock, "results", () => Object.keys(results(r)).length === 2);
    assert.deepEqual(results(r), { open: "done", late: "expired" });
    assert.deepEqual(r.executed, ["open"]);
    assert.ok(Math.abs(r.times.at(-1)! - clock.wallMs()) < 3_000, "district's time");
    assert.ok(Math.abs(r.sync.state().clockErrorMs! - errorMs) < 3_000, "clock's error");
    // Neither clock may make the journal forget the command while it could be replayed.
    assert.ok(r.journal.seen.get("open")! >= clock.wallMs());
    assert.ok(r.journal.seen.get("open")! >= clock.wallMs() + errorMs);
  });
}

Deno.test("where TLS fails at the box's date, the district's signed time is learned all the same", async () => {
  // To this machine's clock the certificate is out of date, as a good one is to a box in 2099.
  const district = new FakeDistrict(clock, EXPIRED_CERTIFICATE);
  await using r = syncRig(clock, { district, clock: skewed(clock, -86_400_000) });
  await fill(r.journal, 3);
  await until(clock, "time", () => r.times.length > 0);
  assert.ok(Math.abs(r.times[0]! - clock.wallMs()) < 3_000);
  await until(clock, "fault", () => r.sync.state().fault?.kind === "tls-clock");
  assert.match(r.sync.state().fault!.message, /date and time/);
  assert.ok(Math.abs(r.sync.state().clockErrorMs! + 86_400_000) < 3_000);
  // Events go only where the certificate holds.
  assert.equal(r.sync.state().backlogEvents, 3);
  assert.equal(district.seq(r.identity.boxId, "access"), 0);
});

Deno.test("nobody but the district sets the time", async () => {
  const district = new FakeDistrict(clock, EXPIRED_CERTIFICATE);
  district.faults.wrongKey = true;
  await using r = syncRig(clock, { district, clock: skewed(clock, -86_400_000) });
  await fill(r.journal, 3);
  await until(clock, "fault", () => r.sync.state().fault?.kind === "tls-clock");
  assert.deepEqual(r.times, []);
  assert.equal(r.sync.state().clockErrorMs, undefined);
});

Deno.test("commands: once, in time, for this box, and signed", async () => {
  await using r = syncRig(clock);
  await linked(r);
  const once = r.district.send(command(r, "once"));
  r.district.sendRaw(once);
  r.district.send(command(r, "late", { issued: -60_000, expires: -10 }));
  r.district.send(command(r, "long", { issued: 0, expires: 25 * 3600_000 }));
  r.district.send({ ...command(r, "foreign"), boxId: `bx-${"0".repeat(20)}` });
  r.district.send(command(r, "forged"), SigningKey.generate());
  r.district.sendRaw(new Uint8Array([0xff, 0x00]));
  r.district.send(command(r, "last"));
  await until(clock, "last", () => "last" in results(r));
  assert.deepEqual(r.executed, ["once", "last"]);
  assert.deepEqual(results(r), { once: "done", late: "expired", long: "refused", last: "done" });
  const { counters } = r.sync.state();
  assert.equal(counters.commandsExecuted, 2);
  assert.equal(counters.commandsExpired, 1);
  // replayed, foreign, forged, random
  assert.equal(counters.messagesIgnored, 4);
});

Deno.test("a command that was noted before a restart is not done again", async () => {
  const district = new FakeDistrict(clock);
  const journal = new MemoryJournal(clock);
  await journal.firstSeen("open", clock.wallMs() + 10_000);
  await using r = syncRig(clock, { district, journal });
  await linked(r);
  r.district.send(command(r, "open"));
  r.district.send(command(r, "other"));
  await until(clock, "other", () => "other" in results(r));
  assert.deepEqual(r.executed, ["other"]);
});

Deno.test("a command that fails is recorded with its reason", async () => {
  await using r = syncRig(clock, {
    overrides: {
      execute: () => {
        throw new Error("relay stuck");
      },
    },
  });
  await linked(r);
  r.district.send(command(r, "open"));
  await until(clock, "result", () => "open" in results(r));
  const { event } = r.district.events.find(({ event }) => event.kind === "command.result")!;
  assert.deepEqual(event, {
    kind: "command.result",
    id: "open",
    outcome: "failed",
    detail: "relay stuck",
  });
});

Deno.test("fetches the policy that hello names, then the one announced", async () => {
  const district = new FakeDistrict(clock);
  district.policy = { kind: "policy", version: 3, document: new Uint8Array([1]) };
  await using r = syncRig(clock, { district });
  await until(clock, "first", () => r.applied.at(-1) === 3);
  district.policy = { kind: "policy", version: 7, document: new Uint8Array([2]) };
  district.send({ kind: "policy.available", boxId: r.identity.boxId, version: 7 });
  await until(clock, "second", () => r.applied.at(-1) === 7);
  assert.deepEqual(r.applied, [3, 7]);
});

Deno.test("status goes up at once and after changes", async () => {
  await using r = syncRig(clock);
  await until(clock, "first", () => r.district.statuses.length === 1);
  r.statusChanged();
  r.statusChanged();
  await until(clock, "second", () => r.district.statuses.length === 2);
  await clock.sleep(150, forever);
  assert.equal(r.district.statuses.length, 2);
});
