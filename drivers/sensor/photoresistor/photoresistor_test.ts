import assert from "node:assert/strict";
import { ABSENT, VirtualAnalog, VirtualClock } from "../../../hal/sim/mod.ts";
import { photoresistor } from "./mod.ts";

const LDR = { chip: "adc", channel: 0, fixedOhms: 10_000, r10Ohms: 15_000, gamma: 0.7 };

async function rig(options: object = {}) {
  const clock = new VirtualClock();
  const analog = new VirtualAnalog(clock);
  const host = { clock, ...ABSENT, analog, log: () => {} };
  const parsed = photoresistor.parseOptions({ ...LDR, ...options });
  const sensor = await photoresistor.open(host, parsed, new AbortController().signal);
  const at = async (ratio: number) => {
    analog.sample("adc", 0, ratio);
    await clock.advance(1_000);
    return sensor.value();
  };
  return { sensor, at };
}

Deno.test("10 lx at its nominal resistance, 100 lx a factor of 10^gamma below", async () => {
  const { sensor, at } = await rig();
  assert.equal(sensor.unit, "lx");
  assert.equal(await at(15_000 / 25_000), 10);
  const bright = 15_000 / 10 ** 0.7;
  assert.equal(await at(bright / (bright + 10_000)), 100);
  const other = await rig({ side: "supply" });
  assert.equal(await other.at(10_000 / 25_000), 10);
});

Deno.test("the dark is 0; a short is no brightness", async () => {
  const ground = await rig();
  assert.equal(await ground.at(1), 0);
  assert.equal(await ground.at(0), undefined);
  const supply = await rig({ side: "supply" });
  assert.equal(await supply.at(0), 0);
  assert.equal(await supply.at(1), undefined);
});

Deno.test("options that cannot be are refused by name", () => {
  for (
    const [options, message] of [
      [{ gamma: 3 }, /gamma/],
      [{ r10Ohms: -1 }, /ohms/],
      [{ chip: "" }, /converter/],
    ] as const
  ) {
    assert.throws(() => photoresistor.parseOptions({ ...LDR, ...options }), {
      name: "ValiError",
      message,
    });
  }
});
