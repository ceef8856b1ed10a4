/**
 * A line whose port counts errors, as hardware UARTs do and pseudo-terminals do not: exchanged wires
 * show in the count.
 */
import assert from "node:assert/strict";
import { osdp } from "../../drivers/card-reader/osdp/mod.ts";
import type { SerialHost } from "../../hal/mod.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { memorySerialLine, mismatchedUart } from "../../hal/sim/mod.ts";
import { simulateOsdpReaders } from "../../hal/sim/osdp_reader/mod.ts";
import { type BusReader, tryLine } from "../../runtime/installer/doctor/bus_trial.ts";
import { judgeBus } from "../../runtime/installer/doctor/bus_checks.ts";

const clock = linuxClock();

async function told(inverted: boolean) {
  const stop = new AbortController();
  const line = memorySerialLine(clock);
  simulateOsdpReaders(line.b, clock, [{ address: 0 }], stop.signal);
  const serial: SerialHost = {
    open: ({ baudRate }) =>
      Promise.resolve(
        mismatchedUart(line.a, { ownBaud: baudRate, peerBaud: () => 9_600, inverted }),
      ),
  };
  const reader: BusReader = {
    id: "in",
    on: "bus",
    direction: "in",
    bus: "bus",
    door: "main",
    driver: osdp,
    options: osdp.parseOptions({ address: 0 }),
  };
  const settings = { path: "memory", baudRate: 9_600 };
  const trial = await tryLine(serial, settings, [reader], clock, 1_000, stop.signal);
  stop.abort();
  return judgeBus({
    id: "bus",
    path: "memory",
    baudRate: 9_600,
    readers: [reader],
    trial,
    found: [],
  })[0]!;
}

Deno.test("exchanged wires show as framing errors and breaks; right ones as a reader that answers", async () => {
  const right = await told(false);
  assert.equal(right.severity, "ok", right.what.en);
  const exchanged = await told(true);
  assert.equal(exchanged.severity, "fault");
  assert.match(exchanged.what.en, /\d+ framing errors or breaks on the line: A and B are probably/);
  assert.match(exchanged.what.zh, /A、B 很可能接反了/);
});
