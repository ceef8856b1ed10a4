import assert from "node:assert/strict";
import { VirtualClock } from "../../hal/sim/mod.ts";
import type { BoxEvent } from "../../sync/wire/mod.ts";
import { recordSensor } from "./record_sensors.ts";

function rig(first?: number) {
  const clock = new VirtualClock();
  let value = first;
  let listener: (value: number | undefined, atMs: number) => void = () => {};
  const sensor = {
    unit: "Cel",
    value: () => value,
    onReading: (one: typeof listener) => {
      listener = one;
      return () => {
        listener = () => {};
      };
    },
  };
  const recorded: [number, number][] = [];
  const record = (event: BoxEvent) => {
    assert.equal(event.kind, "sensor.reading");
    if (event.kind === "sensor.reading") recorded.push([event.value, clock.monotonicMs()]);
  };
  const cancel = recordSensor("t", sensor, { deltaMin: 1, everyMs: 60_000 }, clock, record);
  const read = (next: number | undefined) => {
    value = next;
    listener(next, clock.monotonicMs());
  };
  return { clock, recorded, read, cancel };
}

Deno.test("the first value and changes beyond the threshold, at most once in a while", async () => {
  const { clock, recorded, read, cancel } = rig(20);
  for (let second = 0; second < 600; second++) {
    read(20 + Math.sin(second) * 0.9);
    await clock.advance(1_000);
  }
  assert.deepEqual(recorded, [[20, 0]]);
  for (let second = 0; second < 600; second++) {
    read(30 + second);
    await clock.advance(1_000);
  }
  // 20, then 30 at once, and one a minute up to the end.
  assert.equal(recorded.length, 12);
  assert.ok(recorded.every(([, atMs], i) => i === 0 || atMs - recorded[i - 1]![1] >= 60_000));
  cancel();
  read(0);
  await clock.advance(120_000);
  assert.equal(recorded.length, 12);
  assert.equal(clock.pendingTimers(), 0);
});

Deno.test("a change that came too early is recorded if it stands, and forgotten if not", async () => {
  const { clock, recorded, read } = rig();
  read(20);
  await clock.advance(1_000);
  read(25);
  await clock.advance(100_000);
  assert.deepEqual(recorded, [[20, 0], [25, 60_000]]);
  read(30);
  read(25.5);
  await clock.advance(100_000);
  assert.equal(recorded.length, 2);
  read(28);
  await clock.advance(100);
  read(25.2);
  await clock.advance(200_000);
  assert.deepEqual(recorded.slice(2), [[28, 201_000], [25.2, 261_000]]);
});

Deno.test("a lost sensor is no value, and its next one counts from the last recorded", async () => {
  const { clock, recorded, read } = rig(20);
  await clock.advance(61_000);
  read(undefined);
  await clock.advance(61_000);
  read(20.4);
  read(undefined);
  await clock.advance(61_000);
  read(22);
  assert.deepEqual(recorded, [[20, 0], [22, 183_000]]);
});
