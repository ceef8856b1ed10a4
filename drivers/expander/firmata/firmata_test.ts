import assert from "node:assert/strict";
import type { SerialPort } from "../../../hal/mod.ts";
import { ABSENT, type Delivery, memorySerialLine, VirtualClock } from "../../../hal/sim/mod.ts";
import {
  SimulatedFirmataBoard,
  type SimulatedFirmataOptions,
} from "../../../hal/sim/firmata_board/mod.ts";
import { gpioInput } from "../../input/gpio/mod.ts";
import { gpioOutput } from "../../output/gpio/mod.ts";
import { firmata } from "./mod.ts";

const never = () => new AbortController().signal;

async function rig(
  options: object = {},
  simulated: SimulatedFirmataOptions = {},
  interfere?: (bytes: Uint8Array, from: "a" | "b") => readonly Delivery[],
) {
  const clock = new VirtualClock();
  const logged: string[] = [];
  const device = new SimulatedFirmataBoard(clock, simulated);
  let plugged = true;
  let hangUp = () => {};
  const openPort = (): Promise<SerialPort> => {
    if (!plugged) return Promise.reject(new Error("no such port"));
    const line = memorySerialLine(clock, interfere === undefined ? {} : { interfere });
    const stop = new AbortController();
    hangUp = () => {
      stop.abort();
      line.hangUp();
    };
    void device.serve(line.b, stop.signal);
    return Promise.resolve(line.a);
  };
  const abort = new AbortController();
  const log = (level: string, text: string, fields: object = {}) =>
    logged.push(`${level} ${text} ${JSON.stringify(fields)}`);
  const bus = await firmata.open(
    { clock, openPort, log },
    [firmata.parseOptions(options)],
    abort.signal,
  );
  const expander = bus.expanders[0]!;
  const host = { clock, log, ...ABSENT, gpio: expander.gpio, analog: expander.analog };
  return {
    clock,
    logged,
    device,
    abort,
    bus,
    expander,
    openOutput: (of: object) =>
      gpioOutput.open(host, gpioOutput.parseOptions({ chip: "io", ...of }), never()),
    openInput: async (of: object) => {
      const parsed = gpioInput.parseOptions({ chip: "io", debounceMs: 0, ...of });
      const input = await gpioInput.open(host, parsed, never());
      const seen: (boolean | undefined)[] = [];
      input.onChange((active) => seen.push(active));
      return { input, seen };
    },
    pull: () => {
      plugged = false;
      hangUp();
    },
    plug: () => void (plugged = true),
  };
}

Deno.test("the GPIO drivers drive a pin and hear one with a pull-up, unchanged", async () => {
  const r = await rig();
  await using _ = r.bus;
  const output = await r.openOutput({ line: 8 });
  const { input, seen } = await r.openInput({ line: 4, bias: "pull-up", activeLow: true });
  const driven: boolean[] = [];
  output.onDriven((active) => driven.push(active));
  assert.equal(input.active(), undefined);
  await r.clock.advance(1_200);
  assert.equal(r.expander.online(), true);
  assert.equal(r.device.mode(4), 11);
  assert.equal(input.active(), false);
  // A button to ground beside an output on the same port.
  output.set(true);
  await r.clock.advance(10);
  assert.equal(r.device.level(8), true);
  assert.deepEqual(driven, [true]);
  r.device.setPin(4, false);
  await r.clock.advance(10);
  assert.equal(input.active(), true);
  r.device.setPin(4, undefined);
  await r.clock.advance(10);
  assert.deepEqual(seen, [false, true, false]);
  const closing = output[Symbol.asyncDispose]();
  await r.clock.advance(10);
  await closing;
  assert.equal(r.device.level(8), false);
});

Deno.test("writing to an output leaves the inputs of its port without pull-up", async () => {
  const r = await rig();
  await using _ = r.bus;
  const output = await r.openOutput({ line: 3 });
  const { input } = await r.openInput({ line: 5 });
  r.device.setPin(5, true);
  await r.clock.advance(1_200);
  assert.equal(input.active(), true);
  output.set(true);
  await r.clock.advance(50);
  assert.equal(r.device.mode(5), 0);
});

Deno.test("analog inputs are shares of the converter's range, at the interval asked for", async () => {
  const r = await rig({ samplingMs: 200 });
  await using _ = r.bus;
  r.device.setAnalog(2, 512);
  const line = await r.expander.analog.request({ chip: "io", channel: 2 }, never());
  const samples: (number | undefined)[] = [];
  line.onSample((ratio) => samples.push(ratio));
  await r.clock.advance(1_100);
  assert.equal(line.read(), 512 / 1023);
  samples.length = 0;
  await r.clock.advance(2_000);
  assert.ok(samples.length >= 9 && samples.length <= 11, `${samples.length}`);
  r.pull();
  await r.clock.advance(10);
  assert.equal(line.read(), undefined);
});

Deno.test("a pull makes inputs unknown; back again, pins and levels are as told", async () => {
  const r = await rig();
  await using _ = r.bus;
  const online: boolean[] = [];
  r.expander.onOnline((on) => online.push(on));
  const output = await r.openOutput({ line: 12 });
  const { input, seen } = await r.openInput({ line: 2, bias: "pull-up" });
  await r.clock.advance(1_500);
  r.pull();
  await r.clock.advance(10);
  assert.equal(input.active(), undefined);
  output.set(true);
  r.device.setPin(2, false);
  await r.clock.advance(3_000);
  r.plug();
  await r.clock.advance(8_000);
  assert.equal(r.device.level(12), true);
  assert.equal(input.active(), false);
  assert.deepEqual(online, [true, false, true]);
  assert.deepEqual(seen, [true, undefined, false]);
});

Deno.test("a board that is reset is set up again as soon as it greets", async () => {
  const r = await rig();
  await using _ = r.bus;
  const output = await r.openOutput({ line: 7 });
  const { input } = await r.openInput({ line: 2, bias: "pull-up" });
  output.set(true);
  await r.clock.advance(1_500);
  assert.equal(r.device.level(7), true);
  r.device.restart();
  assert.equal(r.device.level(7), false);
  await r.clock.advance(1_050);
  assert.equal(r.device.level(7), true);
  assert.equal(r.device.mode(2), 11);
  assert.equal(input.active(), true);
  assert.equal(r.expander.online(), true);
  assert.match(r.logged.at(-1)!, /the Arduino was reset/);
});

Deno.test("a greeting that was lost is noticed by the state of a pin", async () => {
  let deaf = false;
  const r = await rig(
    {},
    { bootMs: 100 },
    (bytes, from) => deaf && from === "b" ? [] : [{ bytes }],
  );
  await using _ = r.bus;
  const output = await r.openOutput({ line: 7 });
  output.set(true);
  await r.clock.advance(1_500);
  deaf = true;
  r.device.restart();
  await r.clock.advance(200);
  deaf = false;
  assert.equal(r.device.level(7), false);
  await r.clock.advance(1_000);
  assert.equal(r.device.level(7), true);
  assert.match(r.logged.at(-1)!, /not as it was told/);
});

Deno.test("a board that hangs is offline within 3 s, and back by itself", async () => {
  const r = await rig();
  await using _ = r.bus;
  await r.clock.advance(1_500);
  r.device.faults.silent = true;
  await r.clock.advance(3_000);
  assert.equal(r.expander.online(), false);
  r.device.faults.silent = false;
  await r.clock.advance(12_000);
  assert.equal(r.expander.online(), true);
});

Deno.test("what is no Firmata, or an old one, is said with what to do", async () => {
  const old = await rig({}, { version: [2, 3] });
  await old.clock.advance(1_500);
  assert.equal(old.expander.online(), false);
  assert.match(old.logged.join("\n"), /Firmata 2\.3; upload StandardFirmata/);
  await old.bus[Symbol.asyncDispose]();
  const mute = await rig();
  mute.device.faults.silent = true;
  await mute.clock.advance(11_000);
  assert.match(mute.logged.join("\n"), /no board answers; check its USB cable/);
  await mute.bus[Symbol.asyncDispose]();
});

Deno.test("bytes that lie end the connection and nothing else", async () => {
  const lies: readonly (readonly [string, Uint8Array, RegExp])[] = [
    [
      "the state of a pin that is not there",
      Uint8Array.of(0xf0, 0x6e, 99, 1, 0, 0xf7),
      /what Firmata does not allow/,
    ],
    [
      "a mapping of more pins than there are",
      Uint8Array.of(0xf0, 0x6a, ...Array(100).fill(3), 0xf7),
      /what Firmata does not allow/,
    ],
    [
      "a message without end",
      Uint8Array.of(0xf0, 0x71, ...Array(9_000).fill(1)),
      /a message without end/,
    ],
  ];
  for (const [what, bytes, said] of lies) {
    let lie: Uint8Array | undefined;
    const r = await rig({}, { bootMs: 100 }, (sent, from) => {
      if (from === "a" || lie === undefined) return [{ bytes: sent }];
      const now = lie;
      lie = undefined;
      return [{ bytes: sent }, { bytes: now }];
    });
    await r.clock.advance(500);
    assert.equal(r.expander.online(), true, what);
    lie = bytes;
    await r.clock.advance(15_000);
    assert.match(r.logged.join(), said, what);
    assert.equal(r.expander.online(), true, what);
    await r.bus[Symbol.asyncDispose]();
  }
});

Deno.test("random bytes among its own stop nothing, and no input stays what it was", async () => {
  // The first three swallow the last change of the input.
  for (const seed of [2, 9, 17, Math.trunc(Math.random() * 2 ** 31)]) await noise(seed);
});

async function noise(seed: number): Promise<void> {
  let state = seed;
  const random = () => (state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff);
  let spoilt = true;
  const r = await rig({}, { bootMs: 100 }, (bytes, from) => {
    if (!spoilt || from === "a" || random() % 4 !== 0) return [{ bytes }];
    return [{ bytes: Uint8Array.from({ length: random() % 60 }, () => random() >> 9) }, { bytes }];
  });
  const { input } = await r.openInput({ line: 4, bias: "pull-up" });
  for (let i = 0; i < 60; i++) {
    r.device.setPin(4, i % 2 === 0);
    await r.clock.advance(500);
  }
  spoilt = false;
  r.device.setPin(4, false);
  await r.clock.advance(20_000);
  assert.equal(r.expander.online(), true, `seed ${seed}`);
  assert.equal(input.active(), false, `seed ${seed}`);
  await input[Symbol.asyncDispose]();
  await r.bus[Symbol.asyncDispose]();
}

Deno.test("an infrared line sends its code when it changes, and never by itself", async () => {
  const on = { protocol: "nec", address: 0x1234, command: 0x56, repeats: 1 };
  const off = { protocol: "sony", address: 1, command: 0x15 };
  const r = await rig({ infrared: [{ line: 128, on, off }] });
  await using _ = r.bus;
  const sent: (readonly number[])[] = [];
  r.device.onUserMessage((message) => sent.push(message));
  const output = await r.openOutput({ line: 128 });
  await r.clock.advance(1_500);
  r.device.restart();
  await r.clock.advance(1_500);
  assert.deepEqual(sent, []);
  output.set(true);
  output.set(true);
  await r.clock.advance(10);
  output.set(false);
  await r.clock.advance(10);
  assert.deepEqual(sent, [
    [0x0c, 0, 0x34, 0x24, 0, 0x56, 0, 0, 1],
    [0x0c, 2, 1, 0, 0, 0x15, 0, 0, 0],
  ]);
});

Deno.test("pins that cannot be are refused, or said when the board is known", async () => {
  const r = await rig();
  await using _ = r.bus;
  // Not known yet: it is taken, and said later.
  await r.openOutput({ line: 1 });
  await r.clock.advance(1_500);
  assert.match(r.logged.join("\n"), /error a pin of the Arduino cannot do what it is wired for/);
  const { gpio, analog } = r.expander;
  const ask = (settings: object) =>
    gpio.request({ chip: "io", direction: "input", line: 4, ...settings }, never());
  await assert.rejects(ask({ line: 20 }), { kind: "not-found", message: /pins up to 19/ });
  await assert.rejects(ask({ bias: "pull-down" }), { kind: "unsupported" });
  await assert.rejects(ask({ line: 1 }), { kind: "busy" });
  await assert.rejects(analog.request({ chip: "io", channel: 6 }, never()), { kind: "not-found" });
});

Deno.test("an abort ends everything, also while the board boots", async () => {
  for (const afterMs of [10, 1_500]) {
    const r = await rig();
    await r.clock.advance(afterMs);
    r.abort.abort();
    await r.bus[Symbol.asyncDispose]();
    assert.equal(r.expander.online(), false);
    r.pull();
    await r.clock.advance(5_000);
    assert.equal(r.clock.pendingTimers(), 0);
  }
});

Deno.test("options that cannot be are refused by name", () => {
  const on = { protocol: "nec", address: 0, command: 0 };
  for (
    const [options, message] of [
      [{ samplingMs: 5 }, /10 to 16000/],
      [{ infrared: [{ line: 13, on }] }, /no pin, 128 to 255/],
      [{ infrared: [{ line: 128, on: { ...on, protocol: "x" } }] }, /nec, samsung/],
      [{ address: 1 }, /address/],
    ] as const
  ) {
    assert.throws(() => firmata.parseOptions(options), { name: "ValiError", message });
  }
});
