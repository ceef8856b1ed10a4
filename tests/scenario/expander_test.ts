/**
 * A box whose lock hangs on a Modbus board and whose fire loop on an Arduino: the real program, real
 * serial lines, boards that speak their protocols.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Program, runProgram } from "../../demo/program.ts";
import { openPtyPair } from "../../hal/linux/mod.ts";
import { SimulatedFirmataBoard } from "../../hal/sim/firmata_board/mod.ts";
import { simulateModbusBoards } from "../../hal/sim/modbus_board/mod.ts";
import { clock, until } from "../support/gate_bench.ts";

/** Samples of the loop (4.7 kΩ to the supply) with 2.2 kΩ in series and 4.7 kΩ across the contact. */
const REST = Math.round(1_023 * 6_900 / 11_600);
const FIRE = Math.round(1_023 * 2_200 / 6_900);
const BROKEN = 1_023;

const BOX = (modbus: string, uno: string) => `
box: { name: east-gate, timezone: Asia/Shanghai }
api: { listen: "127.0.0.1:0" }
buses:
  - { id: rs485, kind: serial, path: ${modbus} }
  - { id: usb, kind: serial, path: ${uno} }
expanders:
  - { id: io1, driver: modbus, bus: rs485, address: 1, outputs: { count: 8, commands: waveshare }, inputs: { count: 8 } }
  - { id: io2, driver: modbus, bus: rs485, address: 2, outputs: { count: 8 } }
  - { id: uno, driver: firmata, bus: usb }
outputs:
  - { id: lock, driver: gpio, chip: io1, line: 0 }
  - { id: lamp, driver: gpio, chip: io1, line: 7, safe: { onBoot: released, onExit: energised } }
inputs:
  - { id: button, driver: gpio, chip: io1, line: 2, debounceMs: 0 }
  - { id: fire, driver: supervised, chip: uno, channel: 0, contact: normally-open,
      pullUpOhms: 4700, seriesOhms: 2200, parallelOhms: 4700 }
sensors:
  - { id: room, driver: thermistor, chip: uno, channel: 1, fixedOhms: 10000 }
doors:
  - { id: main, lock: lock, kind: strike, holdMs: 1000, requestToExit: button }
release: [{ input: fire }]
`;

Deno.test("a door on a Modbus relay, a fire loop and a thermistor on an Arduino", async () => {
  const dir = await Deno.makeTempDir({ prefix: "gatehouse-expander-" });
  const stop = new AbortController();
  await using rs485 = openPtyPair(clock);
  await using usb = openPtyPair(clock);
  const line = simulateModbusBoards(
    rs485.port,
    clock,
    [{ address: 1, commands: "waveshare" }, { address: 2 }],
    stop.signal,
  );
  const io1 = line.board(1);
  line.board(2).faults.silent = true;
  const uno = new SimulatedFirmataBoard(clock, { bootMs: 200 });
  uno.setAnalog(0, REST);
  uno.setAnalog(1, 512);
  const serving = uno.serve(usb.port, stop.signal);
  const [config, data] = [join(dir, "box.yaml"), join(dir, "data")];
  await Deno.writeTextFile(config, BOX(rs485.path, usb.path));
  {
    await using box = new Program(["box", "--config", config, "--data", data], clock);
    const { api } = await box.findJson({ message: "box started" });
    const faults = async (): Promise<string[]> =>
      (await (await fetch(`${api}/healthz`)).json()).faults;
    await until("only the silent board is a fault", async () => (await faults()).length === 1);
    assert.match((await faults())[0]!, /^expander io2 does not answer/);

    io1.setInput(2, true);
    await until("the button opens the door", () => io1.coils[0] === true);
    io1.setInput(2, false);
    await until("it locks again", () => io1.coils[0] === false);

    uno.setAnalog(0, BROKEN);
    await until("the wire is a fault", async () => (await faults()).some((f) => /fire/.test(f)));
    assert.equal(io1.coils[0], false, "a broken wire opens nothing");
    uno.setAnalog(0, FIRE);
    await until("the fire opens the door", () => io1.coils[0] === true);
    await clock.sleep(2_000, stop.signal);
    assert.equal(io1.coils[0], true, "longer than any hold");
    uno.setAnalog(0, REST);
    await until("and it locks again", () => io1.coils[0] === false);
    assert.equal(io1.coils[7], false);
  }
  assert.equal(io1.coils[7], true, "the lamp is left as onExit says, by a box that was stopped");
  const { stdout } = await runProgram(["events", "--data", data, "--json"]);
  const events = stdout.trim().split("\n").map((text) => JSON.parse(text).event);
  const told = (kind: string) => events.filter((event) => event.kind === kind);
  assert.deepEqual(told("expander.online").map((event) => event.expander).toSorted(), [
    "io1",
    "uno",
  ]);
  assert.deepEqual(told("expander.offline").map((event) => event.expander), ["io2"]);
  assert.deepEqual(told("input.fault").map((event) => event.fault), ["open", "none"]);
  assert.deepEqual(told("release.activated").map((event) => event.input), ["fire"]);
  assert.equal(told("sensor.reading")[0].value, 25);
  stop.abort();
  await serving;
  await line.ended;
  await Deno.remove(dir, { recursive: true });
});
