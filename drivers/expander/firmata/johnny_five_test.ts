import assert from "node:assert/strict";
import five from "johnny-five";
import { linuxClock, linuxSerialHost, openPtyPair } from "../../../hal/linux/mod.ts";
import { SimulatedFirmataBoard } from "../../../hal/sim/firmata_board/mod.ts";
import { FirmataLink, loadFirmata } from "./link.ts";

Deno.test({
  name: "johnny-five's relay, button, thermometer and light sensor run on our port",
  // It leaves timers of its own behind, which it has no way to stop.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const clock = linuxClock();
    const abort = new AbortController();
    await using pair = openPtyPair(clock);
    const device = new SimulatedFirmataBoard(clock, { bootMs: 50 });
    const serving = device.serve(pair.port, abort.signal);
    const port = await linuxSerialHost(clock).open(
      { path: pair.path, baudRate: 57_600 },
      abort.signal,
    );
    const nothing = { digital() {}, analog() {}, state() {}, reset() {} };
    const link = await FirmataLink.open(
      clock,
      port,
      await loadFirmata(),
      20,
      nothing,
      abort.signal,
    );
    const until = async (what: string, condition: () => boolean) => {
      for (let i = 0; i < 300 && !condition(); i++) await clock.sleep(10, abort.signal);
      assert.ok(condition(), what);
    };
    const board = new five.Board({ io: link.io, repl: false, debug: false });
    await new Promise((resolve) => board.on("ready", () => resolve(undefined)));

    const relay = new five.Relay(10);
    relay.close();
    await until("the relay did not close", () => device.level(10));
    relay.open();
    await until("the relay did not open", () => !device.level(10));

    let presses = 0;
    const button = new five.Button({ pin: 2, isPullup: true });
    button.on("press", () => presses++);
    await until("the pull-up was not set", () => device.mode(2) === 11);
    await clock.sleep(50, abort.signal);
    device.setPin(2, false);
    await until("the button was not seen", () => presses === 1);

    // A TMP36 gives 750 mV at 25 °C; of 5 V that is 153 of 1023.
    device.setAnalog(0, 153);
    device.setAnalog(1, 512);
    const thermometer = new five.Thermometer({ controller: "TMP36", pin: "A0", freq: 20 });
    const light = new five.Light({ pin: "A1", freq: 20 });
    await until("no temperature came", () => Math.round(Number(thermometer.celsius)) === 25);
    await until("no brightness came", () => Math.abs(Number(light.level) - 0.5) < 0.02);

    await link[Symbol.asyncDispose]();
    abort.abort();
    await serving;
  },
});
