import assert from "node:assert/strict";
import type { InputLine, OutputLine, ReaderEvent } from "../../../drivers/contract.ts";
import { VirtualClock } from "../../../hal/sim/mod.ts";
import type { BoxDevices } from "../../box/mod.ts";
import type { ResolvedConfig } from "../../config/mod.ts";
import { cardHex, printedNumber } from "../card_text.ts";
import { columns } from "../language.ts";
import { DRIVE_MS, IoBench } from "./bench.ts";
import { type IoPrompt, pressKey, screenLines } from "./screen.ts";

function rig(safe: unknown = "released") {
  const clock = new VirtualClock();
  const driven: string[] = [];
  const reverts: (number | undefined)[] = [];
  const levels = new Map<string, boolean | undefined>([["contact", false], ["fire", false]]);
  const listeners = new Map<string, () => void>();
  const input = (id: string): InputLine => ({
    active: () => levels.get(id),
    fault: () => undefined,
    onChange: (listener) => {
      listeners.set(id, () => listener(levels.get(id), 0));
      return () => {};
    },
  });
  const commanded = new Map<string, boolean>();
  const output = (id: string): OutputLine => ({
    set: (active, options) => {
      commanded.set(id, active);
      driven.push(`${id} ${active} @${clock.monotonicMs()}`);
      reverts.push(options?.revertAfterMs);
    },
    commanded: () => commanded.get(id),
    onDriven: () => () => {},
  });
  let read: (event: ReaderEvent) => void = () => {};
  const devices = {
    inputs: new Map([["contact", input("contact")], ["fire", input("fire")]]),
    outputs: new Map([["lock", output("lock")], ["lamp", output("lamp")]]),
    readers: new Map([["in", {
      online: () => false,
      onEvent: (listener: (event: ReaderEvent) => void) => {
        read = listener;
        return () => {};
      },
    }]]),
    sensors: new Map(),
    expanders: new Map(),
    batons: new Map(),
  } as unknown as BoxDevices;
  const config = {
    doors: [{ id: "main", lock: "lock", contact: "contact" }],
    release: [{ input: "fire" }],
    outputs: [
      { id: "lock", on: "own", options: { safe } },
      { id: "lamp", on: "own", options: { safe: "released" } },
    ],
  } as unknown as ResolvedConfig;
  const bench = new IoBench(config, devices, clock);
  const change = (id: string, active: boolean | undefined) => {
    levels.set(id, active);
    listeners.get(id)!();
  };
  return { clock, bench, driven, reverts, change, read: (event: ReaderEvent) => read(event) };
}

Deno.test("an output is driven for two seconds and goes back", async () => {
  const { clock, bench, driven, reverts } = rig();
  const done = bench.drive("lock", new AbortController().signal);
  assert.equal(bench.snapshot().outputs[0]!.driving, true);
  assert.match(bench.refusal("lamp")!.en, /lock is being driven/);
  await clock.advance(DRIVE_MS);
  await done;
  assert.deepEqual(driven, ["lock true @0", "lock false @2000"]);
  assert.deepEqual(reverts, [DRIVE_MS, undefined], "the device's own timer is the net");
  assert.equal(bench.refusal("lamp"), undefined);
});

Deno.test("a magnet that rests energised is let go and comes back, in either form of safe", async () => {
  for (const safe of ["energised", { onExit: "energised", onBoot: "released" }]) {
    const { clock, bench, driven } = rig(safe);
    const done = bench.drive("lock", new AbortController().signal);
    await clock.advance(DRIVE_MS);
    await done;
    assert.deepEqual(driven, ["lock false @0", "lock true @2000"]);
  }
});

Deno.test("a lock is not tried in release, nor while that is unknown; and a fire ends a try", async () => {
  const { clock, bench, driven, change } = rig();
  for (const active of [true, undefined]) {
    change("fire", active);
    assert.match(bench.refusal("lock")!.en, /in release/);
    await assert.rejects(bench.drive("lock", new AbortController().signal), RangeError);
    assert.equal(bench.refusal("lamp"), undefined, "a lamp is no lock");
  }
  change("fire", false);
  const done = bench.drive("lock", new AbortController().signal);
  await clock.advance(500);
  change("fire", true);
  await done;
  assert.deepEqual(driven, ["lock true @0", "lock false @500"]);
});

Deno.test("an abort and the end of the bench put a driven output back at once", async () => {
  for (const how of ["abort", "dispose"] as const) {
    const { clock, bench, driven } = rig();
    const abort = new AbortController();
    const done = bench.drive("lock", abort.signal);
    await clock.advance(300);
    if (how === "abort") abort.abort();
    else bench[Symbol.dispose]();
    await done;
    assert.equal(driven.at(-1), "lock false @300");
    assert.equal(clock.pendingTimers(), 0);
  }
});

Deno.test("cards, levels and what they are for are shown in both languages", () => {
  const { bench, change, read } = rig();
  let changes = 0;
  bench.onChange(() => changes++);
  read({ kind: "online", identity: undefined });
  read({
    kind: "card",
    bits: 26,
    data: Uint8Array.of(0x90, 0x63, 0x03, 0x80),
    receivedMonotonicMs: 0,
  });
  change("contact", true);
  change("fire", undefined);
  assert.equal(changes, 4);
  const zh = screenLines(bench.snapshot(), { kind: "watching" }, "zh").join("\n");
  assert.match(zh, /contact +● 触发 +1 次变化 · main contact/);
  assert.match(zh, /fire +\? 未知 +1 次变化 · release/);
  assert.match(zh, /in +在线 +卡 32,50695 \(26 位, 02418c0e\)/);
  const en = screenLines(bench.snapshot(), { kind: "watching" }, "en");
  assert.ok(en.some((line) => /1 lock +□ +lock of main/.test(line)));
  assert.equal(columns("输入 a"), 6);
});

Deno.test("card numbers as they are printed", () => {
  const data = Uint8Array.of(0x80, 0x5e, 0x30, 0xa7, 0x40);
  assert.equal(printedNumber(34, data), String((0x2_0178_c29dn >> 1n) & 0xffff_ffffn));
  assert.equal(printedNumber(32, Uint8Array.of(0, 0xbc, 0x61, 0x4e)), "12345678");
  assert.equal(printedNumber(56, Uint8Array.of(4, 1, 2, 3, 4, 5, 6)), "04010203040506");
  assert.equal(cardHex(26, Uint8Array.of(0x90, 0x63, 0x03, 0x80)), "02418c0e");
});

Deno.test("only d, an output and a typed y drive anything", () => {
  const outputs = ["lock", "lamp"];
  const type = (keys: string) => {
    let prompt: IoPrompt = { kind: "watching" };
    const orders: string[] = [];
    for (const key of keys) {
      const pressed = pressKey(prompt, key, outputs);
      prompt = pressed.prompt;
      const { order } = pressed;
      if (order.kind !== "none") {
        orders.push(`${order.kind} ${"output" in order ? order.output : ""}`.trim());
      }
      // As the command does when nothing speaks against it.
      if (order.kind === "check") prompt = { kind: "confirming", output: order.output, typed: "" };
    }
    return orders;
  };
  assert.deepEqual(type("d1\ry\r"), ["check lock", "drive lock"]);
  assert.deepEqual(type("dlamp\rY\r"), ["check lamp", "drive lamp"]);
  assert.deepEqual(type("d2\r\r"), ["check lamp"], "Enter alone is no yes");
  assert.deepEqual(type("d2\rn\r"), ["check lamp"]);
  assert.deepEqual(type("d2\r\x1by\r"), ["check lamp"], "Esc leaves");
  assert.deepEqual(type("d3\ry\r"), [], "no such output");
  assert.deepEqual(type("dx\x7f1\r"), ["check lock"], "mended typing");
  assert.deepEqual(type("y\r1\ry\r"), []);
  assert.deepEqual(type("d1\r\x03"), ["check lock", "quit"]);
  assert.deepEqual(type("q"), ["quit"]);
});
