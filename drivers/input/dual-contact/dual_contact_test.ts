import assert from "node:assert/strict";
import { ABSENT, VirtualClock, VirtualGpio } from "../../../hal/sim/mod.ts";
import { dualContactInput } from "./mod.ts";

const CHIP = "gpiochip0";
const NO = 5;
const NC = 6;

async function rig(options: object = {}) {
  const clock = new VirtualClock();
  const gpio = new VirtualGpio(clock);
  /** Contacts to ground under a pull-up: a closed one is low. */
  const contacts = (open: boolean, closed: boolean) => {
    gpio.setLevel(CHIP, NO, !open);
    gpio.setLevel(CHIP, NC, !closed);
  };
  contacts(false, true);
  const host = { clock, ...ABSENT, gpio, log: () => {} };
  const parsed = dualContactInput.parseOptions({
    chip: CHIP,
    normallyOpen: NO,
    normallyClosed: NC,
    ...options,
  });
  const input = await dualContactInput.open(host, parsed, new AbortController().signal);
  const seen: unknown[] = [];
  input.onChange((active, atMs) => seen.push([active, input.fault(), atMs]));
  return { clock, gpio, contacts, input, seen };
}

Deno.test("pressed and let go, one contact a little after the other", async () => {
  const r = await rig();
  await using _ = r.input;
  assert.equal(r.input.active(), false);
  await r.clock.advance(1_000);
  r.contacts(false, false);
  await r.clock.advance(100);
  r.contacts(true, false);
  await r.clock.advance(1_000);
  r.contacts(false, false);
  await r.clock.advance(100);
  r.contacts(false, true);
  await r.clock.advance(1_000);
  assert.deepEqual(r.seen, [[true, undefined, 1_130], [false, undefined, 2_230]]);
});

Deno.test("a wire that breaks is a contradiction, and a repair ends it", async () => {
  const r = await rig();
  await using _ = r.input;
  await r.clock.advance(1_000);
  r.contacts(false, false);
  await r.clock.advance(1_000);
  assert.deepEqual([r.input.active(), r.input.fault()], [undefined, "contradiction"]);
  r.contacts(false, true);
  await r.clock.advance(1_000);
  // A short between the two wires.
  r.contacts(true, true);
  await r.clock.advance(1_000);
  r.contacts(true, false);
  await r.clock.advance(1_000);
  assert.deepEqual(r.seen, [
    [undefined, "contradiction", 1_330],
    [false, undefined, 2_030],
    [undefined, "contradiction", 3_330],
    [true, undefined, 4_030],
  ]);
});

Deno.test("where people must get out, a contradiction may count as pressed", async () => {
  const r = await rig({ whenFault: "active" });
  await using _ = r.input;
  r.contacts(false, false);
  await r.clock.advance(1_000);
  assert.deepEqual([r.input.active(), r.input.fault()], [true, "contradiction"]);
});

Deno.test("found broken, it says so after the change-over and not before", async () => {
  const r = await rig();
  await r.input[Symbol.asyncDispose]();
  r.contacts(false, false);
  const host = { clock: r.clock, ...ABSENT, gpio: r.gpio, log: () => {} };
  const parsed = dualContactInput.parseOptions({
    chip: CHIP,
    normallyOpen: NO,
    normallyClosed: NC,
  });
  await using input = await dualContactInput.open(host, parsed, new AbortController().signal);
  await r.clock.advance(299);
  assert.deepEqual([input.active(), input.fault()], [undefined, undefined]);
  await r.clock.advance(1);
  assert.equal(input.fault(), "contradiction");
});

Deno.test("a chip that is pulled is no contradiction", async () => {
  const r = await rig();
  r.gpio.unplug(CHIP);
  await r.clock.advance(400);
  assert.deepEqual([r.input.active(), r.input.fault()], [undefined, undefined]);
  await r.clock.advance(500);
  assert.equal(r.input.active(), false);
  await r.input[Symbol.asyncDispose]();
  await r.input[Symbol.asyncDispose]();
  assert.equal(r.clock.pendingTimers(), 0);
});

Deno.test("one line held already leaves none behind", async () => {
  const r = await rig();
  await r.input[Symbol.asyncDispose]();
  const abort = new AbortController();
  const held = await r.gpio.request({ chip: CHIP, line: NC, direction: "input" }, abort.signal);
  const host = { clock: r.clock, ...ABSENT, gpio: r.gpio, log: () => {} };
  const parsed = dualContactInput.parseOptions({
    chip: CHIP,
    normallyOpen: NO,
    normallyClosed: NC,
  });
  await assert.rejects(dualContactInput.open(host, parsed, abort.signal), { kind: "busy" });
  await held[Symbol.asyncDispose]();
  await using _ = await dualContactInput.open(host, parsed, abort.signal);
});

Deno.test("options that cannot be are refused by name", () => {
  for (
    const [options, message] of [
      [{ normallyClosed: NO }, /are the same/],
      [{ changeOverMs: 5_001 }, /0 to 5000/],
      [{ whenFault: "normal" }, /unknown or active/],
    ] as const
  ) {
    assert.throws(
      () =>
        dualContactInput.parseOptions({
          chip: CHIP,
          normallyOpen: NO,
          normallyClosed: NC,
          ...options,
        }),
      { name: "ValiError", message },
    );
  }
});
