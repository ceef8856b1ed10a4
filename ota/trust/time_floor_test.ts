import assert from "node:assert/strict";
import { join } from "node:path";
import { VirtualClock } from "../../hal/sim/mod.ts";
import { TimeFloor } from "./mod.ts";

const START_MS = Date.UTC(2026, 8, 1);
const DAY_MS = 86_400_000;

Deno.test("the time floor: only grows, is bounded, and survives a spoilt file", () => {
  const clock = new VirtualClock({ wallMs: START_MS });
  const folder = Deno.makeTempDirSync({ prefix: "gatehouse-floor-" });
  using _ = { [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }) };
  const path = join(folder, "floor");
  const floorOf = () => new TimeFloor(path, START_MS, clock);
  const floor = floorOf();
  floor.raise(START_MS + 3 * DAY_MS);
  floor.raise(START_MS);
  floor.raise(Date.UTC(2200, 0, 1));
  floor.raise(NaN);
  assert.equal(floorOf().nowMs(), START_MS + 3 * DAY_MS);
  for (const bad of ["", "gatehouse-time-floor 1\n99999999999999\n", "x".repeat(1_000), "-1"]) {
    Deno.writeTextFileSync(path, bad);
    assert.equal(floorOf().nowMs(), START_MS, JSON.stringify(bad));
  }
});
