/**
 * The box's own parts, from the serial port to SQLite, as a process that is killed: configuration,
 * devices, `Box`, marks, journal. Of the real program only the district, the doors and the local API
 * are missing, and the clock counts as synchronised.
 *
 * Arguments: data folder, box.yaml.
 *
 * @module
 */
import { join } from "node:path";
import { DRIVERS } from "../../drivers/registry.ts";
import type { Clock } from "../../hal/mod.ts";
import { linuxClock, linuxSerialHost } from "../../hal/linux/mod.ts";
import { ABSENT, VirtualGpio } from "../../hal/sim/mod.ts";
import { BatonMarks, Box, BoxMetrics, DoorModes } from "../../runtime/box/mod.ts";
import { openDevices } from "../../runtime/cli/devices.ts";
import { parseBoxConfig } from "../../runtime/config/mod.ts";
import { openJournal } from "../../runtime/journal/mod.ts";
import { jsonLog } from "../../runtime/log.ts";

const [data, path] = Deno.args as [string, string];
const real = linuxClock();
const clock: Clock = {
  monotonicMs: () => real.monotonicMs(),
  wallMs: () => real.wallMs(),
  wallQuality: () => "synchronised",
  sleep: (ms, signal) => real.sleep(ms, signal),
  schedule: (ms, callback) => real.schedule(ms, callback),
};
const log = jsonLog(clock, (line) => console.log(line), "info");
const stop = new AbortController();
Deno.addSignalListener("SIGTERM", () => stop.abort());

await using stack = new AsyncDisposableStack();
const config = parseBoxConfig(await Deno.readTextFile(path), path, DRIVERS);
const journal = stack.use(await openJournal({ dataDir: data, clock }));
const batons = new BatonMarks(join(data, "batons.json"), journal, (text) => log.error(text));
const devices = stack.use(
  await openDevices(config, {
    clock,
    log,
    serial: linuxSerialHost(clock),
    ...ABSENT,
    simulatedGpio: new VirtualGpio(clock),
    simulateBus: () => {
      throw new Error("no bus is simulated here");
    },
  }, stop.signal),
);
const modes = new DoorModes(join(data, "doors.json"), (text) => log.error(text));
const latches = { has: () => false, set: () => {} };
stack.use(
  new Box(config, devices, {
    clock,
    journal,
    log,
    metrics: new BoxMetrics(),
    modes,
    batons,
    latches,
  }),
);
log.info("box started");
await new Promise((resolve) => stop.signal.addEventListener("abort", resolve, { once: true }));
