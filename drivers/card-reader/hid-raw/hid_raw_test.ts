import assert from "node:assert/strict";
import { ABSENT, VirtualClock, VirtualHid } from "../../../hal/sim/mod.ts";
import type { ReaderEvent } from "../../contract.ts";
import { hidRaw } from "./mod.ts";
import { readReport } from "./report.ts";

const IDS = { vendorId: 0x0c27, productId: 0x3bfa };

function rig(options: object) {
  const clock = new VirtualClock();
  const hid = new VirtualHid(clock);
  const logged: string[] = [];
  const host = {
    ...ABSENT,
    clock,
    hid,
    log: (level: string, text: string) => logged.push(`${level} ${text}`),
  };
  const open = async () => {
    const reader = await hidRaw.open(
      host,
      hidRaw.parseOptions({ ...IDS, ...options }),
      new AbortController().signal,
    );
    const events: ReaderEvent[] = [];
    reader.onEvent((event) => events.push(event));
    await clock.advance(1);
    const cards = () =>
      events.flatMap((event) =>
        event.kind === "card" ? [`${event.bits} ${event.data.toHex()}`] : []
      );
    return { reader, events, cards };
  };
  return { clock, hid, logged, open };
}

const read = (hex: string, options: object) => {
  const report = readReport(
    Uint8Array.fromHex(hex),
    hidRaw.parseOptions({ ...IDS, ...options }),
  );
  return report.kind === "card"
    ? `${report.card.bits} ${report.card.data.toHex()}`
    : report.kind === "refused"
    ? report.why
    : "none";
};

Deno.test("the number is found by id, start, place, length and order", () => {
  assert.equal(read("04a1b2c3", { length: 4 }), "32 04a1b2c3");
  assert.equal(read("04a1b2c3", { length: 4, byteOrder: "little" }), "32 c3b2a104");
  assert.equal(read("0100aabbccdd", { reportId: 1, offset: 1, length: 4 }), "32 aabbccdd");
  assert.equal(read("0200aabbccdd", { reportId: 1, offset: 1, length: 4 }), "none");
  const framed = { startsWith: "a5 01", lengthOffset: 2, offset: 3 };
  assert.equal(read("a50107112233445566770000", framed), "56 11223344556677");
  assert.equal(read("a50204112233440000000000", framed), "none");
  assert.equal(read("a50100112233440000000000", framed), "none", "no card is there");
  assert.equal(read("a501ff", framed), "length");
  assert.equal(read("a501041122", framed), "short");
  assert.equal(read("a501", framed), "short");
  assert.equal(read("00000000", { length: 4 }), "none");
  assert.equal(
    read("1a03ffffff", { lengthOffset: 0, lengthUnit: "bits", offset: 1 }),
    "26 ffffffc0",
  );
  assert.equal(read("1a07ffffff", { lengthOffset: 0, lengthUnit: "bits", offset: 1 }), "range");
  assert.equal(read("03ffffff", { length: 4, bits: 26 }), "26 ffffffc0");
});

Deno.test("a card that is reported again and again while it lies there is one", async () => {
  const { clock, hid, open } = rig({ length: 4 });
  const device = hid.plug({ ...IDS, usagePage: 0xff00, usage: 1 });
  const { reader, cards } = await open();
  await using _ = reader;
  assert.equal(device.held, "exclusive");
  for (let i = 0; i < 100; i++) {
    device.report(Uint8Array.of(1, 2, 3, 4));
    await clock.advance(100);
  }
  assert.deepEqual(cards(), ["32 01020304"]);
  device.report(Uint8Array.of(9, 9, 9, 9));
  await clock.advance(1_500);
  device.report(Uint8Array.of(1, 2, 3, 4));
  await clock.advance(10);
  assert.deepEqual(cards(), ["32 01020304", "32 09090909", "32 01020304"]);
});

Deno.test("a reader that is asked is asked at its pace, and no more after it was closed", async () => {
  const { clock, hid, open } = rig({ length: 4, poll: { report: "00 8f", everyMs: 200 } });
  const device = hid.plug(IDS);
  const { reader } = await open();
  await clock.advance(1_000);
  assert.equal(device.written.length, 6);
  assert.deepEqual([...device.written[0]!], [0x00, 0x8f]);
  device.unplug();
  await clock.advance(1_000);
  assert.equal(reader.online(), false);
  const again = hid.plug(IDS);
  await clock.advance(2_000);
  assert.ok(again.written.length > 0);
  await reader[Symbol.asyncDispose]();
  const count = again.written.length;
  await clock.advance(2_000);
  assert.equal(again.written.length, count);
  assert.equal(clock.pendingTimers(), 0);
});

Deno.test("random reports never crash it, and a card comes through after", async () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  console.log(`seed ${seed}`);
  let word = seed;
  const next = (n: number) =>
    Math.floor((word = (Math.imul(word, 1664525) + 1013904223) >>> 0) / 2 ** 32 * n);
  const { clock, hid, open, logged } = rig({ startsWith: "a5", lengthOffset: 1, offset: 2 });
  const device = hid.plug(IDS);
  const { reader, cards } = await open();
  await using _ = reader;
  for (let round = 0; round < 5_000; round++) {
    const report = Uint8Array.from({ length: 1 + next(80) }, () => next(256));
    if (next(2) === 0) report[0] = 0xa5;
    device.report(report);
    if (next(8) === 0) await clock.advance(next(100));
  }
  await clock.advance(10);
  device.report(Uint8Array.of(0xa5, 2, 0xbe, 0xef, 0));
  await clock.advance(10);
  assert.equal(cards().at(-1), "16 beef");
  assert.ok(logged.length < 20, "what is wrong is said a few times only");
});

Deno.test("options with faults are named", () => {
  const bad = (options: object, message: RegExp) =>
    assert.throws(() => hidRaw.parseOptions({ ...IDS, ...options }), {
      name: "ValiError",
      message,
    });
  bad({}, /either length or lengthOffset/);
  bad({ length: 4, lengthOffset: 0 }, /either length or lengthOffset/);
  bad({ length: 32 }, /1 to 31/);
  bad({ length: 4, startsWith: "a5 0" }, /hex digits/);
  bad({ length: 4, startsWith: 5 }, /hex digits/);
  bad({ length: 4, reportId: 0 }, /1 to 255/);
  bad({ length: 4, poll: { report: "" } }, /hex digits/);
  bad({ length: 4, poll: { report: "00", everyMs: 1 } }, /50 to 5000/);
});
