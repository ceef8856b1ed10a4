/**
 * The HAL and the box's own program on a stock Debian kernel: GPIO lines of gpio-sim, a reader on a
 * USB serial adapter. One guest for all; the tests go on from what the one before left.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { GpioEdge } from "../../hal/mod.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { type SimulatedOsdpReader, simulateOsdpReaders } from "../../hal/sim/osdp_reader/mod.ts";
import { POLICY, ZHANG } from "../support/gate_bench.ts";
import { CONFIG } from "./box_config.ts";
import { Guest, guestRefusal } from "./guest.ts";
import { Wire } from "./wire.ts";

const refusal = guestRefusal();
if (refusal !== undefined) console.log(`skipped: a real kernel in QEMU: ${refusal}`);

/** What the simulator and a guest of two shared cores add to a tap's few milliseconds. */
const OPENS_MS_MAX = 5_000;
const HOLD_MS = 1_500;
const ADAPTER = { driver: "usb-serial", chardev: "reader", id: "adapter" };
/** What the kernel keeps for a line (`GPIO_EVENTS_MAX`). */
const EDGES_KEPT = 1_024;

const clock = linuxClock();
const stop = new AbortController();
const kept = new AsyncDisposableStack();
let guest: Guest;
let reader: SimulatedOsdpReader;

if (refusal === undefined) {
  Deno.test.beforeAll(async () => {
    guest = kept.use(await Guest.boot(clock));
  });
  Deno.test.afterAll(async () => {
    stop.abort();
    await kept[Symbol.asyncDispose]();
  });
}

/** The guest's sockets outlive each test. */
function test(name: string, fn: () => Promise<void>): void {
  const ignore = refusal !== undefined;
  Deno.test({ name, ignore, sanitizeOps: false, sanitizeResources: false, fn });
}

test("the guest runs a stock Debian kernel and this Deno", async () => {
  const { kernel, deno } = await guest.call("versions") as Record<string, string>;
  assert.match(kernel!, /^6\.12\.\d+\+deb\d+-amd64$/);
  assert.equal(deno, Deno.version.deno);
  console.log(`Linux ${kernel}`);
});

test("outputs: the voltage follows, active-low is inverted, a released line is its wiring's", async () => {
  assert.deepEqual(await guest.call("outputs"), {
    before: 0,
    initial: 1,
    initialActiveLow: 0,
    written: 0,
    writtenActiveLow: 1,
    again: 0,
    read: true,
    // It was high: gpio-sim goes back to the pull of the wiring. Other chips may keep the level.
    released: 0,
  });
});

test("inputs: bias, active-low, and what cannot be had by kind", async () => {
  assert.deepEqual(await guest.call("inputs"), {
    bias: [true, false, false],
    pulls: ["pull-up", "pull-down", "pull-up"],
    pulled: [false, true, true],
    taken: "busy",
    freed: "none",
    noLine: "not-found",
    noChip: "not-found",
  });
});

test("edges: in order, numbered from 1, stamped by the kernel on the clock's own scale", async () => {
  const count = 40;
  const { pulls, seen } = await guest.call("edges", count) as {
    pulls: { active: boolean; beforeMs: number; afterMs: number }[];
    seen: GpioEdge[];
  };
  assert.deepEqual(
    seen.map(({ active, sequence }) => ({ active, sequence })),
    pulls.map(({ active }, i) => ({ active, sequence: i + 1 })),
  );
  const lateMs = pulls.map(({ beforeMs, afterMs }, i) => {
    const { atMonotonicMs } = seen[i]!;
    // The interrupt is stamped inside the write, or just after it on the other processor.
    assert.ok(atMonotonicMs >= beforeMs - 0.1, `edge ${i + 1} is stamped before its pull`);
    assert.ok(atMonotonicMs < afterMs + 15, `edge ${i + 1} is stamped long after its pull`);
    return atMonotonicMs - beforeMs;
  }).sort((a, b) => a - b);
  console.log(`pull to stamp: median ${lateMs[count >> 1]!.toFixed(2)} ms`);
});

test("debounce: a bounce is no edge, a level that holds is one", async () => {
  assert.deepEqual(await guest.call("debounce"), {
    bounced: 0,
    held: [{ active: true, sequence: 1 }],
  });
});

test("overrun: the newest edges are kept, and the numbers tell how many were lost", async () => {
  const sequences = await guest.call("overrun") as number[];
  assert.equal(sequences.length, EDGES_KEPT);
  assert.ok(sequences[0]! > 1, "nothing was lost: this burst proves nothing");
  assert.deepEqual(sequences, sequences.map((_, i) => sequences[0]! + i));
  console.log(`${sequences[0]! - 1} edges lost and known to be`);
});

test("a chip that is pulled out: following, reading and writing say disconnected", async () => {
  assert.deepEqual(await guest.call("gone"), {
    following: "disconnected",
    reading: "disconnected",
    writing: "disconnected",
    asking: "not-found",
  });
});

test("the input driver: a burst leaves no wrong level, a chip that returns is taken again", async () => {
  const { start, afterBurst, away, back, afterwards, changes } = await guest.call(
    "driver",
  ) as
    & Record<string, unknown>
    & Record<
      "afterBurst" | "away" | "back",
      { active: boolean | null; said: { message: string; lost?: number }[] }
    >;
  assert.equal(start, false);
  assert.equal(afterBurst.active, true, "the level after the burst");
  assert.ok(afterBurst.said[0]!.lost! > 0, "lost edges are counted");
  assert.deepEqual([away.active, away.said.length], [null, 1], "away: no level, said once");
  assert.deepEqual([back.active, back.said.map(({ message }) => message)], [
    false,
    ["an input is back"],
  ]);
  assert.equal(afterwards, true);
  assert.deepEqual(changes, [null, false, true]);
});

/** The lock's line goes high within the time allowed and low again after the hold. */
async function opens(): Promise<void> {
  await guest.call("levelIs", "lock", 1, OPENS_MS_MAX);
  const heldMs = await guest.call("levelIs", "lock", 0, HOLD_MS + OPENS_MS_MAX) as number;
  assert.ok(heldMs > HOLD_MS / 2, `it was held for ${heldMs} ms`);
}

async function tapOpens(): Promise<void> {
  reader.present(32, ZHANG);
  await opens();
}

test("the box: a tap at a reader on a USB adapter drives the lock's line", async () => {
  const wire = kept.use(await Wire.connect(join(guest.folder, "reader"), clock));
  reader = simulateOsdpReaders(wire, clock, [{ address: 0 }], stop.signal).reader(0);
  await guest.qemu("device_add", ADAPTER);
  await guest.call("boxPrepare", CONFIG, POLICY);
  await guest.call("boxStart");
  await guest.call("readersAre", true);
  assert.equal(await guest.call("levelOf", "lock"), 0);
  await tapOpens();
});

test("the box: the exit button, active low, opens", async () => {
  await guest.call("pull", "button", false);
  await opens();
  await guest.call("pull", "button", true);
});

test("the box: a contact that opens by itself is a forced door", async () => {
  await guest.call("pull", "contact", true);
  await clock.sleep(500, stop.signal);
  await guest.call("pull", "contact", false);
  await clock.sleep(500, stop.signal);
  const events = await guest.call("boxEvents") as string[];
  for (
    const kind of [
      "access.granted",
      "door.unlocked access",
      "door.unlocked request-to-exit",
      "door.forced",
      "door.closed",
    ]
  ) {
    assert.equal(events.filter((event) => event === kind).length, 1, `${kind} in ${events}`);
  }
});

test("the box: an adapter that is unplugged and plugged in again needs no restart", async () => {
  await guest.qemu("device_del", { id: ADAPTER.id });
  await guest.qemuEvent("DEVICE_DELETED", ADAPTER.id);
  await guest.call("readersAre", false);
  // The door itself goes on meanwhile.
  await guest.call("pull", "button", false);
  await opens();
  await guest.call("pull", "button", true);
  await guest.qemu("device_add", ADAPTER);
  await guest.call("readersAre", true);
  await tapOpens();
});

test("the box: killed while the door is open, the line falls to its wiring; a new one takes it", async () => {
  reader.present(32, ZHANG);
  await guest.call("levelIs", "lock", 1, OPENS_MS_MAX);
  assert.deepEqual(await guest.call("boxKill", "SIGKILL"), { code: 137, signal: "SIGKILL" });
  // The kernel frees the line of the dead process, and gpio-sim then has its wiring decide, which
  // pulls down here: locked. A chip that keeps the level would leave the strike open.
  assert.equal(await guest.call("levelOf", "lock"), 0);
  await guest.call("boxStart");
  await guest.call("readersAre", true);
  assert.equal(await guest.call("levelOf", "lock"), 0);
  await tapOpens();
});

test("the box: stopped while the door is open, it locks", async () => {
  reader.present(32, ZHANG);
  await guest.call("levelIs", "lock", 1, OPENS_MS_MAX);
  assert.deepEqual(await guest.call("boxKill", "SIGTERM"), { code: 0, signal: null });
  assert.equal(await guest.call("levelOf", "lock"), 0);
});
