/** `gatehouse status` as a phone sees it: the program, its page and its light, beside what a box says. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Program } from "../../demo/program.ts";
import { linuxClock } from "../../hal/linux/mod.ts";

const clock = linuxClock();
const STATE = /data-state="([a-z-]+)"/;

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("an installer sees where the box stands, until it has worked for its time", async () => {
  const folder = await Deno.makeTempDir({ prefix: "status-" });
  const [port, boxPort] = [freePort(), freePort()];
  const at = (name: string) => join(folder, name);
  await Deno.mkdir(at("leds/ACT"), { recursive: true });
  await Deno.writeTextFile(at("leds/ACT/max_brightness"), "1\n");
  await Deno.writeTextFile(at("leds/ACT/trigger"), "mmc0");
  await Deno.mkdir(at("setup"));
  await Deno.writeTextFile(at("setup/enrol.json"), "{}");
  let faults: readonly string[] = ["reader in does not answer: check its cable"];
  await using box = Deno.serve(
    { hostname: "127.0.0.1", port: boxPort, onListen: () => {} },
    () =>
      Response.json({
        faults,
        status: {
          kind: "status",
          name: "east-gate",
          readers: [{ id: "in", online: faults.length === 0 }],
          doors: [],
        },
        vitals: { districtConnected: true },
      }),
  );
  assert.ok(box.addr.port > 0);
  try {
    await using program = new Program([
      ...["status", "--listen", `127.0.0.1:${port}`, "--box", `127.0.0.1:${boxPort}`],
      ...["--data", at("data"), "--config", at("box.yaml"), "--setup", at("setup")],
      ...["--leds", at("leds"), "--minutes", "0.1"],
    ], clock);
    const page = async () => {
      const response = await fetch(`http://127.0.0.1:${port}/`, {
        headers: { "accept-language": "zh-CN" },
      });
      return await response.text();
    };
    const until = async (wanted: string) => {
      const endMs = clock.monotonicMs() + 30_000;
      for (let last = "";;) {
        last = STATE.exec(await page().catch(() => ""))?.[1] ?? last;
        if (last === wanted) return;
        assert.ok(clock.monotonicMs() < endMs, `it stays ${last}, not ${wanted}`);
        await clock.sleep(100, new AbortController().signal);
      }
    };
    await until("joining");
    await Deno.mkdir(at("data/identity"), { recursive: true });
    await Deno.writeTextFile(at("data/identity/district.json"), "{}");
    await until("unconfigured");
    await Deno.writeTextFile(at("box.yaml"), "");
    await until("fault");
    assert.match(await page(), /check its cable/);
    faults = [];
    await until("works");
    assert.match(await page(), /in: 在线/);
    assert.equal((await program.status).code, 0, program.lines.join("\n"));
    assert.equal(await Deno.readTextFile(at("leds/ACT/brightness")), "1");
    assert.equal(await Deno.readTextFile(at("leds/ACT/trigger")), "none");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
