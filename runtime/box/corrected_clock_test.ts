import assert from "node:assert/strict";
import { VirtualClock } from "../../hal/sim/mod.ts";
import { decodeEvent, encodeEvent } from "../../sync/wire/mod.ts";
import { CorrectedClock } from "./corrected_clock.ts";

Deno.test("the district's time is believed only while nothing else disciplines the clock", async () => {
  const system = new VirtualClock({ wallMs: 1_000, wallQuality: "unsynchronised" });
  const clock = new CorrectedClock(system);
  assert.equal(clock.wallMs(), 1_000);
  assert.equal(clock.wallQuality(), "unsynchronised");
  clock.correct(1_795_500_000_000);
  assert.equal(clock.wallMs(), 1_795_500_000_000);
  assert.equal(clock.wallQuality(), "corrected");
  await system.advance(5_000);
  assert.equal(clock.wallMs(), 1_795_500_005_000);
  assert.equal(system.wallMs(), 6_000, "the system's own clock is left alone");
  system.setWallQuality("synchronised");
  assert.equal(clock.wallMs(), 6_000, "a disciplined clock is right by itself");
  assert.equal(clock.wallQuality(), "synchronised");
});

Deno.test("an event says how its time was known", () => {
  for (const clock of ["synchronised", "corrected", "unsynchronised"] as const) {
    const event = {
      wallMs: 1,
      monotonicMs: 1,
      boot: 1,
      clock,
      event: { kind: "box.stopped" },
    } as const;
    assert.deepEqual(decodeEvent(encodeEvent(event)), event);
  }
});
