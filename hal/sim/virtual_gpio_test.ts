import assert from "node:assert/strict";
import type { GpioSettings } from "../mod.ts";
import { VirtualClock } from "./virtual_clock.ts";
import { VirtualGpio } from "./virtual_gpio.ts";

const never = () => new AbortController().signal;
const input: GpioSettings = { chip: "c", line: 1, direction: "input" };

Deno.test("edges come in order with stamps, and end when the signal aborts", async () => {
  const clock = new VirtualClock();
  const gpio = new VirtualGpio(clock);
  await using line = await gpio.request(input, never());
  const abort = new AbortController();
  const seen: unknown[] = [];
  const following = (async () => {
    for await (const edge of line.edges(abort.signal)) seen.push(edge);
  })();
  for (const high of [true, true, false]) {
    await clock.advance(10);
    gpio.setLevel("c", 1, high);
  }
  await clock.advance(0);
  assert.deepEqual(seen, [
    { active: true, atMonotonicMs: 10, sequence: 1 },
    { active: false, atMonotonicMs: 30, sequence: 2 },
  ]);
  abort.abort();
  await following;
});

Deno.test("of more edges than are held the oldest are lost, seen as a gap", async () => {
  const clock = new VirtualClock();
  const gpio = new VirtualGpio(clock);
  await using line = await gpio.request(input, never());
  for (let i = 0; i < 1_030; i++) gpio.setLevel("c", 1, i % 2 === 0);
  for await (const { sequence } of line.edges(never())) {
    assert.equal(sequence, 7);
    break;
  }
});

Deno.test("directions are kept apart, and a pulled chip is disconnected", async () => {
  const gpio = new VirtualGpio(new VirtualClock());
  const line = await gpio.request(input, never());
  const output = await gpio.request({ ...input, line: 2, direction: "output" }, never());
  assert.throws(() => line.write(true), { kind: "invalid" });
  await assert.rejects(output.edges(never())[Symbol.asyncIterator]().next(), { kind: "invalid" });
  assert.throws(() => gpio.setLevel("c", 2, true), /is an output/);
  await assert.rejects(gpio.request(input, never()), { kind: "busy" });
  const edges = line.edges(never())[Symbol.asyncIterator]();
  const waiting = assert.rejects(edges.next(), { kind: "disconnected" });
  gpio.unplug("c");
  await waiting;
  assert.throws(() => line.read(), { kind: "disconnected" });
  assert.throws(() => output.write(true), { kind: "disconnected" });
  await (await gpio.request(input, never()))[Symbol.asyncDispose]();
});
