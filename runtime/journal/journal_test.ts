import assert from "node:assert/strict";
import { linuxClock } from "../../hal/linux/mod.ts";
import { VirtualClock } from "../../hal/sim/mod.ts";
import {
  type BoxEvent,
  chainHash,
  decodeEvent,
  type EventId,
  genesisHash,
  type Lane,
} from "../../sync/wire/mod.ts";
import { type Journal, JournalError, type JournalOptions, openJournal } from "./mod.ts";

const clock = linuxClock();
const NO_LIMIT = { eventsMax: 100_000, bytesMax: 1 << 30 };

function granted(credential: number): BoxEvent {
  return { kind: "access.granted", door: "main", reader: "in", credential, cardholder: 1 };
}
const forced: BoxEvent = { kind: "door.forced", door: "main" };
const applied: BoxEvent = { kind: "policy.applied", version: 1 };
function input(index: number): BoxEvent {
  return { kind: "input.changed", input: `i${index}`, active: true };
}

async function withFolder(test: (dataDir: string) => Promise<void>): Promise<void> {
  const dataDir = await Deno.makeTempDir({ prefix: "gatehouse-journal-" });
  try {
    await test(dataDir);
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
}

function open(dataDir: string, options: Partial<JournalOptions> = {}): Promise<Journal> {
  return openJournal({ dataDir, clock, ...options });
}

function lane(journal: Journal, name: Lane) {
  return journal.state().lanes.find((each) => each.lane === name)!;
}

/** Everything of a lane after `afterSeq`, in pieces of `eventsMax`; checks that the pieces join. */
async function readAll(journal: Journal, name: Lane, afterSeq = 0, eventsMax = 100_000) {
  const events: Uint8Array[] = [];
  let [seq, hash]: [number, Uint8Array | undefined] = [afterSeq, undefined];
  for (;;) {
    const batch = await journal.read(name, seq, { eventsMax, bytesMax: 1 << 30 });
    if (batch === undefined) return events;
    if (hash === undefined) {
      if (batch.firstSeq === 1) assert.deepEqual(batch.prevHash, genesisHash(batch.epoch, name));
    } else {
      assert.equal(batch.firstSeq, seq + 1);
      assert.deepEqual(batch.prevHash, hash);
    }
    hash = batch.prevHash;
    for (const event of batch.events) hash = chainHash(hash, event);
    assert.deepEqual(batch.headHash, hash);
    assert.ok(batch.events.length > 0 && batch.events.length <= eventsMax);
    events.push(...batch.events);
    seq = batch.firstSeq + batch.events.length - 1;
  }
}

function isError(kind: JournalError["kind"]) {
  return (error: unknown) => error instanceof JournalError && error.kind === kind;
}

Deno.test("events are numbered by lane, chained, and there after reopening", () =>
  withFolder(async (dataDir) => {
    {
      await using journal = await open(dataDir);
      const ids = await Promise.all(
        [granted(1), forced, granted(2), applied, input(1), granted(3)].map((event) =>
          journal.append(event)
        ),
      );
      assert.deepEqual(ids.map(({ lane, seq }) => `${lane} ${seq}`), [
        "access 1",
        "alarm 1",
        "access 2",
        "command 1",
        "telemetry 1",
        "access 3",
      ]);
      assert.ok(ids.every(({ epoch }) => epoch === 1));
    }
    await using journal = await open(dataDir);
    assert.equal(journal.state().epoch, 1);
    assert.deepEqual(await journal.append(granted(4)), { epoch: 1, lane: "access", seq: 4 });
    const events = (await readAll(journal, "access")).map(decodeEvent);
    assert.deepEqual(
      events.map(({ event }) => event.kind === "access.granted" && event.credential),
      [1, 2, 3, 4],
    );
    // Starts are counted over the folder's life, and each event says in which it happened.
    assert.deepEqual(events.map(({ boot }) => boot), [1, 1, 1, 2]);
  }));

Deno.test("reading joins at every boundary, within and between commits", () =>
  withFolder(async (dataDir) => {
    await using journal = await open(dataDir, { groupEventsMax: 7 });
    await Promise.all(Array.from({ length: 100 }, (_, index) => journal.append(granted(index))));
    const whole = await readAll(journal, "access");
    assert.equal(whole.length, 100);
    for (const eventsMax of [1, 3, 7, 50]) {
      assert.deepEqual(await readAll(journal, "access", 0, eventsMax), whole);
    }
    for (const after of [1, 6, 7, 8, 55, 99]) {
      assert.deepEqual(await readAll(journal, "access", after), whole.slice(after));
    }
    assert.equal(await journal.read("access", 100, NO_LIMIT), undefined);
    assert.equal(await journal.read("alarm", 0, NO_LIMIT), undefined);
    const small = await journal.read("access", 10, { eventsMax: 100, bytesMax: 1 });
    assert.equal(small?.events.length, 1, "at least one, however large");
  }));

Deno.test("an alarm is stored at once; others wait for 20 ms or a full group", () =>
  withFolder(async (dataDir) => {
    const virtual = new VirtualClock();
    await using journal = await open(dataDir, { clock: virtual, groupEventsMax: 3 });
    await journal.append(forced);

    let durable = 0;
    const waiting = journal.append(granted(1)).then((id) => {
      durable++;
      return id;
    });
    await virtual.advance(19);
    // The worker has answered something later: it was not asked for the event before.
    await journal.read("alarm", 0, NO_LIMIT);
    assert.equal(durable, 0);
    await virtual.advance(1);
    assert.equal((await waiting).seq, 1);

    await Promise.all([
      journal.append(granted(2)),
      journal.append(granted(3)),
      journal.append(granted(4)),
    ]);
    // An alarm takes those with it that wait.
    const [access, alarm] = await Promise.all([journal.append(granted(5)), journal.append(forced)]);
    assert.deepEqual([access.seq, alarm.seq], [5, 2]);
    assert.equal(virtual.pendingTimers(), 0);
  }));

Deno.test("what waits for the disk is bounded", () =>
  withFolder(async (dataDir) => {
    await using journal = await open(dataDir, { pendingEventsMax: 10 });
    const results = await Promise.allSettled(
      Array.from({ length: 12 }, (_, index) => journal.append(granted(index))),
    );
    assert.deepEqual(results.map(({ status }) => status), [
      ...Array(10).fill("fulfilled"),
      "rejected",
      "rejected",
    ]);
    assert.ok(
      results.slice(10).every((result) =>
        result.status === "rejected" && isError("full")(result.reason)
      ),
    );
    assert.equal((await journal.append(granted(12))).seq, 11);
  }));

Deno.test("an event that the district would not read is refused, and hurts no other", () =>
  withFolder(async (dataDir) => {
    await using journal = await open(dataDir);
    const [bad, good] = await Promise.allSettled([
      journal.append({ kind: "policy.refused", version: 1, detail: "x".repeat(5000) }),
      journal.append(applied),
    ]);
    assert.equal(bad.status, "rejected");
    assert.equal(good.status, "fulfilled");
    assert.equal(lane(journal, "command").head, 1);
  }));

Deno.test("acknowledgements only go forward, and only for this epoch and what is there", () =>
  withFolder(async (dataDir) => {
    const ack = (seq: number, epoch = 1): EventId => ({ epoch, lane: "access", seq });
    {
      await using journal = await open(dataDir);
      await Promise.all([1, 2, 3, 4].map((index) => journal.append(granted(index))));
      await journal.acknowledge([ack(2)]);
      assert.equal(lane(journal, "access").synced, 2);
      await journal.acknowledge([ack(1), ack(4, 2), ack(5), { ...ack(1), lane: "alarm" }]);
      assert.equal(lane(journal, "access").synced, 2);
      assert.equal(lane(journal, "alarm").synced, 0);
    }
    await using journal = await open(dataDir);
    assert.equal(lane(journal, "access").synced, 2);
  }));

Deno.test("a command is new once, until it has expired by a clock that can be believed", () =>
  withFolder(async (dataDir) => {
    const virtual = new VirtualClock({ wallQuality: "unsynchronised" });
    const expires = virtual.wallMs() + 1000;
    {
      await using journal = await open(dataDir, { clock: virtual });
      assert.equal(await journal.firstSeen("a", expires), true);
      assert.equal(await journal.firstSeen("a", expires), false);
    }
    await virtual.advance(10_000);
    {
      await using journal = await open(dataDir, { clock: virtual });
      assert.equal(await journal.firstSeen("a", expires), false);
    }
    virtual.setWallQuality("synchronised");
    await using journal = await open(dataDir, { clock: virtual });
    assert.equal(await journal.firstSeen("a", expires), true);
  }));

Deno.test("listeners hear which lanes grew by each commit, until they cancel", () =>
  withFolder(async (dataDir) => {
    await using journal = await open(dataDir);
    const heard: string[] = [];
    const cancel = journal.onDurable((lanes) => heard.push(lanes.join()));
    await Promise.all([journal.append(granted(1)), journal.append(forced)]);
    await journal.acknowledge([{ epoch: 1, lane: "alarm", seq: 1 }]);
    assert.deepEqual(heard, ["alarm,access"]);
    cancel();
    await journal.append(forced);
    assert.equal(heard.length, 1);
  }));

Deno.test("closing stores what waits; then nothing is taken any more", () =>
  withFolder(async (dataDir) => {
    const virtual = new VirtualClock();
    const journal = await open(dataDir, { clock: virtual });
    const waiting = journal.append(granted(1));
    const closing = journal[Symbol.asyncDispose]();
    await assert.rejects(journal.append(granted(2)), isError("closed"));
    await closing;
    assert.equal((await waiting).seq, 1);
    await journal[Symbol.asyncDispose]();
    await assert.rejects(journal.append(granted(2)), isError("closed"));
    await assert.rejects(journal.read("access", 0, NO_LIMIT), isError("closed"));
    assert.equal(virtual.pendingTimers(), 0);
    await using again = await open(dataDir);
    assert.equal(lane(again, "access").head, 1);
  }));

Deno.test("beyond its quota a lane loses synced events first, unsynced ones never but in telemetry", () =>
  withFolder(async (dataDir) => {
    const quotas = { access: 100, telemetry: 100 };
    await using journal = await open(dataDir, { quotas, groupEventsMax: 10 });
    const append = async (make: (index: number) => BoxEvent, count: number) => {
      for (let at = 0; at < count; at += 10) {
        await Promise.all(
          Array.from({ length: 10 }, (_, index) => journal.append(make(at + index))),
        );
      }
    };
    await append(granted, 150);
    assert.deepEqual(lane(journal, "access"), { lane: "access", head: 150, synced: 0, oldest: 1 });
    await journal.acknowledge([{ epoch: 1, lane: "access", seq: 30 }]);
    await append(granted, 50);
    assert.equal(lane(journal, "access").oldest, 31, "what was synced is gone, nothing else");
    assert.equal((await readAll(journal, "access")).length, 170);
    assert.equal(lane(journal, "alarm").head, 0, "nothing was lost");

    await append(input, 1000);
    const { oldest, head, synced } = lane(journal, "telemetry");
    assert.equal(head, 1000);
    assert.equal(synced, 0);
    assert.ok(head - oldest < 100 && head - oldest >= 80, `${oldest} to ${head}`);
    const left = await readAll(journal, "telemetry");
    assert.equal(left.length, head - oldest + 1);
    // Every loss is told, without gaps and without one event for each.
    await journal.append(forced);
    const told = (await readAll(journal, "alarm")).map((bytes) => decodeEvent(bytes).event);
    const drops = told.filter((event) => event.kind === "journal.dropped");
    assert.ok(drops.length < 200, `${drops.length} events tell of the loss`);
    let next = 1;
    for (const drop of drops) {
      assert.equal(drop.lane, "telemetry");
      assert.equal(drop.firstSeq, next);
      next = drop.lastSeq + 1;
    }
    assert.equal(next, oldest);
  }));

Deno.test("a full store keeps room for alarms, and goes on once the district has taken some", () =>
  withFolder(async (dataDir) => {
    await using journal = await open(dataDir, { storeBytesMax: 1 << 20 });
    const stored: number[] = [];
    let full: unknown;
    for (let round = 0; round < 1000 && full === undefined; round++) {
      const group = Array.from({ length: 500 }, (_, index) => journal.append(granted(index)));
      for (const result of await Promise.allSettled(group)) {
        if (result.status === "fulfilled") stored.push(result.value.seq);
        else full = result.reason;
      }
    }
    assert.ok(isError("full")(full), String(full));
    assert.ok(stored.length > 5000, `${stored.length} stored`);
    await journal.append(forced);
    const mixed = await Promise.allSettled([journal.append(granted(1)), journal.append(forced)]);
    assert.deepEqual(mixed.map(({ status }) => status), ["rejected", "fulfilled"]);
    assert.equal(lane(journal, "access").oldest, 1, "nothing unsynced has gone");

    await journal.acknowledge([{ epoch: 1, lane: "access", seq: stored.at(-1)! }]);
    const { seq } = await journal.append(granted(1));
    assert.equal(seq, stored.at(-1)! + 1);
    assert.ok(lane(journal, "access").oldest > 1);
    assert.equal(journal.state().epoch, 1);
    assert.ok(Deno.statSync(`${dataDir}/journal.db`).size <= 1 << 20);
  }));
