import assert from "node:assert/strict";
import { ABSENT, VirtualAnalog, VirtualClock } from "../../../hal/sim/mod.ts";
import { loopLevels, stateOf, supervisedInput } from "./mod.ts";

const LOOP = {
  chip: "adc",
  channel: 3,
  contact: "normally-closed",
  pullUpOhms: 4_700,
  seriesOhms: 2_200,
  parallelOhms: 4_700,
};

/** What a converter measures of the loop by Ohm's law, written apart from the driver. */
function measured(loopOhms: number, pullUpOhms = 4_700, supply = 1): number {
  const current = supply / (pullUpOhms + loopOhms);
  return Number.isFinite(loopOhms) ? current * loopOhms : supply;
}

async function rig(options: object = {}) {
  const clock = new VirtualClock();
  const analog = new VirtualAnalog(clock);
  const host = { clock, ...ABSENT, analog, log: () => {} };
  const parsed = supervisedInput.parseOptions({ ...LOOP, ...options });
  const input = await supervisedInput.open(host, parsed, new AbortController().signal);
  const seen: unknown[] = [];
  input.onChange((active, atMs) => seen.push([active, input.fault(), atMs]));
  /** Samples of one loop, ten a second, with a little noise. */
  const hold = async (loopOhms: number, ms: number, supply = 1) => {
    for (let at = 0; at < ms; at += 100) {
      analog.sample(
        "adc",
        3,
        measured(loopOhms, 4_700, supply) + (at % 200 === 0 ? 0.004 : -0.004),
      );
      await clock.advance(100);
    }
  };
  return { clock, analog, input, seen, hold };
}

Deno.test("normal, alarm, broken and short are told apart, each after its debounce", async () => {
  const r = await rig();
  await using _ = r.input;
  assert.equal(r.input.active(), undefined);
  await r.hold(2_200, 1_000);
  await r.hold(6_900, 1_000);
  await r.hold(Infinity, 1_000);
  await r.hold(6_900, 1_000);
  await r.hold(0, 1_000);
  await r.hold(2_200, 1_000);
  assert.deepEqual(r.seen, [
    [false, undefined, 0],
    [true, undefined, 1_200],
    [undefined, "open", 2_200],
    [true, undefined, 3_200],
    [undefined, "short", 4_200],
    [false, undefined, 5_200],
  ]);
});

Deno.test("a fire input's broken wire is a fault and no fire, unless it is asked for", async () => {
  const cautious = await rig({ contact: "normally-open" });
  await cautious.hold(6_900, 500);
  await cautious.hold(Infinity, 500);
  assert.deepEqual([cautious.input.active(), cautious.input.fault()], [undefined, "open"]);
  const releasing = await rig({ contact: "normally-open", whenFault: "active" });
  await releasing.hold(6_900, 500);
  assert.equal(releasing.input.active(), false);
  await releasing.hold(Infinity, 500);
  assert.deepEqual([releasing.input.active(), releasing.input.fault()], [true, "open"]);
  await releasing.hold(2_200, 500);
  assert.deepEqual([releasing.input.active(), releasing.input.fault()], [true, undefined]);
});

Deno.test("with one resistor what can be told apart is", async () => {
  const parallel = await rig({ contact: "normally-open", seriesOhms: undefined });
  await parallel.hold(4_700, 500);
  assert.equal(parallel.input.active(), false);
  await parallel.hold(0, 500);
  assert.deepEqual([parallel.input.active(), parallel.input.fault()], [true, undefined]);
  await parallel.hold(Infinity, 500);
  assert.equal(parallel.input.fault(), "open");
  const series = await rig({ parallelOhms: undefined });
  await series.hold(2_200, 500);
  assert.equal(series.input.active(), false);
  await series.hold(Infinity, 500);
  assert.deepEqual([series.input.active(), series.input.fault()], [true, undefined]);
  await series.hold(0, 500);
  assert.equal(series.input.fault(), "short");
});

Deno.test("resistors and supply within the tolerance change nothing, at any corner", () => {
  for (const contact of ["normally-open", "normally-closed"] as const) {
    const circuit = { ...LOOP, contact, tolerance: 0.1, supplyRatio: 1 };
    const levels = loopLevels(circuit);
    const [closed, open] = contact === "normally-open"
      ? ["operated", "resting"]
      : ["resting", "operated"];
    for (const s of [0.9, 1, 1.1]) {
      for (const p of [0.9, 1, 1.1]) {
        for (const u of [0.9, 1, 1.1]) {
          const at = (ohms: number) => stateOf(levels, measured(ohms, 4_700 * u), undefined, 0);
          assert.equal(at(0), "short");
          assert.equal(at(2_200 * s), closed);
          assert.equal(at(2_200 * s + 4_700 * p), open);
          assert.equal(at(Infinity), "open");
        }
      }
    }
  }
});

Deno.test("noise at a border does not flap", async () => {
  const r = await rig({ debounceMs: 0, hysteresis: 0.02 });
  await using _ = r.input;
  await r.hold(2_200, 200);
  const [border] = loopLevels({
    ...LOOP,
    contact: "normally-closed",
    tolerance: 0.1,
    supplyRatio: 1,
  })
    .filter(({ state }) => state === "resting");
  for (let i = 0; i < 50; i++) r.analog.sample("adc", 3, border!.to + (i % 2 ? 0.015 : -0.015));
  assert.equal(r.seen.length, 1);
  r.analog.sample("adc", 3, border!.to + 0.025);
  assert.equal(r.input.active(), true);
  for (let i = 0; i < 50; i++) r.analog.sample("adc", 3, border!.to + (i % 2 ? 0.015 : -0.015));
  assert.equal(r.seen.length, 2);
});

Deno.test("a touch that is shorter than the debounce is none", async () => {
  const r = await rig();
  await using _ = r.input;
  await r.hold(2_200, 500);
  await r.hold(0, 100);
  await r.hold(6_900, 100);
  await r.hold(2_200, 1_000);
  assert.equal(r.seen.length, 1);
});

Deno.test("a converter that is lost makes it unknown, without a fault of the wires", async () => {
  const r = await rig();
  await using _ = r.input;
  await r.hold(Infinity, 500);
  r.analog.sample("adc", 3, undefined);
  assert.deepEqual([r.input.active(), r.input.fault()], [undefined, undefined]);
  await r.hold(2_200, 100);
  assert.equal(r.input.active(), false);
  await r.input[Symbol.asyncDispose]();
  assert.equal(r.clock.pendingTimers(), 0);
});

Deno.test("circuits that cannot tell are refused, with what to change", () => {
  for (
    const [options, message] of [
      [{ seriesOhms: undefined, parallelOhms: undefined }, /end-of-line resistors/],
      [{ seriesOhms: 10 }, /short .* and resting .* cannot be told apart/],
      [{ parallelOhms: 1_000_000 }, /operated .* and open .* cannot be told apart/],
      [{ seriesOhms: 4_700, parallelOhms: 470 }, /resting .* and operated/],
      [{ pullUpOhms: 0 }, /1 to 10000000/],
      [{ contact: "open" }, /normally-open or normally-closed/],
      [{ whenFault: "normal" }, /unknown or active/],
    ] as const
  ) {
    assert.throws(() => supervisedInput.parseOptions({ ...LOOP, ...options }), {
      name: "ValiError",
      message,
    });
  }
});
