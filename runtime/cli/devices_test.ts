import assert from "node:assert/strict";
import { DRIVERS } from "../../drivers/registry.ts";
import { HalError, type SerialSettings } from "../../hal/mod.ts";
import { ABSENT, VirtualClock, VirtualGpio } from "../../hal/sim/mod.ts";
import { parseBoxConfig } from "../config/mod.ts";
import { jsonLog } from "../log.ts";
import { openDevices } from "./devices.ts";

Deno.test("a bus is opened as box.yaml says, direction control included, and else as its driver knows", async () => {
  const clock = new VirtualClock();
  const gpio = new VirtualGpio(clock);
  const config = parseBoxConfig(
    `
box: { name: gate, timezone: UTC }
buses:
  - { id: uart, kind: serial, path: /dev/ttyAMA3, baudRate: 19200, parity: even, stopBits: 2, rs485: { rtsOnSend: false, delayAfterSendMs: 2 } }
  - { id: usb, kind: serial, path: /dev/serial/by-id/usb-x }
readers:
  - { id: in, driver: osdp, bus: uart, address: 0, door: main }
  - { id: out, driver: osdp, bus: usb, address: 0, door: main }
outputs: [{ id: lock, driver: simulated }]
doors: [{ id: main, kind: strike, lock: lock }]
`,
    "box.yaml",
    DRIVERS,
  );
  const opened: SerialSettings[] = [];
  const stop = new AbortController();
  const devices = await openDevices(config, {
    clock,
    log: jsonLog(clock, () => {}),
    ...ABSENT,
    gpio,
    simulatedGpio: gpio,
    serial: {
      open: (settings) => {
        opened.push(settings);
        return Promise.reject(new HalError("not-found", "there is none"));
      },
    },
    simulateBus: () => assert.fail("there is no simulated bus"),
  }, stop.signal);
  assert.deepEqual(opened, [
    {
      path: "/dev/ttyAMA3",
      baudRate: 19_200,
      parity: "even",
      stopBits: 2,
      rs485: { rtsOnSend: false, delayBeforeSendMs: 0, delayAfterSendMs: 2 },
    },
    { path: "/dev/serial/by-id/usb-x", baudRate: 9_600 },
  ]);
  stop.abort();
  await Promise.all([devices[Symbol.asyncDispose](), clock.advance(60_000)]);
});
