import assert from "node:assert/strict";
import { join } from "node:path";
import { VirtualClock } from "../sim/mod.ts";
import { linuxAnalogHost } from "./mod.ts";

const never = new AbortController().signal;

type Files = Readonly<Record<string, string>>;

/** An IIO device as sysfs shows it. */
async function plug(sys: string, device: string, files: Files): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const path = join(sys, "bus/iio/devices", device, name);
    await Deno.mkdir(join(path, ".."), { recursive: true });
    await Deno.writeTextFile(path, text + "\n");
  }
}

const MCP3008: Files = {
  name: "mcp3008",
  in_voltage0_raw: "512",
  in_voltage1_raw: "1023",
  "in_voltage0-voltage1_raw": "7",
  in_voltage_scale: "3.222656250",
};
const ADS1115: Files = {
  // As Linux 6.12 shows an ADS1115.
  name: "ads1015",
  label: "loops",
  in_voltage0_raw: "13200",
  in_voltage0_scale: "0.125000000",
  "scan_elements/in_voltage0_type": "le:s16/16>>0",
};

async function withTree(run: (sys: string) => Promise<void>): Promise<void> {
  const sys = await Deno.makeTempDir();
  try {
    await run(sys);
  } finally {
    await Deno.remove(sys, { recursive: true });
  }
}

/** Real reads of real files, in virtual time. */
async function advance(clock: VirtualClock, ms: number): Promise<void> {
  for (let i = 0; i < ms / 50; i++) {
    await clock.advance(50);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("a channel is sampled ten times a second, as a share of the converter's range", async () => {
  await withTree(async (sys) => {
    await plug(sys, "iio:device0", MCP3008);
    const clock = new VirtualClock();
    const host = linuxAnalogHost(clock, { sys });
    await using line = await host.request({ chip: "iio:device0", channel: 0 }, never);
    assert.equal(line.read(), undefined);
    const samples: (number | undefined)[] = [];
    line.onSample((ratio) => samples.push(ratio));
    await advance(clock, 1_000);
    assert.ok(samples.length >= 8 && samples.length <= 11, `${samples.length} samples`);
    assert.equal(line.read(), 512 / 1023);
    await plug(sys, "iio:device0", { in_voltage0_raw: "2000" });
    await advance(clock, 300);
    assert.equal(line.read(), 1, "more than the range is the range");
    await plug(sys, "iio:device0", { in_voltage0_raw: "-3" });
    await advance(clock, 300);
    assert.equal(line.read(), 0);
  });
});

Deno.test("a converter with a reference of its own: by its bits, or against a voltage", async () => {
  await withTree(async (sys) => {
    await plug(sys, "iio:device3", ADS1115);
    const clock = new VirtualClock();
    const read = async (referenceMv?: number) => {
      const host = linuxAnalogHost(clock, { sys });
      const reference = referenceMv === undefined ? {} : { referenceMv };
      await using line = await host.request({ chip: "loops", channel: 0, ...reference }, never);
      await advance(clock, 200);
      return line.read();
    };
    assert.equal(await read(), 13_200 / 32_767);
    // 13200 steps of 0.125 mV are 1.65 V.
    assert.equal(await read(3_300), 0.5);
  });
});

Deno.test("a converter that vanishes is told as undefined, and found again under another number", async () => {
  await withTree(async (sys) => {
    await plug(sys, "iio:device0", MCP3008);
    const clock = new VirtualClock();
    const line = await linuxAnalogHost(clock, { sys }).request(
      { chip: "mcp3008", channel: 1 },
      never,
    );
    const samples: (number | undefined)[] = [];
    line.onSample((ratio) => samples.push(ratio));
    await advance(clock, 300);
    await Deno.remove(join(sys, "bus/iio/devices/iio:device0"), { recursive: true });
    await advance(clock, 300);
    assert.equal(line.read(), undefined);
    await plug(sys, "iio:device4", MCP3008);
    await advance(clock, 3_000);
    assert.equal(line.read(), 1);
    assert.equal(samples.filter((ratio) => ratio === undefined).length, 1);
    await line[Symbol.asyncDispose]();
    await line[Symbol.asyncDispose]();
    assert.equal(clock.pendingTimers(), 0);
  });
});

Deno.test("what cannot be had is told by kind, with what there is", async () => {
  await withTree(async (sys) => {
    const host = linuxAnalogHost(new VirtualClock(), { sys });
    const fault = (chip: string, channel: number, referenceMv?: number) =>
      host.request({ chip, channel, ...(referenceMv && { referenceMv }) }, never).then(
        (line) => line[Symbol.asyncDispose]().then(() => "none"),
        (error) => `${error.kind}: ${error.message}`,
      );
    assert.match(await fault("mcp3008", 0), /^not-found: .*There are: none/);
    await plug(sys, "iio:device0", MCP3008);
    await plug(sys, "iio:device1", { name: "mystery", in_voltage0_raw: "1" });
    assert.match(await fault("mcp3208", 0), /^not-found: .*iio:device0 \(mcp3008\)/);
    assert.match(await fault("mcp3008", 5), /^not-found: .*channels are 0, 1/);
    assert.match(await fault("mcp3008", -1), /^invalid/);
    assert.match(await fault("mystery", 0), /^unsupported: .*give the reference in mV/);
    assert.match(await fault("mystery", 0, 3_300), /^unsupported: .*no scale/);
    await using _ = await host.request({ chip: "mcp3008", channel: 0 }, never);
    assert.match(await fault("mcp3008", 0), /^busy/);
    assert.equal(await fault("mcp3008", 1), "none");
    assert.equal(await fault("mcp3008", 1), "none", "a released one can be had again");
  });
});

Deno.test("rubbish in place of a number is a lost converter, no crash", async () => {
  await withTree(async (sys) => {
    await plug(sys, "iio:device0", { ...MCP3008, in_voltage0_raw: "zz" });
    const clock = new VirtualClock();
    await using line = await linuxAnalogHost(clock, { sys }).request(
      { chip: "iio:device0", channel: 0 },
      never,
    );
    await advance(clock, 500);
    assert.equal(line.read(), undefined);
    await plug(sys, "iio:device0", { in_voltage0_raw: "1023" });
    await advance(clock, 3_000);
    assert.equal(line.read(), 1);
  });
});
