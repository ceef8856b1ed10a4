import assert from "node:assert/strict";
import { openInput, rig } from "./rig_test.ts";

Deno.test("damaged, foreign, late, cut and garbled answers cost a turn and tell no lie", async () => {
  const r = await rig([{ address: 1 }, { address: 2 }], [{
    address: 1,
    inputs: { count: 8 },
    pollMs: 20,
  }]);
  await using _ = r.bus;
  const { input, seen } = await openInput(r, { line: 0, debounceMs: 0 });
  await r.clock.advance(100);
  const { faults } = r.device;
  const wrong = [
    () => faults.badChecks = 2,
    () => faults.truncated = 2,
    () => faults.garbage = Uint8Array.of(0, 0xff, 1, 2, 1, 1),
    () => faults.byteGapMs = 12,
    () => faults.replyMs = 120,
  ];
  for (const act of wrong) {
    act();
    await r.clock.advance(1_500);
    assert.equal(r.expander.online(), true, act.toString());
    Object.assign(faults, { garbage: new Uint8Array(), byteGapMs: 0, replyMs: 2 });
  }
  assert.deepEqual(seen.map(([active]) => active), [false]);
  faults.answersAs = 2;
  await r.clock.advance(3_000);
  assert.equal(r.expander.online(), false);
  assert.match(r.logged.join(), /does not answer; what comes back is no answer/);
  faults.answersAs = undefined;
  await r.clock.advance(2_000);
  assert.equal(input.active(), false);
  assert.deepEqual(seen.map(([active]) => active), [false, undefined, false]);
});

Deno.test("a late answer to the question before is not taken for this one's", async () => {
  const r = await rig([{ address: 1 }], [{
    address: 1,
    inputs: { count: 8 },
    pollMs: 20,
    replyMs: 50,
  }]);
  await using _ = r.bus;
  const { seen } = await openInput(r, { line: 0, debounceMs: 0 });
  await r.clock.advance(100);
  // Answers come one question late; what they say was true when it was asked.
  r.device.faults.replyMs = 75;
  r.device.setInput(0, true);
  await r.clock.advance(60);
  r.device.setInput(0, false);
  await r.clock.advance(300);
  assert.deepEqual(seen.map(([active]) => active), [false, true, false].slice(0, seen.length));
});

Deno.test("a board that refuses is said so once, with what to mend", async () => {
  const r = await rig([{ address: 1, inputs: 0 }], [{
    address: 1,
    inputs: { count: 8 },
    outputs: { count: 8 },
  }]);
  await using _ = r.bus;
  const { input } = await openInput(r, { line: 0 });
  await r.clock.advance(30_000);
  assert.equal(r.expander.online(), true);
  assert.equal(input.active(), undefined);
  const errors = r.logged.filter((text) => text.startsWith("error"));
  assert.equal(errors.length, 1, errors.join("\n"));
  assert.match(errors[0]!, /inputs to be read: it has no such address; mend count and at/);
});

Deno.test("random bytes on the line change no input and stop nothing", async () => {
  const seed = Math.trunc(Math.random() * 2 ** 31);
  let state = seed;
  const random = () => (state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff);
  let spoilt = true;
  const r = await rig([{ address: 1 }], [{ address: 1, inputs: { count: 8 }, pollMs: 20 }], (
    bytes,
    from,
  ) => {
    if (!spoilt || from === "a" || random() % 3 === 0) return [{ bytes }];
    const noise = Uint8Array.from({ length: random() % 40 }, () => random() >> 8);
    return random() % 2 === 0 ? [{ bytes: noise }, { bytes }] : [{ bytes: noise }];
  });
  await using _ = r.bus;
  const { input, seen } = await openInput(r, { line: 0, debounceMs: 0 });
  r.device.setInput(0, true);
  await r.clock.advance(60_000);
  assert.ok(seen.every(([active]) => active !== false), `seed ${seed}`);
  spoilt = false;
  await r.clock.advance(3_000);
  assert.equal(input.active(), true, `seed ${seed}`);
});
