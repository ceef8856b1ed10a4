/**
 * The real `gatehouse io` on a real terminal: what a reader does shows, and only a typed y drives its
 * relay.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { runProgram } from "../../demo/program.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { simulateOsdpReaders } from "../../hal/sim/osdp_reader/mod.ts";
import { until } from "../support/gate_bench.ts";
import { FakeMachine } from "./fake_machine.ts";
import { Typist } from "./typist.ts";

const clock = linuxClock();

async function bench() {
  const machine = new FakeMachine(clock);
  const { port, pair } = machine.plugSerial("ttyUSB0", { baudRate: 9_600 });
  const stop = new AbortController();
  const reader = simulateOsdpReaders(port, clock, [{ address: 0 }], stop.signal).reader(0);
  const clicks: string[] = [];
  reader.onOutput((index, active) => clicks.push(`${index} ${active}`));
  const config = join(machine.root, "box.yaml");
  await Deno.writeTextFile(
    config,
    `
box: { name: gate, timezone: Asia/Shanghai }
api: { listen: "127.0.0.1:1" }
buses: [{ id: bus, kind: serial, path: ${pair.path}, baudRate: 9600 }]
readers: [{ id: in, driver: osdp, bus: bus, address: 0, door: main }]
outputs: [{ id: lock, driver: osdp, reader: in, index: 0 }]
inputs:
  - { id: contact, driver: osdp, reader: in, index: 0 }
  - { id: fire, driver: osdp, reader: in, index: 1 }
doors: [{ id: main, lock: lock, kind: strike, contact: contact }]
release: [{ input: fire }]
`,
  );
  return {
    config,
    reader,
    clicks,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await machine[Symbol.asyncDispose]();
    },
  };
}

Deno.test("io shows cards and levels in place, drives the lock after a typed y, and quits clean", async () => {
  await using site = await bench();
  await using person = new Typist(["io", "--config", site.config, "--lang", "en"], clock);
  await person.expect(/fire +○ at rest/);
  await person.expect(/in +online/);
  site.reader.present(32, Uint8Array.of(0, 0xbc, 0x61, 0x4e));
  await person.expect(/card 12345678 \(32 bits, 00bc614e\)/);
  site.reader.setInput(0, true);
  await person.expect(/contact +● active/);
  await person.press("d1\r");
  await person.expect(/Drive lock for 2 s\? Type y and Enter: /);
  await person.press("\r");
  await person.expect(/nothing was driven/);
  assert.deepEqual(site.clicks, []);
  await person.press("d1\r");
  await person.expect(/Drive lock for 2 s\?/);
  await person.press("y\r");
  await person.expect(/1 lock +driven now/);
  await until("the relay is back", () => site.clicks.length === 2);
  assert.deepEqual(site.clicks, ["0 true", "0 false"]);
  site.reader.setInput(1, true);
  await person.expect(/fire +● active/);
  await person.press("d1\r");
  await person.expect(/door main is in release .*: its lock is not to be tried/);
  await person.press("q");
  assert.equal((await person.status).code, 0);
  // deno-lint-ignore no-control-regex -- the terminal's own sequences
  assert.match(person.shown, /\x1b\[\d+A\x1b\[J/, "drawn again in place");
  assert.equal(site.clicks.length, 2);
});

Deno.test("a lock that is being tried goes back when io is stopped", async () => {
  await using site = await bench();
  await using person = new Typist(["io", "--config", site.config, "--lang", "zh"], clock);
  await person.expect(/fire +○ 静止/);
  await person.press("d1\ry\r");
  await until("the relay is on", () => site.clicks.length === 1);
  await person.press("\x03");
  await until("it is back", () => site.clicks.length === 2);
  assert.equal((await person.status).code, 0);
});

Deno.test("io --once --json is one object; a configuration with faults is told", async () => {
  await using site = await bench();
  const { code, stdout, stderr } = await runProgram([
    "io",
    "--config",
    site.config,
    "--once",
    "--json",
  ]);
  assert.equal(code, 0, stderr);
  const shown = JSON.parse(stdout);
  assert.deepEqual(shown.outputs, [{ id: "lock", active: false, driving: false, lockOf: "main" }]);
  assert.equal(shown.readers[0].online, true);
  await Deno.writeTextFile(site.config, "doors: []\n");
  const bad = await runProgram(["io", "--config", site.config]);
  assert.equal(bad.code, 3);
});
