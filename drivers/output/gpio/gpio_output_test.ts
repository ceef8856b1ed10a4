import assert from "node:assert/strict";
import { ABSENT, VirtualClock, VirtualGpio } from "../../../hal/sim/mod.ts";
import { gpioOutput } from "./mod.ts";

const never = () => new AbortController().signal;

function rig() {
  const clock = new VirtualClock();
  const gpio = new VirtualGpio(clock);
  const logged: string[] = [];
  const levels: boolean[] = [];
  gpio.onDriven((_chip, _line, high) => levels.push(high));
  const host = {
    clock,
    ...ABSENT,
    gpio,
    log: (level: string, text: string) => logged.push(`${level} ${text}`),
  };
  const open = (options: object) =>
    gpioOutput.open(
      host,
      gpioOutput.parseOptions({ chip: "gpiochip0", line: 17, ...options }),
      never(),
    );
  return { clock, gpio, logged, levels, open };
}

for (const safe of ["released", "energised"] as const) {
  for (const activeLow of [false, true]) {
    Deno.test(`safe ${safe}, active ${activeLow ? "low" : "high"}: at start and at disposal`, async () => {
      const { levels, open } = rig();
      const output = await open({ safe, activeLow });
      const safeLevel = (safe === "energised") !== activeLow;
      assert.deepEqual(levels, [safeLevel]);
      assert.equal(output.commanded(), undefined);
      output.set(true);
      output.set(false);
      assert.equal(output.commanded(), false);
      await output[Symbol.asyncDispose]();
      await output[Symbol.asyncDispose]();
      assert.deepEqual(levels, [safeLevel, !activeLow, activeLow, safeLevel]);
    });
  }
}

Deno.test("listeners hear of it after the line was driven, in the same tick", async () => {
  const { clock, gpio, open } = rig();
  await using output = await open({});
  await clock.advance(12);
  const heard: unknown[] = [];
  const cancel = output.onDriven((active, atMs) =>
    heard.push([active, atMs, gpio.level("gpiochip0", 17)])
  );
  output.set(true);
  assert.deepEqual(heard, [[true, 12, true]]);
  cancel();
  cancel();
  output.set(false);
  assert.equal(heard.length, 1);
});

Deno.test("a chip that is gone, or a closed output, is logged and nobody told", async () => {
  const { gpio, logged, open } = rig();
  const output = await open({});
  let heard = 0;
  output.onDriven(() => heard++);
  gpio.unplug("gpiochip0");
  output.set(true);
  await output[Symbol.asyncDispose]();
  output.set(true);
  assert.equal(heard, 0);
  assert.deepEqual(logged, [
    "error an output could not be driven; its line is asked for again",
    "warn an output was driven after it was closed",
  ]);
});

Deno.test("a chip that comes back is driven to what was commanded last", async () => {
  const { clock, gpio, levels, open } = rig();
  await using output = await open({ safe: "energised" });
  output.set(false);
  gpio.unplug("gpiochip0");
  output.set(true);
  output.set(false);
  levels.length = 0;
  const heard: boolean[] = [];
  output.onDriven((active) => heard.push(active));
  await clock.advance(600);
  assert.deepEqual([levels, heard], [[false], [false]]);
  output.set(true);
  assert.deepEqual([levels, heard], [[false, true], [false, true]]);
});

Deno.test("a line is held by one output", async () => {
  const { open } = rig();
  const first = await open({});
  await assert.rejects(open({}), { kind: "busy" });
  await first[Symbol.asyncDispose]();
  await using _second = await open({});
});

Deno.test("options that cannot be are refused by name", () => {
  const bad: [object, RegExp][] = [
    [{ chip: "", line: 1 }, /GPIO chip/],
    [{ chip: "x".repeat(32), line: 1 }, /31 characters/],
    [{ chip: "gpiochip0", line: -1 }, /from 0/],
    [{ chip: "gpiochip0", line: 1.5 }, /from 0/],
    [{ chip: "gpiochip0", line: 1, safe: "on" }, /released, energised, or/],
    [{ chip: "gpiochip0", line: 1, activelow: true }, /activelow/],
  ];
  for (const [options, message] of bad) {
    assert.throws(() => gpioOutput.parseOptions(options), { name: "ValiError", message });
  }
  assert.equal(gpioOutput.parseOptions({ chip: "gpiochip0", line: 0 }).activeLow, false);
});

Deno.test("a safe state in one word, in full, and in part", () => {
  const parse = (safe?: unknown) =>
    gpioOutput.parseOptions({ chip: "gpiochip0", line: 0, ...(safe === undefined ? {} : { safe }) })
      .safe;
  const all = (coil: string) => ({ onBoot: coil, onExit: coil, onCrash: coil });
  assert.deepEqual(parse(), all("released"));
  assert.deepEqual(parse("energised"), all("energised"));
  const full = { onBoot: "released", onExit: "energised", onCrash: "keep" };
  assert.deepEqual(parse(full), full);
  assert.deepEqual(parse({}), all("released"));
  assert.deepEqual(parse({ onExit: "energised" }), { ...all("energised"), onBoot: "released" });
  for (const safe of [{ onBoot: "keep" }, { onCrash: "off" }, { onStop: "released" }, 1, null]) {
    assert.throws(() => parse(safe), { name: "ValiError" });
  }
});

Deno.test("the line is requested at onBoot, with onCrash for the guard, and left at onExit", async () => {
  const { gpio, levels, open } = rig();
  const settings: unknown[] = [];
  const request = gpio.request.bind(gpio);
  gpio.request = (wanted, signal) => {
    settings.push([wanted.initial, wanted.onCrash]);
    return request(wanted, signal);
  };
  const onCrash = { released: false, energised: true, keep: "keep" } as const;
  for (const [coil, level] of Object.entries(onCrash)) {
    const safe = { onBoot: "energised", onExit: "released", onCrash: coil };
    await (await open({ safe }))[Symbol.asyncDispose]();
    assert.deepEqual(settings.pop(), [true, level]);
    assert.deepEqual(levels.splice(0), [true, false]);
  }
});
