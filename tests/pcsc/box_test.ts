/**
 * The box's own program, by the launcher and with its own rights, with readers that are on no door
 * controller's bus: a card at a real pcscd opens a door, and an iButton at a serial adapter is a
 * patrol read, while other readers are not there.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Program, runProgram } from "../../demo/program.ts";
import { openPtyPair } from "../../hal/linux/mod.ts";
import { romCode, simulateDs2480b } from "../../hal/sim/mod.ts";
import { clock, POLICY, until } from "../support/gate_bench.ts";
import { Pcscd, pcscdRefusal, VpcdCard } from "./daemon.ts";

const refusal = await pcscdRefusal();
if (refusal !== undefined) console.log(`skipped: a box at a real pcscd: ${refusal}`);

const GET_UID = "ffca000000";
const BUTTON = romCode(0x01, 0x0000169b7c3fn);

Deno.test({
  name:
    "a card at pcscd opens the door, a touched iButton is a patrol read, missing readers stop nothing",
  ignore: refusal !== undefined,
  fn: async () => {
    const dir = await Deno.makeTempDir({ prefix: "gatehouse-pcsc-" });
    const [config, data] = [join(dir, "box.yaml"), join(dir, "data")];
    await using daemon = await Pcscd.start();
    await using pair = openPtyPair(clock);
    const adapter = simulateDs2480b(pair.port);
    try {
      await Deno.writeTextFile(
        config,
        `
box: { name: east-gate, timezone: Asia/Shanghai }
api: { listen: "127.0.0.1:0" }
buses: [{ id: probe, kind: serial, path: ${pair.path} }]
readers:
  - { id: desk, driver: pcsc, door: main, socket: ${daemon.socket} }
  - { id: round, driver: ibutton-ds2480b, bus: probe, patrol: true }
  - { id: wall, driver: ibutton, patrol: true }
  - { id: keys, driver: hid-keyboard, door: main, vendorId: 0xffff, productId: 0x0035 }
outputs: [{ id: lock, driver: simulated }]
doors: [{ id: main, lock: lock, kind: strike, holdMs: 1500 }]
`,
      );
      const policy = join(dir, "policy.json");
      await Deno.writeTextFile(policy, JSON.stringify(POLICY));
      const loaded = await runProgram(["policy", "load", policy, "--data", data]);
      assert.equal(loaded.code, 0, loaded.stderr);
      {
        await using program = new Program(["box", "--config", config, "--data", data], clock);
        const { api } = await program.findJson({ message: "box started" });
        const online = async () => {
          const health = await (await fetch(`${api}/healthz`)).json();
          return health.status.readers.filter((reader: { online: boolean }) => reader.online)
            .map((reader: { id: string }) => reader.id).sort();
        };
        await until(
          "the two that are there are online",
          async () => (await online()).join() === "desk,round",
        );
        // Why the others are not, in words that an installer can act on.
        await program.find((line) =>
          /1-Wire bus w1_bus_master1 is not there/.test(line) || undefined
        );
        await program.find((line) => /ffff:0035 is not plugged in/.test(line) || undefined);
        await using _card = await VpcdCard.insert(daemon.port, { [GET_UID]: "04a1b2c39000" });
        adapter.touch(BUTTON);
        const kinds = async () => {
          const { stdout } = await runProgram(["events", "--data", data, "--json"]);
          return stdout.trim().split("\n").map((text) => JSON.parse(text).event);
        };
        await until("both are on record", async () => {
          const events = await kinds();
          return ["access.granted", "patrol.read"].every((kind) =>
            events.some((event) => event.kind === kind)
          );
        });
        const events = await kinds();
        const tag = events.find((event) => event.kind === "patrol.read");
        assert.equal(tag.source, "round");
        assert.equal(tag.tag, BUTTON);
        assert.ok(
          events.some((event) => event.kind === "output.changed" && event.active),
          "the lock was driven",
        );
      }
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
