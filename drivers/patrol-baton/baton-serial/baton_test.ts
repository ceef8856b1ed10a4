import assert from "node:assert/strict";
import { HalError } from "../../../hal/mod.ts";
import {
  SimulatedBaton,
  type SimulatedBatonOptions,
  type TouchedTag,
} from "../../../hal/sim/mod.ts";
import type { BatonChunk, PatrolBaton } from "../../contract.ts";
import { never, seeded, SerialBench } from "../../serial_bench_test.ts";
import { correctedMs } from "./correction.ts";
import { batonSerial } from "./mod.ts";

const DAY_MS = 86_400_000;
const NOON_MS = Date.UTC(2026, 8, 1);

/** A baton that was set ten days ago and read since then. */
function rig(count: number, options: SimulatedBatonOptions = {}) {
  const bench = new SerialBench((port) => {
    if (stop.plugged) void device.plug(port, never());
  });
  const stop = { plugged: true };
  const setAtWallMs = NOON_MS - 10 * DAY_MS;
  const device = new SimulatedBaton(bench.clock, { setAtWallMs, driftPpm: 50, ...options });
  const touched = Array.from({ length: count }, (_, index): TouchedTag => ({
    tag: (0x6a000001a2b3c401n + BigInt(index % 12)).toString(16),
    atWallMs: setAtWallMs + Math.floor((index + 1) * (9 * DAY_MS) / count),
  }));
  device.touch(...touched);
  return { bench, device, touched, stop };
}

/** Stores what comes as a box does: once, known by baton, memory and record. */
function store(baton: PatrolBaton, into = new Map<string, { tag: string; atWallMs: number }>()) {
  const counts = { chunks: 0, again: 0 };
  const states: string[] = [];
  baton.onState((state) => states.push(state));
  baton.onReads(({ baton: serial, memory, reads }) => {
    counts.chunks++;
    assert.ok(reads.length >= 1 && reads.length <= 256);
    for (const { record, tag, atWallMs } of reads) {
      const key = `${serial} ${memory} ${record}`;
      const known = into.get(key);
      if (known !== undefined) {
        assert.equal(known.tag, tag);
        counts.again++;
      } else into.set(key, { tag, atWallMs });
    }
    return Promise.resolve();
  });
  return { into, counts, states };
}

function assertComplete(
  stored: ReadonlyMap<string, { tag: string; atWallMs: number }>,
  touched: readonly TouchedTag[],
  toleranceMs = 40,
) {
  assert.equal(stored.size, touched.length);
  for (const [index, read] of [...stored.values()].entries()) {
    assert.equal(read.tag, touched[index]!.tag);
    const offMs = Math.abs(read.atWallMs - touched[index]!.atWallMs);
    assert.ok(offMs <= toleranceMs, `read ${index} is off by ${offMs} ms`);
  }
}

Deno.test("a baton of 1,000 reads is downloaded, its times are right, its memory and clock are set", async () => {
  const { bench, device, touched } = rig(1_000);
  // 50 millionths in ten days are 43 s.
  assert.ok(device.shownMs() - bench.clock.wallMs() > 40_000);
  await using baton = await batonSerial.open(bench.host, [{}], never());
  const { into, counts, states } = store(baton);
  await bench.clock.advance(3_000);
  assertComplete(into, touched);
  assert.equal(counts.chunks, 16);
  assert.deepEqual(states, ["attached", "emptied"]);
  assert.equal(device.held, 0);
  assert.ok(Math.abs(device.shownMs() - bench.clock.wallMs()) < 20, "its clock is right now");
  // A tag that is touched in the cradle comes too, in the next filling.
  device.touch({ tag: "0a0b", atWallMs: bench.clock.wallMs() });
  await bench.clock.advance(3_000);
  assert.deepEqual([...into.keys()].at(-1), "GB-0001 2 1001");
  assert.equal(device.cleared, 2);
});

Deno.test("pulled at every byte of the talk and put back, each read comes once", async () => {
  let clean = 0;
  for (let cutAt = 0; clean === 0; cutAt++) {
    let left = cutAt;
    let cut = false;
    // Bytes of both directions count; what comes after the cut is lost, and the line hangs up.
    const bench = new SerialBench((port) => void device.plug(port, never()), (bytes) => {
      if (cut) return [{ bytes }];
      if (bytes.length <= left) {
        left -= bytes.length;
        return [{ bytes }];
      }
      cut = true;
      const arriving = bytes.slice(0, left);
      bench.clock.schedule(0, () => bench.pull());
      bench.clock.schedule(900, () => bench.plug());
      return [{ bytes: arriving }];
    });
    const setAtWallMs = NOON_MS - DAY_MS;
    const device = new SimulatedBaton(bench.clock, { setAtWallMs, driftPpm: -30 });
    const touched = Array.from({ length: 9 }, (_, index) => ({
      tag: `0${index}b0`,
      atWallMs: setAtWallMs + index * 1_000_000,
    }));
    device.touch(...touched);
    await using baton = await batonSerial.open(bench.host, [{}], never());
    const { into, states } = store(baton);
    await bench.clock.advance(12_000);
    assertComplete(into, touched);
    assert.equal(device.held, 0, `cut at byte ${cutAt}`);
    assert.equal(device.cleared, 1, `cut at byte ${cutAt}`);
    assert.ok(states.filter((state) => state === "emptied").length <= 1);
    if (!cut) clean = cutAt;
  }
  console.log(`pulled at each of ${clean} bytes`);
  assert.ok(clean > 300, `the whole talk has ${clean} bytes`);
});

Deno.test("an interrupted download goes on where it was, not from the beginning", async () => {
  const { bench, touched, device } = rig(6_400);
  await using baton = await batonSerial.open(bench.host, [{}], never());
  const into = new Map<string, { tag: string; atWallMs: number }>();
  let pulls = 0;
  const { counts } = store(baton, into);
  baton.onReads(() => {
    // Every twentieth chunk the cable is pulled.
    if (counts.chunks % 20 === 0) {
      pulls++;
      bench.pull();
      bench.clock.schedule(700, () => bench.plug());
    }
    return Promise.resolve();
  });
  await bench.clock.advance(60_000);
  assertComplete(into, touched);
  assert.equal(pulls, 5);
  assert.ok(counts.again <= 5 * 64, `${counts.again} reads came again`);
  assert.equal(device.held, 0);
});

Deno.test("nothing is cleared before all is stored, and what could not be is given again", async () => {
  const { bench, device, touched } = rig(200);
  await using baton = await batonSerial.open(bench.host, [{}], never());
  await bench.clock.advance(10_000);
  assert.equal(baton.online(), true);
  assert.equal(device.held, 200, "nobody listens yet");
  const into = new Map<string, BatonChunk["reads"][number]>();
  let failing = true;
  baton.onReads(({ memory, reads }) => {
    if (failing) return Promise.reject(new Error("the disk is full"));
    for (const read of reads) into.set(`${memory} ${read.record}`, read);
    return Promise.resolve();
  });
  await bench.clock.advance(60_000);
  // Pulled while a chunk waits to be stored: it is none of those that are.
  bench.pull();
  await bench.clock.advance(1_000);
  bench.plug();
  await bench.clock.advance(30_000);
  assert.equal(device.held, 200);
  assert.match(bench.logged.join(), /could not be stored.*disk is full/);
  failing = false;
  await bench.clock.advance(10_000);
  assert.equal(device.held, 0);
  assertComplete(into, touched);
});

Deno.test("a tag touched during the download is not cleared away", async () => {
  const { bench, device } = rig(130);
  await using baton = await batonSerial.open(bench.host, [{}], never());
  const records: number[] = [];
  baton.onReads(({ reads }) => {
    if (records.length === 64) device.touch({ tag: "ffee", atWallMs: bench.clock.wallMs() });
    records.push(...reads.map(({ record }) => record));
    return Promise.resolve();
  });
  await bench.clock.advance(5_000);
  assert.deepEqual(records, Array.from({ length: 131 }, (_, index) => index + 1));
  assert.equal(device.held, 0);
});

Deno.test("a clock that was never set, one that is right, and a box that has no time", async () => {
  const unset = rig(0, {});
  const device = new SimulatedBaton(unset.bench.clock, {});
  await unset.bench.clock.advance(1_000_000);
  device.touch({ tag: "01", atWallMs: unset.bench.clock.wallMs() - 500_000 });
  const bench = unset.bench;
  unset.stop.plugged = false;
  {
    await using baton = await batonSerial.open(bench.host, [{}], never());
    void device.plug(bench.device, never());
    const { into } = store(baton);
    await bench.clock.advance(3_000);
    const [read] = [...into.values()];
    assert.ok(Math.abs(read!.atWallMs - (NOON_MS + 500_000)) < 50, "the whole offset");
    assert.ok(Math.abs(device.shownMs() - bench.clock.wallMs()) < 20, "and it was set");
  }
  bench.clock.setWallQuality("unsynchronised");
  bench.clock.stepWall(-40 * 365 * DAY_MS);
  const shown = device.shownMs();
  device.touch({ tag: "02", atWallMs: bench.clock.wallMs() });
  await using baton = await batonSerial.open(bench.host, [{}], never());
  void device.plug(bench.device, never());
  const { into } = store(baton);
  await bench.clock.advance(50_000);
  assert.equal(into.size, 0, "the box may learn the time yet");
  await bench.clock.advance(15_000);
  assert.equal([...into.values()][0]!.atWallMs, shown, "as the baton had it");
  assert.match(bench.logged.join(), /box's clock is not set/);
});

Deno.test("the offset grows evenly from the last setting", () => {
  const comparison = { wallMs: 1_000_000, baton: { nowMs: 1_010_000, setMs: 10_000 } };
  assert.equal(correctedMs(10_000, comparison), 10_000);
  assert.equal(correctedMs(510_000, comparison), 505_000);
  assert.equal(correctedMs(1_010_000, comparison), 1_000_000);
  assert.equal(correctedMs(5_000, comparison), 5_000, "before the setting nothing is known");
  const unset = { wallMs: 1_000_000, baton: { nowMs: 400, setMs: undefined } };
  assert.equal(correctedMs(300, unset), 999_900);
  const odd = { wallMs: 1_000, baton: { nowMs: 500, setMs: 900 } };
  assert.equal(correctedMs(400, odd), 900);
});

Deno.test("a baton changed for another, and a memory that will not clear", async () => {
  const { bench, device, stop } = rig(3);
  device.stuck = true;
  const other = new SimulatedBaton(bench.clock, { serial: "GB-0002", setAtWallMs: NOON_MS });
  other.touch({ tag: "77", atWallMs: NOON_MS });
  const baton = await batonSerial.open(bench.host, [{}], never());
  const { into, states, counts } = store(baton);
  await bench.clock.advance(5_000);
  assert.equal(into.size, 3);
  assert.equal(counts.again, 0, "what is stored is not fetched again");
  assert.equal(device.held, 3);
  stop.plugged = false;
  bench.pull();
  bench.plug();
  await bench.clock.advance(300);
  void other.plug(bench.device, never());
  await bench.clock.advance(3_000);
  assert.ok(into.has("GB-0002 1 1"));
  assert.deepEqual(states, ["attached", "detached", "attached", "emptied"]);
  await baton[Symbol.asyncDispose]();
  await baton[Symbol.asyncDispose]();
  assert.equal(states.at(-1), "detached");
  assert.equal(bench.clock.pendingTimers(), 0);
});

Deno.test("spoilt answers: each byte of the talk changed, and a device that babbles", async () => {
  const random = seeded();
  for (let spoilAt = 0; spoilAt < 420; spoilAt += 1 + random(3)) {
    let left = spoilAt;
    const bench = new SerialBench((port) => void device.plug(port, never()), (bytes, from) => {
      if (from === "a") return [{ bytes }];
      left -= bytes.length;
      if (left >= 0 || left < -bytes.length) return [{ bytes }];
      const at = bytes.length + left;
      return [{ bytes: bytes.with(at, bytes[at]! ^ (1 + random(255))) }];
    });
    const device = new SimulatedBaton(bench.clock, { setAtWallMs: NOON_MS - DAY_MS });
    const touched = Array.from({ length: 7 }, (_, index) => ({
      tag: `c${index}`,
      atWallMs: NOON_MS - 1_000_000 + index,
    }));
    device.touch(...touched);
    await using baton = await batonSerial.open(bench.host, [{}], never());
    const { into } = store(baton);
    await bench.clock.advance(15_000);
    assertComplete(into, touched);
    assert.equal(device.held, 0, `spoilt at ${spoilAt}`);
  }
  const bench = new SerialBench(() => {});
  await using baton = await batonSerial.open(bench.host, [{}], never());
  const { into } = store(baton);
  for (let round = 0; round < 3_000; round++) {
    const bytes = Uint8Array.from({ length: 30 }, () => random(256));
    if (random(2) === 0) bytes.set([0xa5, 0x5a, random(9), random(256)]);
    await bench.send(bytes).catch((error) => assert.ok(error instanceof HalError));
    await bench.clock.advance(random(30));
  }
  assert.equal(into.size, 0);
});
