import assert from "node:assert/strict";
import { ABSENT, VirtualClock, VirtualGpio } from "../../../hal/sim/mod.ts";
import { gpioInput } from "./mod.ts";

const CHIP = "gpiochip0";

function rig() {
  const clock = new VirtualClock();
  const gpio = new VirtualGpio(clock);
  const logged: string[] = [];
  const host = {
    clock,
    ...ABSENT,
    gpio,
    log: (level: string, text: string, fields: object = {}) =>
      logged.push(`${level} ${text} ${JSON.stringify(fields)}`),
  };
  const abort = new AbortController();
  const open = async (options: object) => {
    const parsed = gpioInput.parseOptions({ chip: CHIP, line: 4, ...options });
    const input = await gpioInput.open(host, parsed, abort.signal);
    const seen: [boolean | undefined, number][] = [];
    input.onChange((active, atMs) => seen.push([active, atMs]));
    return { input, seen };
  };
  return { clock, gpio, logged, abort, open };
}

Deno.test("a change counts when it held for the debounce time, stamped then", async () => {
  const { clock, gpio, open } = rig();
  const { input, seen } = await open({ debounceMs: 30 });
  await using _ = input;
  assert.equal(input.active(), false);
  for (let i = 0; i < 9; i++) {
    gpio.setLevel(CHIP, 4, i % 2 === 0);
    await clock.advance(5);
  }
  assert.deepEqual(seen, []);
  await clock.advance(50);
  assert.deepEqual(seen, [[true, 70]]);
  assert.equal(input.active(), true);
  gpio.setLevel(CHIP, 4, false);
  await clock.advance(10);
  gpio.setLevel(CHIP, 4, true);
  await clock.advance(100);
  assert.equal(seen.length, 1);
});

Deno.test("a dry contact to ground: pulled up, active low", async () => {
  const { clock, gpio, open } = rig();
  const { input, seen } = await open({ bias: "pull-up", activeLow: true, debounceMs: 0 });
  await using _ = input;
  assert.equal(input.active(), false);
  gpio.setLevel(CHIP, 4, false);
  await clock.advance(0);
  assert.deepEqual(seen, [[true, 0]]);
});

Deno.test("after lost edges the level is read again, and the loss logged", async () => {
  const { clock, gpio, logged, open } = rig();
  const { input, seen } = await open({ debounceMs: 0 });
  await using _ = input;
  await clock.advance(0);
  // 4 edges of which the first 3 are lost: the level ends where it began.
  gpio.loseEdges(CHIP, 4, 3);
  for (const high of [true, false, true, false]) gpio.setLevel(CHIP, 4, high);
  await clock.advance(1);
  assert.deepEqual(seen, []);
  assert.equal(input.active(), false);
  assert.match(logged[0]!, /^warn .*lost.*{"lost":3}$/);
  gpio.setLevel(CHIP, 4, true);
  await clock.advance(1);
  assert.deepEqual(seen, [[true, 1]]);
  assert.equal(logged.length, 1);
});

Deno.test("a chip that is pulled makes the level unknown until it is back", async () => {
  const { clock, gpio, logged, open } = rig();
  const { input, seen } = await open({ debounceMs: 0 });
  await using _ = input;
  await clock.advance(10);
  gpio.unplug(CHIP);
  await clock.advance(0);
  assert.deepEqual(seen, [[undefined, 10]]);
  assert.equal(input.active(), undefined);
  gpio.setLevel(CHIP, 4, true);
  await clock.advance(500);
  assert.deepEqual(seen, [[undefined, 10], [true, 510]]);
  assert.deepEqual(logged.map((line) => line.split(" ")[0]), ["error", "info"]);
});

Deno.test("disposal and the signal both release the line", async () => {
  const { clock, abort, open } = rig();
  const { input } = await open({});
  await input[Symbol.asyncDispose]();
  await input[Symbol.asyncDispose]();
  const { input: second } = await open({});
  abort.abort();
  await clock.advance(0);
  await second[Symbol.asyncDispose]();
  assert.equal(clock.pendingTimers(), 0);
  await assert.rejects(open({}), { name: "AbortError" });
});

Deno.test("options that cannot be are refused by name", () => {
  for (
    const [options, message] of [
      [{ bias: "up" }, /pull-up/],
      [{ debounceMs: -1 }, /0 to 1000/],
      [{ debounceMs: 1_001 }, /0 to 1000/],
      [{ safe: "released" }, /safe/],
    ] as const
  ) {
    assert.throws(() => gpioInput.parseOptions({ chip: CHIP, line: 4, ...options }), {
      name: "ValiError",
      message,
    });
  }
});
