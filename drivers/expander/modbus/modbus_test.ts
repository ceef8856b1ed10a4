import assert from "node:assert/strict";
import type { SimulatedModbusBoardOptions } from "../../../hal/sim/modbus_board/mod.ts";
import { modbus } from "./mod.ts";
import { never, openInput, openOutput, rig } from "./rig_test.ts";

Deno.test("the GPIO drivers switch a relay and hear an input, unchanged", async () => {
  const r = await rig([{ address: 3 }], [{
    address: 3,
    outputs: { count: 8 },
    inputs: { count: 8 },
  }]);
  await using bus = r.bus;
  const output = await openOutput(r, { line: 2 });
  const { input, seen } = await openInput(r, { line: 5, debounceMs: 0 });
  assert.equal(input.active(), undefined);
  await r.clock.advance(200);
  assert.equal(bus.expanders[0]!.online(), true);
  assert.equal(input.active(), false);
  r.device.setInput(5, true);
  await r.clock.advance(100);
  assert.equal(input.active(), true);
  assert.equal(seen.length, 2);
  let driven = 0;
  output.onDriven(() => driven++);
  output.set(true);
  await r.clock.advance(40);
  assert.deepEqual(r.device.coils.flatMap((on, i) => on ? [i] : []), [2]);
  assert.equal(driven, 1);
  // The last level must reach the board before the line may be closed.
  const disposed = output[Symbol.asyncDispose]();
  await r.clock.advance(40);
  await disposed;
  assert.equal(r.device.coils.includes(true), false);
  await input[Symbol.asyncDispose]();
});

Deno.test("the frames are those of the standard and of the makers", async () => {
  const cases: [SimulatedModbusBoardOptions, object, number, string[]][] = [
    // Waveshare's wiki, Modbus RTU Relay: relay 0 on for 700 ms.
    [{ address: 1, commands: "waveshare" }, { commands: "waveshare" }, 700, [
      "0105000000000000cdca",
      "010502000007" + "8db0",
    ]],
    // Eletechsup R421A08: channel 1 off, then on for 10 s.
    [{ address: 1, commands: "eletechsup" }, { commands: "eletechsup" }, 10_000, [
      "010600010200d96a",
      "01060001060a5bad",
    ]],
  ];
  for (const [board, outputs, ms, [first, timed]] of cases) {
    const r = await rig([board], [{ address: 1, outputs: { count: 8, ...outputs } }]);
    await using _ = r.bus;
    const line = await r.expander.gpio.request(
      { chip: "io", line: 0, direction: "output" },
      never(),
    );
    await r.clock.advance(100);
    line.writeFor!(true, ms);
    await r.clock.advance(50);
    assert.equal(r.device.coils[0], true);
    if (first!.length === 16) assert.ok(r.asked.includes(first!), `${first} of ${r.asked}`);
    assert.ok(r.asked.includes(timed!), `${timed} of ${r.asked}`);
    // It falls by itself, and is not driven again.
    await r.clock.advance(ms);
    assert.equal(r.device.coils[0], false);
    await r.clock.advance(4_000);
    assert.equal(r.device.coils[0], false);
    assert.deepEqual(r.logged.filter((text) => !text.startsWith("info")), []);
  }
});

Deno.test("a board without timers has no writeFor, and a reverting output still switches", async () => {
  const r = await rig([{ address: 1 }], [{ address: 1, outputs: { count: 1 } }]);
  await using _ = r.bus;
  const line = await r.expander.gpio.request({ chip: "io", line: 0, direction: "output" }, never());
  assert.equal(line.writeFor, undefined);
});

Deno.test("a pull makes inputs unknown and outputs wait; both are right again when it is back", async () => {
  const r = await rig([{ address: 1 }], [{
    address: 1,
    outputs: { count: 2 },
    inputs: { count: 2 },
  }]);
  await using bus = r.bus;
  const online: boolean[] = [];
  bus.expanders[0]!.onOnline((on) => online.push(on));
  const output = await openOutput(r, { line: 1 });
  const { input, seen } = await openInput(r, { line: 0, debounceMs: 0 });
  output.set(true);
  await r.clock.advance(200);
  assert.equal(r.device.coils[1], true);
  r.pull();
  await r.clock.advance(10);
  assert.equal(input.active(), undefined);
  let told = 0;
  output.onDriven(() => told++);
  output.set(false);
  r.device.setInput(0, true);
  await r.clock.advance(3_000);
  assert.equal(r.device.coils[1], true);
  // Nobody is told that a relay was driven which was not.
  assert.equal(told, 0);
  r.plug();
  await r.clock.advance(6_000);
  assert.equal(r.device.coils[1], false);
  assert.equal(told, 1);
  assert.equal(input.active(), true);
  assert.deepEqual(online, [true, false, true]);
  assert.deepEqual(seen.map(([active]) => active), [false, undefined, true]);
});

Deno.test("a board that lost its power for a moment gets its relays back", async () => {
  const r = await rig([{ address: 1 }], [{ address: 1, outputs: { count: 4 } }]);
  await using _ = r.bus;
  const output = await openOutput(r, { line: 3, safe: "energised" });
  await r.clock.advance(100);
  assert.equal(r.device.coils[3], true);
  r.device.restart();
  assert.equal(r.device.coils[3], false);
  await r.clock.advance(1_000);
  assert.equal(r.device.coils[3], true);
  assert.equal(output.commanded(), undefined);
  assert.match(r.logged.at(-1)!, /warn a relay was not as it was told to be/);
});

Deno.test("what is ordered while an order is under way is sent right after it", async () => {
  const r = await rig([{ address: 1 }], [{ address: 1, outputs: { count: 1 } }]);
  await using _ = r.bus;
  r.device.faults.replyMs = 20;
  const output = await openOutput(r, { line: 0 });
  await r.clock.advance(100);
  const driven: boolean[] = [];
  output.onDriven((active) => driven.push(active));
  output.set(true);
  await r.clock.advance(10);
  output.set(false);
  await r.clock.advance(60);
  assert.equal(r.device.coils[0], false);
  assert.deepEqual(driven, [false]);
});

Deno.test("an input counts when several reads in a row agree for its debounce time", async () => {
  const r = await rig([{ address: 1 }], [{ address: 1, inputs: { count: 1 } }]);
  await using _ = r.bus;
  const { seen } = await openInput(r, { line: 0, debounceMs: 200 });
  await r.clock.advance(500);
  r.device.setInput(0, true);
  await r.clock.advance(120);
  r.device.setInput(0, false);
  await r.clock.advance(500);
  assert.deepEqual(seen.map(([active]) => active), [false]);
  r.device.setInput(0, true);
  await r.clock.advance(300);
  assert.deepEqual(seen.map(([active]) => active), [false, true]);
});

Deno.test("a board that is silent from the start is told, once, with what to check", async () => {
  const r = await rig([{ address: 1 }], [{ address: 2, outputs: { count: 1 } }]);
  await using _ = r.bus;
  const online: boolean[] = [];
  r.expander.onOnline((on) => online.push(on));
  await r.clock.advance(60_000);
  assert.deepEqual(online, [false]);
  assert.deepEqual(r.logged.map((text) => text.split(";")[1]), [
    ' check its power, its cable and its address {"address":2}',
  ]);
});

Deno.test("one silent board does not slow its neighbours", async () => {
  const boards = [1, 2, 3].map((address) => ({ address }));
  const r = await rig(
    boards,
    boards.map(({ address }) => ({ address, inputs: { count: 8 }, outputs: { count: 8 } })),
  );
  await using bus = r.bus;
  r.devices[0]!.faults.silent = true;
  await r.clock.advance(3_000);
  assert.deepEqual(bus.expanders.map((one) => one.online()), [false, true, true]);
  const { input, seen } = await openInput(
    { ...r, host: { ...r.host, gpio: bus.expanders[2]!.gpio } },
    { line: 0, debounceMs: 0 },
  );
  await r.clock.advance(500);
  // 40 changes at arbitrary times: each is heard within a poll, a write's reply and one time-out.
  let worstMs = 0;
  for (let i = 0; i < 40; i++) {
    await r.clock.advance(137);
    r.devices[2]!.setInput(0, i % 2 === 0);
    const atMs = r.clock.monotonicMs();
    const before = seen.length;
    while (seen.length === before) await r.clock.advance(1);
    worstMs = Math.max(worstMs, r.clock.monotonicMs() - atMs);
  }
  assert.ok(worstMs <= 260, `${worstMs} ms`);
  const before = r.devices[0]!.requests;
  assert.equal(before, 0);
  r.devices[0]!.faults.silent = false;
  await r.clock.advance(1_500);
  assert.equal(bus.expanders[0]!.online(), true);
  assert.equal(input.active(), false);
});

Deno.test("a write is the next thing on the line, and the last of several wins", async () => {
  const boards = [1, 2, 3, 4].map((address) => ({ address }));
  const r = await rig(
    boards,
    boards.map(({ address }) => ({ address, inputs: { count: 8 }, outputs: { count: 8 } })),
  );
  await using _ = r.bus;
  const output = await openOutput(r, { line: 0 });
  const hold = await Promise.all(
    [1, 2, 3].map((i) =>
      openInput({ ...r, host: { ...r.host, gpio: r.bus.expanders[i]!.gpio } }, { line: 0 })
    ),
  );
  await r.clock.advance(1_000);
  // In the middle of a read of another board.
  const started = r.asked.length;
  while (r.asked.length === started) await r.clock.advance(1);
  const at = r.asked.length;
  output.set(true);
  output.set(false);
  output.set(true);
  await r.clock.advance(60);
  const next = r.asked.slice(at);
  assert.match(next[0]!, /^01050000ff00/);
  assert.equal(next.filter((hex) => hex.startsWith("0105")).length, 1);
  assert.equal(hold.length, 3);
});

Deno.test("analog inputs are shares of full scale", async () => {
  const r = await rig([{ address: 1, inputRegisters: 4 }], [{
    address: 1,
    analog: { count: 4, full: 4_000 },
  }]);
  await using _ = r.bus;
  r.device.setInputRegister(2, 1_000);
  const line = await r.expander.analog.request({ chip: "io", channel: 2 }, never());
  assert.equal(line.read(), undefined);
  const samples: (number | undefined)[] = [];
  line.onSample((ratio) => samples.push(ratio));
  await r.clock.advance(200);
  assert.equal(line.read(), 0.25);
  r.device.setInputRegister(2, 65_535);
  await r.clock.advance(200);
  assert.equal(line.read(), 1);
  r.device.faults.silent = true;
  await r.clock.advance(3_000);
  assert.equal(line.read(), undefined);
  assert.equal(samples.at(-1), undefined);
  assert.ok(samples.length > 4);
});

Deno.test("lines that are not there, or held, are refused by name", async () => {
  const r = await rig([{ address: 9 }], [{ address: 9, outputs: { count: 2 } }]);
  await using _ = r.bus;
  const { gpio, analog } = r.expander;
  await assert.rejects(gpio.request({ chip: "io", line: 2, direction: "output" }, never()), {
    kind: "not-found",
    message: /board 9 has 2 relays/,
  });
  await assert.rejects(gpio.request({ chip: "io", line: 0, direction: "input" }, never()), {
    kind: "not-found",
  });
  await assert.rejects(analog.request({ chip: "io", channel: 0 }, never()), { kind: "not-found" });
  await gpio.request({ chip: "io", line: 0, direction: "output" }, never());
  await assert.rejects(gpio.request({ chip: "io", line: 0, direction: "output" }, never()), {
    kind: "busy",
  });
});

Deno.test("an abort ends everything, also in the middle of an exchange", async () => {
  const r = await rig([{ address: 1 }], [{ address: 1, inputs: { count: 8 } }]);
  r.device.faults.replyMs = 100;
  await r.clock.advance(10);
  r.abort.abort();
  await r.bus[Symbol.asyncDispose]();
  assert.equal(r.expander.online(), false);
  await r.clock.advance(200);
  assert.equal(r.clock.pendingTimers(), 0);
});

Deno.test("options that cannot be are refused by name", () => {
  for (
    const [options, message] of [
      [{ address: 0, outputs: { count: 1 } }, /address, 1 to 247/],
      [{ address: 1 }, /outputs, inputs or analog/],
      [{ address: 1, outputs: { count: 65 } }, /number of relays, 1 to 64/],
      [{ address: 1, outputs: { count: 1, commands: "x" } }, /coil, waveshare or eletechsup/],
      [{ address: 1, analog: { count: 1 } }, /full/],
      [{ address: 1, inputs: { count: 1 }, pollMs: 1 }, /10 to 60000/],
    ] as const
  ) {
    assert.throws(() => modbus.parseOptions(options), { name: "ValiError", message });
  }
});
