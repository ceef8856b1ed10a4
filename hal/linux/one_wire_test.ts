import assert from "node:assert/strict";
import { join } from "node:path";
import { crc8 } from "../mod.ts";
import { VirtualClock } from "../sim/mod.ts";
import { linuxClock, linuxOneWireHost } from "./mod.ts";
import { parseSlaves } from "./one_wire.ts";

const never = new AbortController().signal;

/** A tree like the kernel's; `w1_master_search` is a plain file, so nothing counts it down but a test. */
async function withTree(run: (sys: string, bus: string) => Promise<void>): Promise<void> {
  const sys = await Deno.makeTempDir();
  try {
    const bus = join(sys, "bus/w1/devices/w1_bus_master1");
    await Deno.mkdir(bus, { recursive: true });
    await Deno.writeTextFile(join(bus, "w1_master_name"), "w1_bus_master1\n");
    await Deno.writeTextFile(join(bus, "w1_master_search"), "-1\n");
    await Deno.writeTextFile(join(bus, "w1_master_slaves"), "not found.\n");
    await run(sys, bus);
  } finally {
    await Deno.remove(sys, { recursive: true });
  }
}

Deno.test("a search is asked for and waited for; then its devices are told with their CRC", async () => {
  await withTree(async (sys, bus) => {
    const host = linuxOneWireHost(linuxClock(), { sys });
    const searching = host.search("w1_bus_master1", never);
    const asked = async () => (await Deno.readTextFile(join(bus, "w1_master_search"))).trim();
    for (let i = 0; i < 200 && !(await asked()).startsWith("1"); i++) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await Deno.writeTextFile(join(bus, "w1_master_slaves"), "02-00000001b81c\n00-400000000000\n");
    await Deno.writeTextFile(join(bus, "w1_master_search"), "0\n");
    // The ROM code of the application note's CRC example, as it is printed on the button.
    assert.deepEqual(await searching, ["a200000001b81c02"]);
  });
});

Deno.test("a kernel that does not search is a timeout, an abort ends the wait", async () => {
  await withTree(async (sys) => {
    const clock = new VirtualClock();
    const host = linuxOneWireHost(clock, { sys });
    let fault: unknown;
    const searching = host.search("w1_bus_master1", never).catch((error) => fault = error);
    for (let i = 0; i < 1_000 && fault === undefined; i++) {
      await clock.advance(5);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await searching;
    assert.equal((fault as { kind?: string }).kind, "timeout");
    await assert.rejects(host.search("w1_bus_master1", AbortSignal.abort(new Error("over"))), {
      message: "over",
    });
  });
});

Deno.test("without the right to ask, what the kernel found by itself is told; a bus that is none is named", async () => {
  await withTree(async (sys, bus) => {
    await Deno.remove(join(bus, "w1_master_search"));
    await Deno.writeTextFile(join(bus, "w1_master_slaves"), "01-0000169b7c3f\n");
    const host = linuxOneWireHost(new VirtualClock(), { sys });
    const [code] = await host.search("w1_bus_master1", never);
    assert.match(code!, /^[0-9a-f]{2}0000169b7c3f01$/);
    assert.equal(crc8(Uint8Array.fromHex(code!).reverse()), 0);
    await assert.rejects(host.search("w1_bus_master2", never), { kind: "not-found" });
    await assert.rejects(host.search("../../class", never), { kind: "invalid" });
  });
});

Deno.test("what is no device in the kernel's list is passed over", () => {
  assert.deepEqual(parseSlaves("not found."), []);
  assert.deepEqual(parseSlaves(""), []);
  assert.deepEqual(parseSlaves("02-00000001b81c\nrubbish\n02-1\n\u0000\n"), ["a200000001b81c02"]);
});
