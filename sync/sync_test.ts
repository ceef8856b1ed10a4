import assert from "node:assert/strict";
import { processClock } from "../hal/linux/mod.ts";
import type { Clock } from "../hal/mod.ts";
import { type BoxIdentity, startSync, type SyncHandle, type SyncOptions } from "./mod.ts";
import { EXPIRED_CERTIFICATE, FakeDistrict, MemoryJournal, TEST_CA_PEM } from "./testing/mod.ts";
import { boxIdOf, type BoxStatus, type CommandMessage, LANES, SigningKey } from "./wire/mod.ts";

const clock = processClock();
const forever = new AbortController().signal;

/** The same clock, its wall time off by so much. */
function skewed(errorMs: number): Clock {
  return {
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs() + errorMs,
    wallQuality: () => "unsynchronised",
    sleep: (ms, signal) => clock.sleep(ms, signal),
    schedule: (ms, callback) => clock.schedule(ms, callback),
  };
}

async function until(what: string, holds: () => boolean, withinMs = 5_000): Promise<void> {
  const end = clock.monotonicMs() + withinMs;
  while (!holds()) {
    if (clock.monotonicMs() > end) assert.fail(`not within ${withinMs} ms: ${what}`);
    await clock.sleep(5, forever);
  }
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };

interface Rig extends AsyncDisposable {
  readonly district: FakeDistrict;
  readonly journal: MemoryJournal;
  readonly identity: BoxIdentity;
  readonly sync: SyncHandle;
  readonly executed: string[];
  readonly applied: number[];
  readonly times: number[];
  statusChanged(): void;
}

function rig(
  options: {
    readonly clock?: Clock;
    readonly district?: FakeDistrict;
    readonly journal?: MemoryJournal;
    readonly overrides?: Partial<SyncOptions>;
  } = {},
): Rig {
  const boxClock = options.clock ?? clock;
  const district = options.district ?? new FakeDistrict(clock);
  const journal = options.journal ?? new MemoryJournal(boxClock);
  const key = SigningKey.generate();
  district.admit(key.publicKey);
  const identity: BoxIdentity = {
    boxId: boxIdOf(key.publicKey),
    key,
    url: district.url,
    districtName: "Test",
    districtKey: district.key.publicKey,
    caPem: TEST_CA_PEM,
  };
  const executed: string[] = [];
  const applied: number[] = [];
  const times: number[] = [];
  const listeners = new Set<() => void>();
  const status = (): BoxStatus => ({
    kind: "status",
    name: "east-gate",
    version: "0.1.0",
    policyVersion: applied.at(-1) ?? 0,
    doors: [],
    readers: [],
    backlogEvents: 0,
    rssBytes: 1,
    uptimeMs: 1,
  });
  const sync = startSync({
    identity,
    journal,
    clock: boxClock,
    log: silent,
    status,
    onStatusChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    policyVersion: () => applied.at(-1) ?? 0,
    applyPolicy: ({ version }) => {
      applied.push(version);
      return Promise.resolve();
    },
    execute: (command) => {
      executed.push(command.door);
      return { outcome: "done" };
    },
    onDistrictTime: (ms) => times.push(ms),
    ...options.overrides,
  }, forever);
  return {
    district,
    journal,
    identity,
    sync,
    executed,
    applied,
    times,
    statusChanged: () => {
      for (const listener of listeners) listener();
    },
    async [Symbol.asyncDispose]() {
      await sync[Symbol.asyncDispose]();
      await district[Symbol.asyncDispose]();
    },
  };
}

function fill(journal: MemoryJournal, events: number): Promise<unknown> {
  return Promise.all(
    Array.from({ length: events }, (_, i) =>
      journal.append({
        kind: "access.granted",
        door: "main",
        reader: "in",
        credential: i + 1,
        cardholder: i + 1,
      })),
  );
}

/** Every lane at the district holds exactly 1…head, each once. */
function assertComplete({ district, journal }: Rig): void {
  for (const { lane, head } of journal.state().lanes) {
    const seqs = district.events.filter((event) => event.lane === lane).map((event) => event.seq);
    assert.deepEqual(seqs, Array.from({ length: head }, (_, i) => i + 1), `lane ${lane}`);
  }
}

function command(r: Rig, id: string, life = { issued: 0, expires: 10_000 }): CommandMessage {
  return {
    kind: "command",
    boxId: r.identity.boxId,
    id,
    issuedWallMs: r.district.nowMs() + life.issued,
    expiresWallMs: r.district.nowMs() + life.expires,
    command: { name: "door.open", door: id },
  };
}

function results(r: Rig): Record<string, string> {
  return Object.fromEntries(
    r.district.events.flatMap(({ event }) =>
      event.kind === "command.result" ? [[event.id, event.outcome]] : []
    ),
  );
}

const linked = (r: Rig) => until("linked", () => r.sync.state().link === "connected");

Deno.test("uploads what is there and what comes, once each", async () => {
  await using r = rig();
  await fill(r.journal, 3_000);
  await r.journal.append({ kind: "box.started", version: "1" });
  await until("drained", () => r.sync.state().backlogEvents === 0);
  await r.journal.append({ kind: "door.forced", door: "main" });
  await until("alarm drained", () => r.sync.state().backlogEvents === 0);
  assertComplete(r);
  assert.equal(r.sync.state().counters.eventsAcknowledged, 3_002);
  assert.ok(Math.abs(r.sync.state().lastAckWallMs! - clock.wallMs()) < 5_000);
});

Deno.test("exactly once while half of all answers are lost after the commit", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  let state = seed;
  const random = () => (state = (state * 48271 + 11) % 2147483647) / 2147483647;
  await using r = rig({ overrides: { random: () => 0.01 } });
  r.district.faults.loseAnswer = () => random() < 0.5;
  for (let round = 0; round < 20; round++) {
    await fill(r.journal, 100);
    await clock.sleep(5, forever);
  }
  await until("drained", () => r.sync.state().backlogEvents === 0, 10_000);
  assertComplete(r);
  assert.ok(r.sync.state().counters.uploadFailures > 0);
});

Deno.test("a fresh alarm waits for no backlog", async () => {
  await using r = rig();
  r.district.faults.delayMs = 400;
  await fill(r.journal, 20_000);
  await until("bulk in flight", () => r.district.uploads > 0);
  const atMs = clock.monotonicMs();
  await r.journal.append({ kind: "door.forced", door: "main" });
  await until("alarm arrived", () => r.district.seq(r.identity.boxId, "alarm") === 1);
  const tookMs = clock.monotonicMs() - atMs;
  assert.ok(r.district.seq(r.identity.boxId, "access") < 20_000, "the backlog was too short");
  assert.ok(tookMs < 300, `${tookMs} ms`);
});

Deno.test("an answer that the district did not sign moves nothing", async () => {
  await using r = rig();
  r.district.faults.wrongKey = true;
  await fill(r.journal, 10);
  await until("fault", () => r.sync.state().fault?.kind === "unsigned");
  assert.equal(r.sync.state().backlogEvents, 10);
  assert.notEqual(r.sync.state().link, "connected");
  r.district.faults.wrongKey = false;
  await until("drained", () => r.sync.state().backlogEvents === 0);
  assertComplete(r);
});

Deno.test("a proxy's error page is told from the district's own", async () => {
  await using r = rig();
  r.district.faults.intercept = () => new Response("<h1>Blocked</h1>", { status: 403 });
  await fill(r.journal, 1);
  await until("fault", () => r.sync.state().fault?.kind === "unsigned");
  assert.match(r.sync.state().fault!.message, /proxy/);
  assert.equal(r.sync.state().backlogEvents, 1);
});

for (const [year, errorMs] of [["1970", -clock.wallMs()], ["2099", 73 * 365 * 864e5]] as const) {
  Deno.test(`a box whose clock says ${year} uploads, links and obeys`, async () => {
    await using r = rig({ clock: skewed(errorMs) });
    await fill(r.journal, 10);
    await linked(r);
    await until("drained", () => r.sync.state().backlogEvents === 0);
    r.district.send(command(r, "open"));
    r.district.send(command(r, "late", { issued: -20_000, expires: -1 }));
    await until("results", () => Object.keys(results(r)).length === 2);
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
  await using r = rig({ district, clock: skewed(-86_400_000) });
  await fill(r.journal, 3);
  await until("time", () => r.times.length > 0);
  assert.ok(Math.abs(r.times[0]! - clock.wallMs()) < 3_000);
  await until("fault", () => r.sync.state().fault?.kind === "tls-clock");
  assert.match(r.sync.state().fault!.message, /date and time/);
  assert.ok(Math.abs(r.sync.state().clockErrorMs! + 86_400_000) < 3_000);
  // Events go only where the certificate holds.
  assert.equal(r.sync.state().backlogEvents, 3);
  assert.equal(district.seq(r.identity.boxId, "access"), 0);
});

Deno.test("nobody but the district sets the time", async () => {
  const district = new FakeDistrict(clock, EXPIRED_CERTIFICATE);
  district.faults.wrongKey = true;
  await using r = rig({ district, clock: skewed(-86_400_000) });
  await fill(r.journal, 3);
  await until("fault", () => r.sync.state().fault?.kind === "tls-clock");
  assert.deepEqual(r.times, []);
  assert.equal(r.sync.state().clockErrorMs, undefined);
});

Deno.test("commands: once, in time, for this box, and signed", async () => {
  await using r = rig();
  await linked(r);
  const once = r.district.send(command(r, "once"));
  r.district.sendRaw(once);
  r.district.send(command(r, "late", { issued: -60_000, expires: -10 }));
  r.district.send(command(r, "long", { issued: 0, expires: 25 * 3600_000 }));
  r.district.send({ ...command(r, "foreign"), boxId: `bx-${"0".repeat(20)}` });
  r.district.send(command(r, "forged"), SigningKey.generate());
  r.district.sendRaw(new Uint8Array([0xff, 0x00]));
  r.district.send(command(r, "last"));
  await until("last", () => "last" in results(r));
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
  await using r = rig({ district, journal });
  await linked(r);
  r.district.send(command(r, "open"));
  r.district.send(command(r, "other"));
  await until("other", () => "other" in results(r));
  assert.deepEqual(r.executed, ["other"]);
});

Deno.test("a command that fails is recorded with its reason", async () => {
  await using r = rig({
    overrides: {
      execute: () => {
        throw new Error("relay stuck");
      },
    },
  });
  await linked(r);
  r.district.send(command(r, "open"));
  await until("result", () => "open" in results(r));
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
  await using r = rig({ district });
  await until("first", () => r.applied.at(-1) === 3);
  district.policy = { kind: "policy", version: 7, document: new Uint8Array([2]) };
  district.send({ kind: "policy.available", boxId: r.identity.boxId, version: 7 });
  await until("second", () => r.applied.at(-1) === 7);
  assert.deepEqual(r.applied, [3, 7]);
});

Deno.test("status goes up at once and after changes", async () => {
  await using r = rig();
  await until("first", () => r.district.statuses.length === 1);
  r.statusChanged();
  r.statusChanged();
  await until("second", () => r.district.statuses.length === 2);
  await clock.sleep(150, forever);
  assert.equal(r.district.statuses.length, 2);
});

Deno.test("comes back after the link is cut and after the district was gone", async () => {
  const first = new FakeDistrict(clock);
  const port = Number(new URL(first.url).port);
  await using r = rig({ district: first, overrides: { random: () => 0.02 } });
  await linked(r);
  first.cutLinks();
  await until("gone", () => r.sync.state().link !== "connected");
  await linked(r);
  assert.equal(r.sync.state().counters.linksOpened, 2);
  await first[Symbol.asyncDispose]();
  await fill(r.journal, 100);
  await until("fault", () => r.sync.state().fault?.kind === "unreachable");
  assert.match(r.sync.state().fault!.message, /check the network/);
  await using second = new FakeDistrict(clock, undefined, port);
  second.admit(r.identity.key.publicKey);
  // It has another key: that is not the district this box knows.
  await until("unsigned", () => r.sync.state().fault?.kind === "unsigned", 10_000);
  assert.equal(r.sync.state().backlogEvents, 100);
});

Deno.test("stops for good when the district has withdrawn the box", async () => {
  await using r = rig();
  await linked(r);
  r.district.faults.refuse = { status: 403, error: "revoked" };
  await fill(r.journal, 1);
  await until("stopped", () => r.sync.state().link === "stopped");
  assert.equal(r.sync.state().fault?.kind, "revoked");
  assert.match(r.sync.state().fault!.message, /enrol/);
  const { uploads } = r.district;
  await clock.sleep(100, forever);
  assert.equal(r.district.uploads, uploads);
});

Deno.test("honours Retry-After", async () => {
  await using r = rig({ overrides: { random: () => 0 } });
  await linked(r);
  r.district.faults.refuse = { status: 503, error: "busy", retryAfterS: 1 };
  let asked = 0;
  r.district.faults.intercept = () => {
    asked++;
    return undefined;
  };
  await fill(r.journal, 1);
  await until("refused", () => r.sync.state().fault?.kind === "refused");
  delete r.district.faults.refuse;
  await clock.sleep(500, forever);
  assert.equal(asked, 1);
  await until("drained", () => r.sync.state().backlogEvents === 0);
});

Deno.test("goes back to where a restored district is", async () => {
  await using r = rig();
  await fill(r.journal, 50);
  await until("drained", () => r.sync.state().backlogEvents === 0);
  const at20 = await r.journal.read("access", 20, { eventsMax: 1, bytesMax: 1000 });
  r.district.rewind(r.identity.boxId, "access", 20, at20!.prevHash);
  await fill(r.journal, 5);
  await until("drained", () => r.district.seq(r.identity.boxId, "access") === 55);
  assertComplete(r);
});

Deno.test("says so when events were given up by the lane's policy, and goes on", async () => {
  const journal = new MemoryJournal(clock);
  for (let i = 0; i < 30; i++) {
    await journal.append({ kind: "input.changed", input: "x", active: i % 2 === 0 });
  }
  journal.drop("telemetry", 12);
  await using r = rig({ journal });
  await until("drained", () => r.sync.state().backlogEvents === 0);
  assert.deepEqual(
    r.district.events.map(({ seq }) => seq),
    Array.from({ length: 18 }, (_, i) => i + 13),
  );
  assert.deepEqual(r.sync.state().lanesRefused, []);
});

Deno.test("a lane whose history was changed is reported, not hammered; others go on", async () => {
  await using r = rig();
  await fill(r.journal, 10);
  await until("drained", () => r.sync.state().backlogEvents === 0);
  r.district.rewind(r.identity.boxId, "access", 10, new Uint8Array(32).fill(7));
  await fill(r.journal, 1);
  await until("refused", () => r.sync.state().lanesRefused.length === 1);
  assert.equal(r.sync.state().lanesRefused[0]!.lane, "access");
  const { uploads } = r.district;
  await r.journal.append({ kind: "box.started", version: "1" });
  await until("telemetry", () => r.district.seq(r.identity.boxId, "telemetry") === 1);
  await clock.sleep(50, forever);
  assert.equal(r.district.uploads, uploads + 1);
});

Deno.test("goes on in a new epoch after the store was replaced", async () => {
  await using r = rig();
  await fill(r.journal, 10);
  await until("drained", () => r.sync.state().backlogEvents === 0);
  r.journal.replace();
  await fill(r.journal, 4);
  await until("drained", () => r.district.seq(r.identity.boxId, "access") === 4);
  assert.deepEqual(
    r.district.events.map(({ epoch, seq }) => `${epoch}/${seq}`).slice(-5),
    ["1/10", "2/1", "2/2", "2/3", "2/4"],
  );
});

Deno.test("repeats of what the district holds are taken as done", async () => {
  await using r = rig();
  await fill(r.journal, 500);
  await until("drained", () => r.sync.state().backlogEvents === 0);
  await r.sync[Symbol.asyncDispose]();
  // The box lost its note of the acknowledgements: a power cut.
  r.journal.forgetSynced();
  const again = startSync({
    identity: r.identity,
    journal: r.journal,
    clock,
    log: silent,
    status: () => {
      throw new Error("not linked");
    },
    onStatusChange: () => () => {},
    policyVersion: () => 0,
    applyPolicy: () => Promise.resolve(),
    execute: () => ({ outcome: "done" }),
  }, forever);
  await until("drained", () => again.state().backlogEvents === 0);
  await again[Symbol.asyncDispose]();
  assertComplete(r);
});

Deno.test("lanes are those of the wire", () => {
  assert.deepEqual(new MemoryJournal(clock).state().lanes.map(({ lane }) => lane), [...LANES]);
});
