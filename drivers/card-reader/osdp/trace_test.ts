import assert from "node:assert/strict";
import { playbackSerial, VirtualClock } from "../../../hal/sim/mod.ts";
import { OsdpBus, parseOsdpOptions } from "./mod.ts";

Deno.test("a recorded tap is replayed byte for byte", async () => {
  const text = await Deno.readTextFile(new URL("testdata/example-orders.trace", import.meta.url));
  const clock = new VirtualClock();
  const playback = playbackSerial(text, clock);
  const warnings: string[] = [];
  const events: string[] = [];
  const bus = await OsdpBus.open(
    {
      clock,
      log: (level, message) => level === "debug" || level === "info" || warnings.push(message),
      openPort: () => Promise.resolve(playback),
    },
    [parseOsdpOptions({ address: 5, pollMs: 50 })],
    new AbortController().signal,
  );
  const reader = bus.reader(5);
  reader.onEvent((event) => {
    if (event.kind === "online") reader.show("idle");
    if (event.kind === "card") {
      reader.output(0).set(true, { revertAfterMs: 5_000 });
      reader.show("granted");
    }
    events.push(
      event.kind === "card"
        ? `card ${event.bits} ${event.data.toHex()}`
        : event.kind === "online"
        ? `online ${event.identity?.serial}`
        : event.kind === "keys"
        ? `keys ${event.keys}`
        : event.kind,
    );
  });
  for (let waitedMs = 0; playback.leftSteps() > 0 && waitedMs < 2_000; waitedMs++) {
    await clock.advance(1);
  }
  assert.equal(playback.leftSteps(), 0, warnings.join("; "));
  assert.deepEqual(events, ["online 00c0ffee", "card 26 9a2b3c40", "tamper", "keys 42#"]);
  await bus[Symbol.asyncDispose]();
  assert.deepEqual(warnings, ["reader offline"], "closing it is all that is worth a word");
});
