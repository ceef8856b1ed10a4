import assert from "node:assert/strict";
import { VirtualClock } from "../../hal/sim/mod.ts";
import type { OutputLine } from "../../drivers/contract.ts";
import { DoorController } from "./controller.ts";

const lock: OutputLine = { set: () => {}, commanded: () => undefined, onDriven: () => () => {} };

Deno.test("a door is late with its relocking while timers stand still, and only then", async () => {
  const clock = new VirtualClock();
  let still = false;
  const fired: (() => void)[] = [];
  const door = new DoorController(
    { id: "main", kind: "strike", holdMs: 5_000, heldOpenMs: 30_000 },
    { lock, passages: [], readers: [] },
    {
      clock: {
        monotonicMs: () => clock.monotonicMs(),
        wallMs: () => clock.wallMs(),
        wallQuality: () => clock.wallQuality(),
        sleep: (delayMs, signal) => clock.sleep(delayMs, signal),
        schedule: (delayMs, callback) =>
          clock.schedule(delayMs, () => still ? fired.push(callback) : callback()),
      },
      record: () => {},
      onChange: () => {},
    },
  );
  assert.equal(door.overdueMs(), 0);
  const unlock = () => door.apply({ kind: "unlock", cause: "command" });
  unlock();
  await clock.advance(4_000);
  assert.equal(door.overdueMs(), 0, "not due yet");
  await clock.advance(60_000);
  assert.equal(door.overdueMs(), 0, "done in time");
  still = true;
  unlock();
  await clock.advance(5_400);
  assert.equal(door.overdueMs(), 400);
  for (const callback of fired) callback();
  assert.equal(door.overdueMs(), 0);
  unlock();
  await clock.advance(9_000);
  door[Symbol.dispose]();
  assert.equal(door.overdueMs(), 0, "a closed door owes nothing");
});
