/**
 * The yard of docs/examples/box-yard.yaml: turnstile, barrier, emergency button, siren and fire loop, with
 * the real drivers and box on simulated GPIO lines, in virtual time.
 *
 * @module
 */
import assert from "node:assert/strict";
import { DRIVERS } from "../../drivers/registry.ts";
import { ABSENT, VirtualClock, VirtualGpio } from "../../hal/sim/mod.ts";
import { Box, BoxMetrics } from "../../runtime/box/mod.ts";
import { openDevices } from "../../runtime/cli/devices.ts";
import { parseBoxConfig } from "../../runtime/config/mod.ts";
import { jsonLog } from "../../runtime/log.ts";
import { compilePolicy } from "../../runtime/policy/mod.ts";
import { type BoxEvent, parsePolicy } from "../../sync/wire/mod.ts";

const CHIP = "gpiochip0";
const YARD = new URL("../../docs/examples/box-yard.yaml", import.meta.url);
/** Lines of the example. */
const LINE = {
  walkIn: [5, 6],
  walkOut: [12, 13],
  driveIn: [16, 17],
  letsIn: 20,
  letsOut: 21,
  boomUp: 22,
  boomDown: 23,
  horn: 24,
  lamp: 25,
  wentIn: 2,
  wentOut: 3,
  loop: 4,
  panic: 7,
  key: 8,
  hush: 9,
  fire: 10,
} as const;
/** Telemetry that tells of lines, not of doors. */
const NOISE = new Set(["output.changed", "input.changed", "reader.online"]);

const POLICY = parsePolicy({
  schema: 1,
  holidays: [],
  schedules: [],
  accessLevels: [
    { id: "all", name: "all", grants: [{ doors: ["walk", "drive"], schedule: "always" }] },
  ],
  cardholders: [1, 2, 3, 4].map((id) => ({ id, name: `p${id}`, accessLevels: ["all"] })),
  // 16 bits have no parity that a reader would check.
  credentials: [1, 2, 3, 4].map((id) => ({ id, cardholder: id, bits: 16, hex: `000${id}` })),
});

async function yard(latches: Set<string> = new Set()) {
  const clock = new VirtualClock();
  const gpio = new VirtualGpio(clock);
  const stop = new AbortController();
  // Idle data lines, open buttons and no vehicle are high; the fire loop is closed, so low.
  for (const line of [5, 6, 12, 13, 16, 17, 2, 3, 4, 7, 8, 9]) gpio.setLevel(CHIP, line, true);
  gpio.setLevel(CHIP, LINE.fire, false);
  const log = jsonLog(clock, () => {}, "error");
  const config = parseBoxConfig(await Deno.readTextFile(YARD), "box-yard.yaml", DRIVERS);
  const devices = await openDevices(config, {
    ...ABSENT,
    clock,
    log,
    gpio,
    simulatedGpio: gpio,
    serial: { open: () => Promise.reject(new Error("the yard has no serial line")) },
    simulateBus: () => "",
  }, stop.signal);
  const events: string[] = [];
  let seq = 0;
  const box = new Box(config, devices, {
    clock,
    log,
    journal: {
      append: (event: BoxEvent) => {
        if (!NOISE.has(event.kind)) {
          const { kind, credential: _credential, ...rest } = event as unknown as Record<
            string,
            unknown
          >;
          events.push([kind, ...Object.values(rest)].join(" "));
        }
        return Promise.resolve({ epoch: 1, lane: "access" as const, seq: ++seq });
      },
    },
    metrics: new BoxMetrics(),
    batons: { store: () => Promise.resolve() },
    modes: { of: () => "normal", set: () => {} },
    latches: {
      has: (input) => latches.has(input),
      set: (input, raised) => void (raised ? latches.add(input) : latches.delete(input)),
    },
  });
  box.setPolicy(compilePolicy(POLICY, 1));
  await clock.advance(100);
  return {
    clock,
    box,
    latches,
    /** What was recorded since it was asked last. */
    told: () => events.splice(0),
    on: (line: number) => gpio.level(CHIP, line),
    /** Presents card `id` by pulses on the two data lines. */
    card: async ([data0, data1]: readonly [number, number], id: number) => {
      for (const bit of id.toString(2).padStart(16, "0")) {
        const line = bit === "0" ? data0 : data1;
        gpio.setLevel(CHIP, line, false);
        await clock.advance(0.05);
        gpio.setLevel(CHIP, line, true);
        await clock.advance(1.95);
      }
      await clock.advance(30);
    },
    /** Closes a contact to ground, or opens it, past its debouncing. */
    close: async (line: number) => {
      gpio.setLevel(CHIP, line, false);
      await clock.advance(40);
    },
    open: async (line: number) => {
      gpio.setLevel(CHIP, line, true);
      await clock.advance(40);
    },
    async [Symbol.asyncDispose]() {
      box[Symbol.dispose]();
      await devices[Symbol.asyncDispose]();
      stop.abort();
      assert.equal(clock.pendingTimers(), 0);
    },
  };
}

Deno.test("a turnstile lets each card through once, by its direction, and tells who did not go", async () => {
  await using site = await yard();
  const { card, close, open, on, told, clock } = site;
  assert.deepEqual(told(), []);
  await card(LINE.walkIn, 1);
  await card(LINE.walkOut, 2);
  assert.deepEqual([on(LINE.letsIn), on(LINE.letsOut)], [true, false], "one after the other");
  await clock.advance(500);
  assert.deepEqual([on(LINE.letsIn), on(LINE.letsOut)], [false, false], "a pulse");
  await close(LINE.wentIn);
  await open(LINE.wentIn);
  await clock.advance(300);
  assert.deepEqual([on(LINE.letsIn), on(LINE.letsOut)], [false, true]);
  await clock.advance(9_000);
  assert.deepEqual(told(), [
    "access.granted walk walk-in 1",
    "door.unlocked walk access",
    "access.granted walk walk-out 2",
    "door.passed walk in",
    "door.relocked walk",
    "door.unlocked walk access",
    "door.relocked walk",
    "access.unused walk out 2",
  ]);
});

Deno.test("a full queue refuses the next card by name; a tailgater lights the beacon", async () => {
  await using site = await yard();
  const { card, close, open, on, told, clock } = site;
  for (const id of [1, 2, 3, 4]) await card(LINE.walkIn, id);
  assert.equal(told().at(-1), "access.denied walk walk-in 4 passage-busy");
  assert.deepEqual(site.box.execute({ name: "door.open", door: "walk" }).outcome, "refused");
  for (let person = 0; person < 4; person++) {
    await close(LINE.wentIn);
    await open(LINE.wentIn);
    await clock.advance(400);
  }
  const passages = told().filter((line) => /passed|tailgated/.test(line));
  assert.deepEqual(passages.slice(-2), ["door.passed walk in", "door.tailgated walk 1"]);
  assert.equal(passages.length, 5);
  assert.ok(on(LINE.lamp) && !on(LINE.horn));
  await clock.advance(31_000);
  assert.ok(!on(LINE.lamp));
});

Deno.test("a barrier waits for its vehicle and never comes down on it", async () => {
  await using site = await yard();
  const { card, close, open, on, told, clock } = site;
  await card(LINE.driveIn, 1);
  assert.ok(on(LINE.boomUp));
  await clock.advance(5_000);
  await close(LINE.loop);
  await clock.advance(60_000);
  assert.ok(!on(LINE.boomDown), "a vehicle stands under it");
  await open(LINE.loop);
  assert.ok(!on(LINE.boomDown));
  await clock.advance(1_000);
  assert.ok(on(LINE.boomDown) && !on(LINE.boomUp));
  await clock.advance(2_000);
  await close(LINE.loop);
  assert.ok(on(LINE.boomUp) && !on(LINE.boomDown), "raised again for one that follows");
  assert.deepEqual(told(), [
    "access.granted drive drive-in 1",
    "door.unlocked drive access",
    "door.passed drive in",
    "door.relocked drive",
    "door.tailgated drive 1",
    "door.unlocked drive access",
  ]);
});

Deno.test("a cut fire loop opens everything, at once and for as long as it is cut", async () => {
  await using site = await yard();
  const { close, open, on, told } = site;
  await open(LINE.fire);
  assert.deepEqual([LINE.letsIn, LINE.letsOut, LINE.boomUp, LINE.lamp].map(on), [
    true,
    true,
    true,
    true,
  ]);
  assert.deepEqual(told(), [
    "door.unlocked walk release",
    "door.unlocked drive release",
    "release.activated fire-loop",
  ]);
  await close(LINE.fire);
  assert.deepEqual([LINE.letsIn, LINE.letsOut, LINE.lamp].map(on), [false, false, false]);
  assert.deepEqual(told().at(-1), "release.cleared fire-loop");
});

Deno.test("an emergency stands until somebody resets it, also over a restart; each press is told", async () => {
  const latches = new Set<string>();
  {
    await using site = await yard(latches);
    const { close, open, on, told, clock } = site;
    await close(LINE.panic);
    assert.ok(on(LINE.horn) && on(LINE.lamp));
    await close(LINE.key);
    await open(LINE.key);
    assert.ok(on(LINE.horn), "the button is still pressed");
    assert.equal(site.box.execute({ name: "emergency.reset", input: "panic" }).outcome, "refused");
    await open(LINE.panic);
    await close(LINE.panic);
    await open(LINE.panic);
    assert.deepEqual(told(), ["emergency.raised panic", "emergency.raised panic"]);
    await close(LINE.hush);
    assert.ok(!on(LINE.horn) && on(LINE.lamp), "silenced, not over");
    assert.deepEqual(told(), ["signal.silenced siren input"]);
    await clock.advance(1_000);
  }
  {
    await using site = await yard(latches);
    assert.ok(site.on(LINE.horn), "a restart is no reset");
    assert.deepEqual(site.told(), [], "and no second emergency");
    await site.clock.advance(181_000);
    assert.ok(!site.on(LINE.horn) && site.on(LINE.lamp), "the siren has its longest time");
    await site.close(LINE.key);
    assert.ok(!site.on(LINE.lamp));
    assert.deepEqual(site.told(), ["emergency.cleared panic key"]);
    await site.close(LINE.panic);
    await site.open(LINE.panic);
    assert.equal(site.box.execute({ name: "signal.silence", signal: "siren" }).outcome, "done");
    assert.equal(site.box.execute({ name: "signal.silence", signal: "siren" }).outcome, "refused");
    assert.equal(site.box.execute({ name: "emergency.reset", input: "panic" }).outcome, "done");
    assert.equal(
      site.box.execute({ name: "emergency.reset", input: "went-in" }).outcome,
      "refused",
    );
    assert.deepEqual(site.told(), [
      "emergency.raised panic",
      "signal.silenced siren command",
      "emergency.cleared panic command",
    ]);
  }
  assert.equal(latches.size, 0);
});
