/**
 * One of each reader on a serial line of its own, and a patrol baton, at the real program with the
 * permissions that it has in the field: cards of every kind open the door, and what stands on an identity
 * card beside the reference is nowhere.
 */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { join } from "node:path";
import { Program, runProgram } from "../../demo/program.ts";
import { openPtyPair } from "../../hal/linux/mod.ts";
import {
  SimulatedBaton,
  SimulatedIdCardModule,
  SimulatedIso14443Module,
  SimulatedObidPad,
  simulateEm4100Reader,
  simulateQrScanner,
} from "../../hal/sim/mod.ts";
import { clock, until } from "../support/gate_bench.ts";

const never = new AbortController().signal;
const KEY = "00112233445566778899aabbccddeeff";
const NUMBER = "11010519491231002X";
const NAME = "韦小宝";
const CODE = "V-20260901-8H3K2Q9Z";

/** What each reader is to give, as policy writes it. */
const CARDS: Readonly<Record<string, readonly [bits: number, hex: string]>> = {
  em: [40, "010f3d7a98"],
  qr: [CODE.length * 8, new TextEncoder().encode(CODE).toHex()],
  stronglink: [56, "04a1b2c3d4e5f6"],
  ehuoyan: [32, "aa01bdba"],
  pad: [64, "e004015012345678"],
  idc: [
    128,
    createHmac("sha256", Uint8Array.fromHex(KEY)).update(NUMBER).digest("hex").slice(0, 32),
  ],
};

Deno.test("a card at each kind of serial reader opens the door of a real box", async () => {
  const dir = await Deno.makeTempDir({ prefix: "gatehouse-readers-" });
  const [config, data] = [join(dir, "box.yaml"), join(dir, "data")];
  await using pairs = new AsyncDisposableStack();
  const line = () => pairs.use(openPtyPair(clock));
  const lines = {
    em: line(),
    qr: line(),
    stronglink: line(),
    ehuoyan: line(),
    pad: line(),
    idc: line(),
    baton: line(),
  };
  const em = simulateEm4100Reader(lines.em.port, { crlf: false });
  const qr = simulateQrScanner(lines.qr.port);
  const stronglink = new SimulatedIso14443Module("stronglink");
  const ehuoyan = new SimulatedIso14443Module("ehuoyan");
  const [pad, module] = [new SimulatedObidPad(), new SimulatedIdCardModule()];
  void stronglink.plug(lines.stronglink.port);
  void ehuoyan.plug(lines.ehuoyan.port);
  void pad.plug(lines.pad.port);
  void module.plug(lines.idc.port);
  const baton = new SimulatedBaton(clock);
  void baton.plug(lines.baton.port, never);
  const buses = Object.entries(lines).map(([id, { path }]) =>
    `  - { id: ${id}, kind: serial, path: ${path} }`
  );
  await Deno.writeTextFile(
    config,
    `
box: { name: gate, timezone: Asia/Shanghai }
api: { listen: "127.0.0.1:0" }
buses:
${buses.join("\n")}
readers:
  - { id: em, driver: em4100-ascii, bus: em, door: main }
  - { id: qr, driver: qr-scanner, bus: qr, door: main }
  - { id: stronglink, driver: iso14443-serial, bus: stronglink, door: main, protocol: stronglink }
  - { id: ehuoyan, driver: iso14443-serial, bus: ehuoyan, door: main, protocol: ehuoyan }
  - { id: pad, driver: iso15693-pad, bus: pad, door: main }
  - { id: idc, driver: id-card, bus: idc, door: main, reference: number, key: "${KEY}" }
batons: [{ id: cradle, driver: baton-serial, bus: baton }]
outputs: [{ id: lock, driver: simulated, chip: none, line: 0 }]
doors: [{ id: main, lock: lock, kind: strike, holdMs: 100 }]
`,
  );
  const policy = join(dir, "policy.json");
  const names = Object.keys(CARDS);
  await Deno.writeTextFile(
    policy,
    JSON.stringify({
      schema: 1,
      schedules: [],
      accessLevels: [{
        id: "all",
        name: "全部",
        grants: [{ doors: ["main"], schedule: "always" }],
      }],
      cardholders: names.map((name, index) => ({ id: index + 1, name, accessLevels: ["all"] })),
      credentials: names.map((name, index) => {
        const [bits, hex] = CARDS[name]!;
        return { id: index + 1, cardholder: index + 1, bits, hex };
      }),
    }),
  );
  await Deno.mkdir(data);
  const loaded = await runProgram(["policy", "load", policy, "--data", data]);
  assert.equal(loaded.code, 0, loaded.stderr);
  const program = new Program(["box", "--config", config, "--data", data], clock);
  let events: { kind: string; reader?: string }[] = [];
  try {
    const { api } = await program.findJson({ message: "box started" });
    await until("all readers are online", async () => {
      const { status } = await (await fetch(`${api}/healthz`)).json();
      return status.readers.every((reader: { online: boolean }) => reader.online);
    });
    await em.present(0x010f3d7a98n);
    await qr.scan(CODE);
    stronglink.card = Uint8Array.fromHex(CARDS.stronglink![1]);
    ehuoyan.card = Uint8Array.fromHex(CARDS.ehuoyan![1]);
    pad.tags.add(CARDS.pad![1]);
    module.lay({ number: NUMBER, name: NAME, uid: new Uint8Array(8) });
    const read = async () => {
      const { stdout } = await runProgram(["events", "--data", data, "--json"]);
      events = stdout.trim().split("\n").filter(Boolean).map((text) => JSON.parse(text).event);
      return events.filter(({ kind }) => kind === "access.granted");
    };
    await until("each was let in", async () => (await read()).length >= names.length);
    assert.deepEqual((await read()).map(({ reader }) => reader).sort(), [...names].sort());
  } finally {
    program.kill("SIGTERM");
    await program.status;
  }
  const said = JSON.stringify(events) + program.lines.join("\n");
  for (const secret of [NUMBER, NAME, KEY]) assert.ok(!said.includes(secret), secret);
  assert.ok(said.includes("a baton is attached"), "the baton was seen by the same program");
  await Deno.remove(dir, { recursive: true });
});
