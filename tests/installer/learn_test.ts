/**
 * The real `gatehouse learn` on a real terminal, with simulated readers on pseudo-terminals that it
 * has to find by itself.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { runProgram } from "../../demo/program.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { simulateEm4100Reader } from "../../hal/sim/mod.ts";
import { simulateOsdpReaders } from "../../hal/sim/osdp_reader/mod.ts";
import { until } from "../support/gate_bench.ts";
import { FakeMachine } from "./fake_machine.ts";
import { Typist } from "./typist.ts";

const clock = linuxClock();
/** 12345678 as a reader of 34 bits sends it: even parity, 32 bits, odd parity. */
const CARD = Uint8Array.of(0x80, 0x5e, 0x30, 0xa7, 0x40);

Deno.test("learn writes a box.yaml from nothing: a reader at an unknown rate, a lock that clicks, contacts", async () => {
  await using machine = new FakeMachine(clock);
  const stop = new AbortController();
  const { port, path } = machine.plugSerial("ttyUSB0", { baudRate: 38_400 });
  const line = simulateOsdpReaders(port, clock, [{ address: 1 }], stop.signal);
  const reader = line.reader(1);
  const clicks: string[] = [];
  reader.onOutput((index, active) => clicks.push(`${index} ${active}`));
  const out = join(machine.root, "box.yaml");
  await using person = new Typist(
    ["learn", "--root", machine.root, "--out", out, "--lang", "en"],
    clock,
  );

  await person.answer(/Name of this box \[.*\]: /, "East Gate");
  await person.expect(/Use a-z 0-9/);
  await person.answer(/Name of this box \[.*\]: /, "east-gate");
  await person.answer(/Time zone \[.*\]: /, "Asia/Shanghai");
  await person.answer(/How many doors .*\[1\]: /, "");
  await person.answer(/Id of door 1 \[main\]: /, "");
  await person.answer(/1\) strike[^]*3\) turnstile[^]*Choice \[1\]: /, "1");
  await person.answer(/Try the serial port \S*usb-Simulated_ttyUSB0-if00-port0 .*\[Y\/n\]: /, "");
  const found = await person.expect(/Found a reader at (\S+) address 1 \((\d+) baud\)/, 90_000);
  assert.deepEqual(found.slice(1), [path, "38400"]);

  reader.present(34, CARD);
  await person.answer(
    /A 34-bit card 12345678 was just seen at \S+ address 1 \(38400 baud\); add it as a reader\? \[Y\/n\]: /,
    "y",
  );
  await person.answer(/Id of this reader \[in\]: /, "");
  await person.expect(/Added reader in for door main/);
  reader.present(34, CARD);
  await person.expect(/in: a 34-bit card 12345678/);

  reader.setInput(0, true);
  await person.answer(/input 0 of the reader .* went active\. What is it\?[^]*Choice \[1\]: /, "1");
  await person.answer(/Id of this input \[contact\]: /, "");
  reader.setInput(0, false);
  await person.expect(/contact: at rest/);
  reader.setInput(1, true);
  await person.answer(/input 1 of the reader .* What is it\?[^]*Choice \[1\]: /, "3");
  await person.answer(/Id of this input \[fire\]: /, "");
  await person.expect(/Added input fire/);

  await person.type("d");
  await person.answer(/What drives the lock of door main\?[^]*Choice \[1\]: /, "2");
  await person.answer(/Drive relay 1 .* for 2 s now\?.*: /, "");
  await person.answer(/Take it without trying\? \[y\/N\]: /, "n");
  assert.deepEqual(clicks, [], "nothing clicks without a typed y");
  await person.answer(/What drives the lock of door main\?[^]*Choice \[1\]: /, "1");
  await person.answer(/Drive relay 0 .* for 2 s now\?.*: /, "y");
  await until("the relay clicks", () => clicks.length > 0);
  await person.answer(/Did the lock click\? \[Y\/n\]: /, "y");
  await person.expect(/Added lock lock for door main/);
  await person.expect(/box.yaml: written/);
  assert.equal((await person.status).code, 0, person.shown);
  assert.deepEqual(clicks, ["0 true", "0 false"]);
  stop.abort();

  assert.equal(
    await Deno.readTextFile(out),
    `# Written by gatehouse learn; comments and order are kept when it runs again.

box: { name: east-gate, timezone: Asia/Shanghai }
buses:
  - { id: line, kind: serial, path: ${path}, baudRate: 38400 }
readers:
  - { id: in, driver: osdp, bus: line, address: 1, door: main }
outputs:
  - { id: lock, driver: osdp, reader: in, index: 0 }
inputs:
  - { id: contact, driver: osdp, reader: in, index: 0 }
  - { id: fire, driver: osdp, reader: in, index: 1 }
doors:
  - { id: main, lock: lock, kind: strike, contact: contact }
release:
  - { input: fire }
`,
  );
  const check = await runProgram(["check", "--config", out]);
  assert.equal(check.code, 0, check.stderr);
});

Deno.test("learn adds to a file with comments, hears a reader plugged in meanwhile, and keeps what it was not asked about", async () => {
  await using machine = new FakeMachine(clock);
  const stop = new AbortController();
  const out = join(machine.root, "box.yaml");
  const before = `# the gate of 第一中学
box: { name: gate, timezone: Asia/Shanghai }
outputs:
  # blue wire
  - { id: lock, driver: simulated }
doors:
  - { id: main, lock: lock, kind: strike, holdMs: 4000 } # slow children
`;
  await Deno.writeTextFile(out, before);
  await using person = new Typist(
    ["learn", "--root", machine.root, "--out", out, "--lang", "zh"],
    clock,
  );
  await person.expect(/现在没有串口/);
  await person.expect(/开始监视/);
  const { port, path } = machine.plugSerial("ttyUSB1", { baudRate: 9_600 });
  const reader = simulateEm4100Reader(port);
  await person.expect(/ttyUSB1-if00-port0 已插上/);
  // A reader that only sends is heard once its turn has come: the installer goes on tapping.
  const tapping = (async () => {
    while (!stop.signal.aborted) {
      await reader.present(0x1_2345_6789n).catch(() => {});
      await clock.sleep(700, stop.signal).catch(() => {});
    }
  })();
  await person.expect(
    /刚在 \S+ttyUSB1\S+（em4100-ascii，9600 波特） 读到 \d+ 位卡 \S+；添加这个读卡器吗？ \[Y\/n\]: /,
    60_000,
  );
  stop.abort();
  await tapping;
  await person.type("");
  await person.answer(/读卡器名称 \[in\]: /, "");
  await person.expect(/已添加读卡器 in → 门 main/);
  await person.type("d");
  await person.expect(/已写入/);
  assert.equal((await person.status).code, 0, person.shown);
  assert.equal(
    await Deno.readTextFile(out),
    before + `buses:
  - { id: line, kind: serial, path: ${path}, baudRate: 9600 }
readers:
  - { id: in, driver: em4100-ascii, bus: line, door: main }
`,
  );
});

Deno.test("Ctrl-C and a file that is no box.yaml leave everything as it was", async () => {
  await using machine = new FakeMachine(clock);
  const out = join(machine.root, "box.yaml");
  {
    await using person = new Typist(
      ["learn", "--root", machine.root, "--out", out, "--lang", "en"],
      clock,
    );
    await person.answer(/Name of this box/, "gate");
    await person.expect(/Time zone/);
    await person.press("\x03");
    await person.expect(/stopped; nothing was written/);
    assert.equal((await person.status).code, 1);
    await assert.rejects(Deno.stat(out), Deno.errors.NotFound);
  }
  await Deno.writeTextFile(out, "doors: [");
  const bad = await runProgram(["learn", "--root", machine.root, "--out", out, "--lang", "en"]);
  assert.equal(bad.code, 3);
  assert.match(bad.stderr, /cannot be read as box.yaml/);
  assert.equal(await Deno.readTextFile(out), "doors: [");
});
