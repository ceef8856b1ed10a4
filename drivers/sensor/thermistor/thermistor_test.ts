import assert from "node:assert/strict";
import { ABSENT, VirtualAnalog, VirtualClock } from "../../../hal/sim/mod.ts";
import { thermistor } from "./mod.ts";

const NTC = { chip: "adc", channel: 0, fixedOhms: 10_000 };

async function rig(options: object = {}) {
  const clock = new VirtualClock();
  const analog = new VirtualAnalog(clock);
  const logged: string[] = [];
  const host = {
    clock,
    ...ABSENT,
    analog,
    log: (level: string, text: string) => logged.push(`${level} ${text}`),
  };
  const parsed = thermistor.parseOptions({ ...NTC, ...options });
  const sensor = await thermistor.open(host, parsed, new AbortController().signal);
  const seen: (number | undefined)[] = [];
  sensor.onReading((value) => seen.push(value));
  const at = async (ohms: number) => {
    analog.sample("adc", 0, ohms / (ohms + 10_000));
    await clock.advance(1_000);
    return sensor.value();
  };
  return { clock, analog, sensor, seen, logged, at };
}

Deno.test("the datasheet's table of a 10 kΩ NTC with B 3435, as well as one B-value can tell it", async () => {
  // Semitec 103AT-2 (R25 10 kΩ, B25/85 3435): its printed table, in kΩ.
  const { at, sensor } = await rig({ beta: 3_435 });
  assert.equal(sensor.unit, "Cel");
  const table = [[0, 27.28, 1.2], [25, 10, 0.1], [50, 4.16, 0.5], [80, 1.668, 0.2]] as const;
  for (const [celsius, kiloOhms, off] of table) {
    const value = (await at(kiloOhms * 1_000))!;
    assert.ok(Math.abs(value - celsius) <= off, `${celsius}: ${value}`);
  }
});

Deno.test("Steinhart and Hart's coefficients, and a thermistor at the supply", async () => {
  // The B-formula is Steinhart and Hart's with C = 0: A = 1/T25 - ln(R25)/B, B = 1/B.
  const formula = [1 / 298.15 - Math.log(10_000) / 3_950, 1 / 3_950, 0];
  const direct = await rig({ steinhartHart: formula });
  const plain = await rig({ beta: 3_950 });
  for (const ohms of [40_000, 10_000, 2_000]) {
    assert.equal(await direct.at(ohms), await plain.at(ohms));
  }
  // Coefficients as the makers print them, for a 10 kΩ probe of the kind most sold.
  const printed = await rig({ steinhartHart: [1.129241e-3, 2.341077e-4, 8.775468e-8] });
  assert.ok(Math.abs((await printed.at(10_000))! - 25) <= 0.1);
  assert.ok(Math.abs((await printed.at(32_650))! - 0) <= 0.2);
  const supply = await rig({ side: "supply", beta: 3_950 });
  supply.analog.sample("adc", 0, 10_000 / (10_000 + 32_650));
  await supply.clock.advance(1_000);
  assert.ok(Math.abs(supply.sensor.value()! - 0) <= 0.6, `${supply.sensor.value()}`);
});

Deno.test("samples of a second make one value", async () => {
  const { clock, analog, seen } = await rig();
  for (let i = 0; i < 100; i++) {
    analog.sample("adc", 0, 0.5 + (i % 2 ? 0.01 : -0.01));
    await clock.advance(100);
  }
  assert.equal(seen.length, 10);
  assert.ok(seen.every((value) => Math.abs(value! - 25) < 0.3), seen.join(" "));
});

Deno.test("a broken or short wire, and a lost converter, make it unknown and are said once", async () => {
  for (const ratio of [1, 0, 0.998, undefined]) {
    const { clock, analog, sensor, seen, logged, at } = await rig();
    await at(10_000);
    for (let i = 0; i < 5; i++) {
      analog.sample("adc", 0, ratio);
      await clock.advance(1_000);
    }
    assert.equal(sensor.value(), undefined);
    assert.deepEqual(seen, [25, undefined]);
    assert.equal(logged.length, 1);
    assert.equal(await at(10_000), 25);
    await sensor[Symbol.asyncDispose]();
    await sensor[Symbol.asyncDispose]();
    assert.equal(clock.pendingTimers(), 0);
  }
});

Deno.test("options that cannot be are refused by name", () => {
  for (
    const [options, message] of [
      [{ fixedOhms: 0 }, /ohms/],
      [{ beta: 39 }, /B in kelvin/],
      [{ steinhartHart: [1, 2] }, /A, B and C|coefficient/],
      [{ side: "left" }, /ground or supply/],
      [{ channel: 1.5 }, /analog input/],
    ] as const
  ) {
    assert.throws(() => thermistor.parseOptions({ ...NTC, ...options }), {
      name: "ValiError",
      message,
    });
  }
});

Deno.test("the voltage that counts as full scale is handed to the converter", async () => {
  const asked: object[] = [];
  const clock = new VirtualClock();
  const analog = new VirtualAnalog(clock);
  const host = {
    clock,
    ...ABSENT,
    analog: {
      request: (...[settings, signal]: Parameters<VirtualAnalog["request"]>) => {
        asked.push(settings);
        return analog.request(settings, signal);
      },
    },
    log: () => {},
  };
  for (const options of [NTC, { ...NTC, referenceMv: 3_300 }]) {
    const parsed = thermistor.parseOptions(options);
    await using _ = await thermistor.open(host, parsed, new AbortController().signal);
  }
  assert.deepEqual(asked, [
    { chip: "adc", channel: 0 },
    { chip: "adc", channel: 0, referenceMv: 3_300 },
  ]);
});
