/**
 * A box's sync with a real journal against a real district over real TLS, through a wire that breaks.
 *
 * @module
 */
import assert from "node:assert/strict";
import { jsonLog, openDistrict } from "../../district/mod.ts";
import type { District } from "../../district/mod.ts";
import { processClock } from "../../hal/linux/mod.ts";
import type { Clock } from "../../hal/mod.ts";
import type { Journal } from "../../runtime/journal/contract.ts";
import { openJournal } from "../../runtime/journal/mod.ts";
import {
  type BoxIdentity,
  enrol,
  loadIdentity,
  startSync,
  SyncError,
  type SyncHandle,
  type SyncOptions,
} from "../../sync/mod.ts";
import {
  commandTarget,
  decodeCbor,
  decompressSync,
  newTokenSecret,
  parsePolicy,
  type Policy,
  WIRE_LIMITS,
} from "../../sync/wire/mod.ts";
import { BreakableWire } from "../support/breakable_wire.ts";

const clock = processClock();
const forever = new AbortController().signal;

async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  withinMs = 15_000,
): Promise<void> {
  const end = clock.monotonicMs() + withinMs;
  while (!await holds()) {
    if (clock.monotonicMs() > end) assert.fail(`not within ${withinMs} ms: ${what}`);
    await clock.sleep(10, forever);
  }
}

/** xorshift32 from a printed seed. */
function seeded(name: string): () => number {
  const seed = Number(Deno.env.get("SEED") ?? 0) ||
    crypto.getRandomValues(new Uint32Array(1))[0]! >>> 1;
  console.log(`${name}: SEED=${seed}`);
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

interface Box extends AsyncDisposable {
  readonly identity: BoxIdentity;
  readonly journal: Journal;
  readonly executed: string[];
  readonly policies: { version: number; policy: Policy }[];
  sync: SyncHandle;
  /** Stops and starts sync, as a restart of the program does. */
  restart(): Promise<void>;
}

interface Campus extends AsyncDisposable {
  readonly district: District;
  readonly wire: BreakableWire;
  readonly dir: string;
  /** Enrols a box and starts its sync over the wire. */
  box(options?: { clock?: Clock; started?: boolean } & Partial<SyncOptions>): Promise<Box>;
}

async function campus(): Promise<Campus> {
  const dir = await Deno.makeTempDir({ prefix: "gatehouse-sync-" });
  const stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(dir, { recursive: true }));
  await Deno.mkdir(`${dir}/district`);
  const district = stack.use(
    await openDistrict({
      dataDir: `${dir}/district`,
      hostname: "127.0.0.1",
      port: 0,
      hosts: [],
      clock,
      log: jsonLog(clock, () => {}),
      name: "Jizhou",
      version: "test",
      webDir: dir,
    }),
  );
  const wire = stack.use(new BreakableWire(district.port));
  let boxes = 0;
  return {
    district,
    wire,
    dir,
    box: async (options = {}) => {
      const dataDir = `${dir}/box${++boxes}`;
      await Deno.mkdir(dataDir);
      const { token } = await district.createToken();
      const url = `https://127.0.0.1:${wire.port}`;
      const boxClock = options.clock ?? clock;
      const identity = await enrol(
        { url, token, name: "east-gate", dataDir, clock: boxClock },
        forever,
      );
      const journal = stack.use(await openJournal({ dataDir, clock: boxClock }));
      const executed: string[] = [];
      const policies: Box["policies"] = [];
      const start = () =>
        startSync({
          identity,
          journal,
          clock: boxClock,
          log: { debug() {}, info() {}, warn() {}, error() {} },
          status: () => ({
            kind: "status",
            name: "east-gate",
            version: "test",
            policyVersion: policies.at(-1)?.version ?? 0,
            doors: [{ id: "main", mode: "normal", unlocked: false }],
            readers: [],
            backlogEvents: 0,
            rssBytes: 1,
            uptimeMs: 1,
          }),
          onStatusChange: () => () => {},
          policyVersion: () => policies.at(-1)?.version ?? 0,
          applyPolicy: ({ version, document }) => {
            const bytes = decompressSync(document, "policy", WIRE_LIMITS.policyDecodedBytesMax);
            const raw = decodeCbor(bytes, "policy", WIRE_LIMITS.policyDecodedBytesMax);
            policies.push({ version, policy: parsePolicy(raw) });
            return Promise.resolve();
          },
          execute: (command) => {
            executed.push(commandTarget(command));
            return { outcome: "done" };
          },
          // Short waits: what is tested is that nothing is lost, not how patient it is.
          random: () => 0.02,
          ...options,
        }, forever);
      const box: Box = {
        identity,
        journal,
        executed,
        policies,
        sync: start(),
        restart: async () => {
          await box.sync[Symbol.asyncDispose]();
          box.sync = start();
        },
        [Symbol.asyncDispose]: () => box.sync[Symbol.asyncDispose](),
      };
      stack.use(box);
      return box;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function fill(journal: Journal, events: number): Promise<void> {
  for (let made = 0; made < events; made += 5_000) {
    await Promise.all(
      Array.from({ length: Math.min(5_000, events - made) }, (_, index) =>
        journal.append({
          kind: "access.granted",
          door: "main",
          reader: "in",
          credential: made + index + 1,
          cardholder: 1,
        })),
    );
  }
}

const drained = (box: Box) => box.sync.state().backlogEvents === 0;

/** The district has every event of the box once, and its chains hold. */
async function assertComplete({ district }: Campus, box: Box): Promise<void> {
  const reports = await district.verifyChains(box.identity.boxId);
  for (const { lane, head } of box.journal.state().lanes) {
    if (head === 0) continue;
    const report = reports.find((each) => each.lane === lane);
    assert.ok(report, `lane ${lane} is missing`);
    assert.equal(report.fault, undefined);
    assert.equal(report.headSeq, head, `lane ${lane}`);
    assert.equal(report.events, head, `lane ${lane}: each once`);
    assert.deepEqual(report.gaps, []);
  }
}

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

Deno.test("tokens: once, and only of this district", async () => {
  await using c = await campus();
  const { token } = await c.district.createToken();
  const attempt = (token: string, folder: string) =>
    enrol({ url: c.district.url, token, name: "x", dataDir: `${c.dir}/${folder}`, clock }, forever);
  const refused = (pattern: RegExp) => (error: unknown) =>
    error instanceof SyncError && error.kind === "token" && pattern.test(error.message);
  const first = await attempt(token, "a");
  assert.equal((await loadIdentity(`${c.dir}/a`))?.boxId, first.boxId);
  await assert.rejects(attempt(token, "b"), refused(/used before/));
  const forged = token.replace(/^gh1\.[^.]+/, `gh1.${newTokenSecret()}`);
  await assert.rejects(attempt(forged, "c"), refused(/does not know/));
  await assert.rejects(attempt("gh1.nonsense", "d"), refused(/copy the whole token/));
  assert.equal((await c.district.boxes()).length, 1);
  for (const folder of ["b", "c", "d"]) {
    assert.equal(await loadIdentity(`${c.dir}/${folder}`), undefined);
  }
});

Deno.test("exactly once over a wire that is cut at random", async () => {
  const random = seeded("cuts");
  await using c = await campus();
  const box = await c.box();
  // From within the handshake to the middle of an answer.
  c.wire.life = () => 500 + random() ** 3 * 60_000;
  c.wire.cut();
  for (let round = 0; round < 40; round++) {
    await fill(box.journal, 200);
    await box.journal.append({ kind: "door.forced", door: "main" });
    await box.journal.append({ kind: "reader.online", reader: "in" });
    if (round % 10 === 9) await box.restart();
    await clock.sleep(random() * 60, forever);
  }
  await clock.sleep(1_000, forever);
  c.wire.life = () => Infinity;
  c.wire.cut();
  await until("drained", () => drained(box), 30_000);
  await assertComplete(c, box);
  assert.ok(c.wire.cuts >= 10, `only ${c.wire.cuts} cuts`);
});

Deno.test("a fresh alarm overtakes 50,000 events within a second, then everything drains", async () => {
  await using c = await campus();
  const box = await c.box();
  await box.sync[Symbol.asyncDispose]();
  await fill(box.journal, 50_000);
  let alarmMs: number | undefined;
  let lastMs = 0;
  const cancel = c.district.onLive((message) => {
    if (message.kind !== "event") return;
    if (message.event.lane === "alarm") alarmMs = clock.monotonicMs();
    else lastMs = clock.monotonicMs();
  });
  await box.restart();
  await until("first batch", () => box.sync.state().counters.eventsAcknowledged > 0);
  const raisedMs = clock.monotonicMs();
  await box.journal.append({ kind: "door.forced", door: "main" });
  await until("alarm shown", () => alarmMs !== undefined);
  assert.ok(!drained(box), "the backlog was gone before the alarm: this shows nothing");
  assert.ok(alarmMs! - raisedMs < 1_000, `${alarmMs! - raisedMs} ms`);
  await until("drained", () => drained(box), 30_000);
  await until("all shown", () => lastMs > alarmMs!);
  cancel();
  await assertComplete(c, box);
});

Deno.test("a command is done once, whatever the link does, and its result arrives", async () => {
  await using c = await campus();
  const box = await c.box();
  const { boxId } = box.identity;
  await until("online", async () => (await c.district.boxes())[0]?.online === true);
  const open = { name: "door.open", door: "main" } as const;
  const first = await c.district.command(boxId, open);
  await until("done", async () => (await c.district.commandState(first.id)).state === "done");
  // While the box is away: the district sends it at each return until it has the result.
  c.wire.down = true;
  c.wire.cut();
  await until("gone", async () => (await c.district.boxes())[0]?.online === false);
  const second = await c.district.command(boxId, open, 60_000);
  c.wire.down = false;
  for (let round = 0; round < 3; round++) {
    await until("linked", () => box.sync.state().link === "connected");
    c.wire.cut();
    await until("cut", () => box.sync.state().link !== "connected");
  }
  await box.restart();
  await until("done", async () => (await c.district.commandState(second.id)).state === "done");
  assert.equal(box.executed.length, 2);
});

Deno.test("a command that has expired before the box is back does nothing", async () => {
  await using c = await campus();
  const box = await c.box();
  await until("online", async () => (await c.district.boxes())[0]?.online === true);
  c.wire.down = true;
  c.wire.cut();
  await until("gone", async () => (await c.district.boxes())[0]?.online === false);
  const late = await c.district.command(
    box.identity.boxId,
    { name: "door.open", door: "main" },
    1_000,
  );
  await clock.sleep(1_100, forever);
  c.wire.down = false;
  await until("linked", () => box.sync.state().link === "connected");
  await clock.sleep(200, forever);
  assert.deepEqual(box.executed, []);
  assert.equal((await c.district.commandState(late.id)).state, "expired");
});

Deno.test("policy arrives whole, after a change and after a time away", async () => {
  await using c = await campus();
  const box = await c.box();
  await c.district.putSettings({
    holidays: [],
    schedules: [],
    accessLevels: [{ id: "all", name: "All", grants: [{ doors: ["*"], schedule: "always" }] }],
  });
  const csv = "number,name,bits,hex,access_levels\r\n1,张三,32,04a1b2c3,all\r\n";
  const report = await c.district.importCardholders(new TextEncoder().encode(csv));
  assert.deepEqual(report.faults, []);
  const version = await c.district.published();
  await until("applied", () => box.policies.at(-1)?.version === version);
  const { policy } = box.policies.at(-1)!;
  assert.equal(policy.credentials[0]!.hex, "04a1b2c3");
  assert.equal(policy.cardholders[0]!.name, "张三");
  await box.sync[Symbol.asyncDispose]();
  await c.district.importCardholders(new TextEncoder().encode(csv.replace("04a1", "05a1")));
  const next = await c.district.published();
  assert.ok(next > version);
  await box.restart();
  await until("newer", () => box.policies.at(-1)?.version === next);
});

for (const [year, errorMs] of [["1970", -clock.wallMs()], ["2099", 73 * 365 * 864e5]] as const) {
  Deno.test(`a box whose clock says ${year} enrols, uploads and obeys`, async () => {
    await using c = await campus();
    const box = await c.box({ clock: skewed(errorMs) });
    await fill(box.journal, 100);
    await until("drained", () => drained(box));
    await until("online", async () => (await c.district.boxes())[0]?.online === true);
    const { id } = await c.district.command(
      box.identity.boxId,
      { name: "door.open", door: "main" },
    );
    await until("done", async () => (await c.district.commandState(id)).state === "done");
    await until("drained", () => drained(box));
    await assertComplete(c, box);
    assert.ok(Math.abs(box.sync.state().clockErrorMs! - errorMs) < 3_000);
  });
}

Deno.test("a box that is withdrawn stops, and says what to do", async () => {
  await using c = await campus();
  const box = await c.box();
  await until("online", async () => (await c.district.boxes())[0]?.online === true);
  await c.district.revoke(box.identity.boxId);
  await until("stopped", () => box.sync.state().link === "stopped");
  assert.equal(box.sync.state().fault?.kind, "revoked");
  assert.match(box.sync.state().fault!.message, /enrol it again/);
});
