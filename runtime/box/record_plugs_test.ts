import assert from "node:assert/strict";
import type { DeviceChange, DeviceInventory } from "../../hal/mod.ts";
import { VirtualClock } from "../../hal/sim/mod.ts";
import type { BoxEvent } from "../../sync/wire/mod.ts";
import { jsonLog } from "../log.ts";
import { recordPlugs } from "./record_plugs.ts";

const adapter = {
  kind: "serial",
  path: "/dev/ttyUSB0",
  stable: "/dev/serial/by-id/usb-FTDI-if00-port0",
  description: "FTDI FT232R",
} as const;

Deno.test("plugs are recorded by their stable name; a loose one does not fill the journal", async () => {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const events: BoxEvent[] = [];
  const inventory: DeviceInventory = {
    list: () => Promise.resolve([]),
    async *watch(): AsyncGenerator<DeviceChange> {
      for (let i = 0; i < 100; i++) {
        yield { change: i % 2 === 0 ? "detached" : "attached", device: adapter };
      }
      await clock.advance(60_000);
      yield { change: "detached", device: adapter };
    },
  };
  await recordPlugs(
    inventory,
    {
      clock,
      log: jsonLog(clock, (line) => lines.push(line)),
      record: (event) => events.push(event),
    },
    new AbortController().signal,
  );
  const { stable: device, description } = adapter;
  assert.deepEqual(events.slice(0, 2), [
    { kind: "device.detached", device, description },
    { kind: "device.attached", device, description },
  ]);
  assert.equal(events.length, 31);
  assert.match(lines.join("\n"), /loose plug","changes":70/);
});
