import assert from "node:assert/strict";
import { crc8 } from "../../../hal/mod.ts";
import { ABSENT, VirtualClock } from "../../../hal/sim/mod.ts";
import { linuxClock, linuxOneWireHost } from "../../../hal/linux/mod.ts";
import { ds18b20 } from "./mod.ts";

async function rig(measure: (rom: string) => Promise<number>) {
  const clock = new VirtualClock();
  const logged: string[] = [];
  const roms = new Set<string>();
  const oneWire = {
    ...ABSENT.oneWire,
    temperature: (rom: string) => {
      roms.add(rom);
      return measure(rom);
    },
  };
  const host = {
    clock,
    ...ABSENT,
    oneWire,
    log: (level: string, text: string) => logged.push(`${level} ${text}`),
  };
  const options = ds18b20.parseOptions({ device: "28-00000422b1c4" });
  const sensor = await ds18b20.open(host, options, new AbortController().signal);
  const seen: (number | undefined)[] = [];
  sensor.onReading((value) => seen.push(value));
  return { clock, sensor, seen, logged, roms };
}

Deno.test("it measures every so often, and 85 °C out of nothing is no measurement", async () => {
  const values = [21.4375, 21.5, 85, 21.5, 80, 85];
  const r = await rig(() => Promise.resolve(values.shift() ?? 86));
  assert.equal(r.sensor.value(), 21.4);
  await r.clock.advance(55_000);
  assert.equal(values.length, 0);
  assert.deepEqual(r.seen, [21.5, 21.5, 80, 85]);
  await r.sensor[Symbol.asyncDispose]();
  await r.sensor[Symbol.asyncDispose]();
  assert.equal(r.clock.pendingTimers(), 0);
  // Over a whole ROM code, its CRC included, the CRC is 0.
  const [rom] = [...r.roms];
  assert.equal(rom!.slice(2), "00000422b1c428");
  assert.equal(crc8(Uint8Array.fromHex(rom!).reverse()), 0);
});

Deno.test("one that does not answer is unknown, said once, and asked on", async () => {
  let well = true;
  const r = await rig(() => well ? Promise.resolve(20) : Promise.reject(new Error("no answer")));
  await r.clock.advance(1_000);
  well = false;
  await r.clock.advance(60_000);
  assert.equal(r.sensor.value(), undefined);
  well = true;
  await r.clock.advance(10_000);
  assert.deepEqual(r.seen, [undefined, 20]);
  assert.equal(r.logged.length, 1);
  await r.sensor[Symbol.asyncDispose]();
});

Deno.test("the kernel's file is read by the device's name; one without an answer is a fault", async () => {
  const sys = await Deno.makeTempDir();
  const folder = `${sys}/bus/w1/devices/28-00000422b1c4`;
  await Deno.mkdir(folder, { recursive: true });
  const host = linuxOneWireHost(linuxClock(), { sys });
  const read = () => host.temperature!("ff00000422b1c428", new AbortController().signal);
  await Deno.writeTextFile(`${folder}/temperature`, "-1250\n");
  assert.equal(await read(), -1.25);
  for (const text of ["", "\n", "21.5", "99999999"]) {
    await Deno.writeTextFile(`${folder}/temperature`, text);
    await assert.rejects(read(), { kind: "io" }, text);
  }
  await Deno.remove(`${folder}/temperature`);
  await assert.rejects(read(), { kind: "not-found" });
  await Deno.remove(sys, { recursive: true });
});

Deno.test("options that cannot be are refused by name", () => {
  for (
    const [options, message] of [
      [{ device: "10-00000422b1c4" }, /28-0316a2791ba4/],
      [{ device: "28-0000/../b1c4" }, /28-0316a2791ba4/],
      [{ device: "28-00000422b1c4", measureEveryMs: 500 }, /2000 to 600000/],
    ] as const
  ) {
    assert.throws(() => ds18b20.parseOptions(options), { name: "ValiError", message });
  }
});
