import assert from "node:assert/strict";
import { VirtualClock, VirtualGpio } from "../../../hal/sim/mod.ts";
import { type Pulse, watchGpioLines } from "./gpio_watch.ts";
import type { Sighting } from "./sighting.ts";

const CHIP = "pinctrl-bcm2711";
/** Facility 18, number 52719, H10301: even parity, 24 bits, odd parity. */
const H10301 = "00001001011001101111011111";

/** Parity of H10301, written here anew: ones even over the first 13 bits, odd over the rest. */
function readPulses(pulses: readonly Pulse[]) {
  const bits = pulses.map((pulse) => Number(pulse.bit));
  if (bits.length !== 26) return undefined;
  const holds = (all: readonly number[]) =>
    all.slice(0, 13).reduce((a, b) => a + b) % 2 === 0 &&
    all.slice(13).reduce((a, b) => a + b) % 2 === 1;
  if (!holds(bits)) return holds(bits.map((bit) => 1 - bit)) ? "swapped" as const : undefined;
  const data = new Uint8Array(4);
  bits.forEach((bit, index) => data[index >> 3]! |= bit << (7 - (index & 7)));
  return { bits: 26, data };
}

async function rig(lines: readonly number[]) {
  const clock = new VirtualClock();
  const gpio = new VirtualGpio(clock);
  const stop = new AbortController();
  const seen: Sighting[] = [];
  const watching = watchGpioLines(
    CHIP,
    lines,
    { clock, gpio, readPulses },
    (sighting) => seen.push(sighting),
    stop.signal,
  );
  await clock.advance(1);
  const set = async (line: number, high: boolean, ms: number) => {
    gpio.setLevel(CHIP, line, high);
    await clock.advance(ms);
  };
  const tap = async (bits: string, zero: number, one: number) => {
    for (const bit of bits) {
      const line = bit === "0" ? zero : one;
      await set(line, false, 0.1);
      await set(line, true, 1.9);
    }
    await clock.advance(300);
  };
  return {
    clock,
    gpio,
    seen,
    set,
    tap,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await watching;
      assert.equal(clock.pendingTimers(), 0);
    },
  };
}

Deno.test("a card on two lines is a Wiegand reader, whichever way round they are", async () => {
  await using bench = await rig([4, 5, 6, 17]);
  await bench.tap(H10301, 5, 6);
  await bench.tap(H10301, 17, 4);
  const places = bench.seen.map((one) => one.kind === "card" && one.places[0]!.options);
  assert.deepEqual(places, [
    { chip: CHIP, data0: 5, data1: 6 },
    { chip: CHIP, data0: 17, data1: 4 },
  ]);
  const [card] = bench.seen;
  assert.ok(card?.kind === "card");
  assert.deepEqual([card.bits, card.data.toHex()], [26, "0966f7c0"]);
});

Deno.test("contacts and buttons are inputs, told once as they leave their rest, active as they then are", async () => {
  await using bench = await rig([4, 5, 22]);
  bench.gpio.setLevel(CHIP, 22, true);
  // A door contact: bounces, stays, and comes back.
  for (const high of [false, true, false]) await bench.set(4, high, 3);
  await bench.clock.advance(2_000);
  // It rattles in the wind, open.
  for (const high of [true, false]) await bench.set(4, high, 5);
  await bench.clock.advance(2_000);
  await bench.set(4, true, 1_000);
  // A button: a quarter of a second.
  await bench.set(5, false, 120);
  await bench.set(5, true, 1_000);
  // A spark.
  await bench.set(22, false, 2);
  await bench.set(22, true, 1_000);
  assert.deepEqual(
    bench.seen,
    [4, 5].map((line) => ({
      kind: "input",
      place: { on: "gpio", chip: CHIP, line, activeLow: true },
      active: true,
    })),
  );
});

Deno.test("a line that rests low, closed to ground, is active when it goes high", async () => {
  const clock = new VirtualClock();
  const gpio = new VirtualGpio(clock);
  gpio.setLevel(CHIP, 23, false);
  const stop = new AbortController();
  const seen: Sighting[] = [];
  const watching = watchGpioLines(
    CHIP,
    [23],
    { clock, gpio, readPulses },
    (one) => seen.push(one),
    stop.signal,
  );
  await clock.advance(1);
  gpio.setLevel(CHIP, 23, true);
  await clock.advance(1_000);
  stop.abort();
  await watching;
  assert.deepEqual(seen.map((one) => one.kind === "input" && one.place), [
    { on: "gpio", chip: CHIP, line: 23, activeLow: false },
  ]);
});

Deno.test("lines in use are named and the others watched; noise on many lines is no card", async () => {
  const clock = new VirtualClock();
  const gpio = new VirtualGpio(clock);
  const { signal } = new AbortController();
  await using _held = await gpio.request({ chip: CHIP, line: 5, direction: "output" }, signal);
  const stop = new AbortController();
  const seen: Sighting[] = [];
  const watching = watchGpioLines(
    CHIP,
    [4, 5, 6, 7],
    { clock, gpio, readPulses },
    (one) => seen.push(one),
    stop.signal,
  );
  await clock.advance(1);
  const [first] = seen;
  assert.match(first?.kind === "note" ? first.note.en : "", /lines 5 of .* are in use/);
  for (let i = 0; i < 4_000; i++) {
    gpio.setLevel(CHIP, [4, 6, 7][i % 3]!, i % 2 === 0);
    await clock.advance(0.3);
  }
  await clock.advance(1_000);
  assert.ok(!seen.some((one) => one.kind === "card"));
  stop.abort();
  await watching;
});
