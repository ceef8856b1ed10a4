import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { crc16 } from "../../../hal/mod.ts";
import type { SimulatedReaderOptions } from "../../../hal/sim/osdp_reader/mod.ts";
import { FrameDecoder } from "./frame.ts";
import type { ReaderFile } from "../../contract.ts";
import type { OsdpFileOptions, OsdpFileProgress } from "./mod.ts";
import { type LineRig, openLineRig, openRig, settle } from "./rig_test.ts";

const KEY = Uint8Array.fromHex("000102030405060708090a0b0c0d0e0f");
const CARD = Uint8Array.of(0xde, 0xad, 0xbe, 0xef);
const SIZE = 20_000;

/** A file that a simulated reader finds whole, and how it was read. */
function firmware(size = SIZE) {
  const bytes = new Uint8Array(randomBytes(size));
  const crc = crc16(bytes, 0, size - 2);
  bytes.set([crc & 0xff, crc >> 8], size - 2);
  const lengths: number[] = [];
  const source: ReaderFile = {
    size,
    read: (offset, length) => {
      lengths.push(length);
      return Promise.resolve(bytes.slice(offset, offset + length));
    },
  };
  return { bytes, lengths, source };
}

const secure = (
  file: SimulatedReaderOptions["file"],
  more: object = {},
): SimulatedReaderOptions => ({
  address: 0,
  key: KEY,
  secureOnly: true,
  receiveBytes: 1_440,
  file: file!,
  ...more,
});

const open = async (reader: SimulatedReaderOptions, baudRate = 38_400) => {
  const rig = await openLineRig([reader, { address: 1 }], {
    baudRate,
    keys: reader.key === undefined ? {} : { 0: reader.key.toHex() },
  });
  await rig.clock.advance(2_000);
  rig.events.length = 0;
  return rig;
};

const send = (
  rig: LineRig,
  source: ReaderFile,
  options: OsdpFileOptions = {},
  signal = new AbortController().signal,
) => {
  const progress: OsdpFileProgress[] = [];
  const done = rig.bus.sendFile(0, source, {
    onProgress: (step) => progress.push(step),
    ...options,
  }, signal);
  done.catch(() => {});
  return { done, progress };
};

/** Steps until so many bytes were acknowledged. */
const until = async (rig: LineRig, progress: readonly OsdpFileProgress[], bytes: number) => {
  for (let i = 0; (progress.at(-1)?.sentBytes ?? 0) < bytes; i++) {
    assert.ok(i < 20_000, `it stands still: ${rig.logs.join("; ")}`);
    await rig.clock.advance(5);
  }
};

Deno.test("a reader is given its firmware in parts, verifies it and restarts with it, and no tap is lost", async () => {
  for (
    const reader of [
      secure({ rebootMs: 3_000 }),
      { address: 0, file: { rebootMs: 3_000 } },
    ]
  ) {
    await using rig = await open(reader);
    const { bytes, lengths, source } = firmware();
    const { done, progress } = send(rig, source);
    let taps = 0;
    const waitsMs: number[] = [];
    let tappedMs = 0;
    rig.bus.reader(1).onEvent((event) => {
      if (event.kind === "card") waitsMs.push(event.receivedMonotonicMs - tappedMs);
    });
    while ((progress.at(-1)?.state ?? "sending") === "sending") {
      for (const device of rig.devices) device.present(32, CARD);
      taps++;
      tappedMs = rig.clock.monotonicMs();
      await rig.clock.advance(503);
    }
    const result = await settle(rig, done, 60_000);
    assert.deepEqual(rig.devices[0]!.files.map((file) => file.bytes), [bytes]);
    assert.equal(rig.devices[0]!.files[0]!.type, 1);
    assert.equal(result.identity?.firmware, "1.5.0");
    assert.deepEqual([result.losses, result.restarts], [0, 0]);
    const told = (address: number) =>
      rig.events.filter((event) => event === `${address}: card 32 deadbeef`).length;
    assert.ok(taps >= 5, `${taps} taps`);
    assert.equal(told(1), taps, "the neighbour's taps");
    // The last one may have fallen into the restart, which takes what waits in the reader with it.
    assert.ok(told(0) >= taps - 1, "the taps at the reader itself");
    assert.ok(Math.max(...waitsMs) < 300, `a neighbour's tap waited ${Math.max(...waitsMs)} ms`);
    assert.ok(Math.max(...lengths) <= 384, "the file is read in small parts");
    const sent = progress.map((step) => step.sentBytes);
    assert.deepEqual(sent, sent.toSorted((a, b) => a - b));
    assert.equal(progress.at(-1)?.state, "rebooting");
  }
});

Deno.test("a pulled cable and a lost session do not make it begin anew", async () => {
  await using rig = await open(secure({ resumes: true }));
  const { bytes, source } = firmware();
  const { done, progress } = send(rig, source);
  await until(rig, progress, 5_000);
  rig.unplug(20_000);
  await until(rig, progress, 10_000);
  rig.devices[0]!.loseSession();
  await until(rig, progress, 15_000);
  rig.devices[0]!.faults.mute = true;
  await rig.clock.advance(30_000);
  rig.devices[0]!.faults.mute = false;
  const result = await settle(rig, done, 60_000);
  assert.deepEqual(rig.devices[0]!.files.map((file) => file.bytes), [bytes]);
  assert.equal(result.restarts, 0);
  assert.ok(result.losses >= 2);
  assert.ok(progress.some((step) => step.state === "away"));
  const offsets = rig.devices[0]!.fileOffsets;
  assert.equal(offsets.filter((offset) => offset === 0).length, 1);
  assert.equal(new Set(offsets).size, offsets.length, "a part that it has is not sent again");
});

Deno.test("a reader that restarted without what it had is given everything anew", async () => {
  await using rig = await open(secure({}));
  const { bytes, source } = firmware();
  const { done, progress } = send(rig, source);
  await until(rig, progress, 10_000);
  rig.devices[0]!.reboot(12_000);
  const result = await settle(rig, done, 90_000);
  assert.equal(result.restarts, 1);
  assert.deepEqual(rig.devices[0]!.files.map((file) => file.bytes), [bytes]);
});

Deno.test("a box that restarted goes on where it was, or begins anew if the reader says so", async () => {
  for (const resumes of [true, false]) {
    await using rig = await open(secure({ resumes }));
    const { bytes, source } = firmware();
    const { done, progress } = send(rig, source);
    await until(rig, progress, 10_000);
    await rig.restart();
    await assert.rejects(done, { kind: "disconnected" });
    const fromOffset = progress.at(-1)!.sentBytes;
    if (!resumes) rig.devices[0]!.reboot(2_000);
    await rig.clock.advance(3_000);
    const result = await settle(rig, send(rig, source, { fromOffset }).done, 60_000);
    assert.deepEqual(rig.devices[0]!.files.map((file) => file.bytes), [bytes]);
    assert.equal(result.restarts, resumes ? 0 : 1);
  }
});

Deno.test("a reader's delays, sizes and wish to be left alone are kept, and it is asked until it is done", async () => {
  await using rig = await open(
    secure({ delayMs: 300, interleave: false, rxMax: 128, finishing: 4 }, { replyDelayMs: 400 }),
  );
  const sizes: number[] = [];
  const monitor = rig.join();
  void (async () => {
    const decoder = new FrameDecoder();
    for (;;) {
      const { bytes } = await monitor.read(new AbortController().signal);
      decoder.push(bytes, (frame) => {
        if (!frame.reply && frame.id === 0x7c) sizes.push(frame.bytes.length);
      });
    }
  })();
  const codes: { code: number; atMs: number }[] = [];
  rig.devices[0]!.onCommand((code, _sequence, atMs) => codes.push({ code, atMs }));
  const { bytes, source } = firmware(2_000);
  const { done, progress } = send(rig, source);
  await settle(rig, done, 120_000);
  assert.deepEqual(rig.devices[0]!.files.map((file) => file.bytes), [bytes]);
  const first = codes.findIndex((one) => one.code === 0x7c);
  const parts = codes.filter((one) => one.code === 0x7c);
  for (const [index, one] of parts.entries()) {
    if (index < 2) continue;
    assert.ok(one.atMs - parts[index - 1]!.atMs >= 700, "the delay, on top of its answer");
  }
  // While it wants to be left alone, a poll comes only to keep the session.
  const polls = codes.slice(first + 1).filter((one) => one.code === 0x60).length;
  assert.ok(polls <= 6, `${polls} polls among ${parts.length} parts`);
  assert.equal(progress.filter((step) => step.state === "finishing").length, 4);
  assert.ok(Math.max(...sizes.slice(1)) <= 128, `${Math.max(...sizes.slice(1))}`);
  assert.ok(Math.max(...sizes) > 100);
});

Deno.test("a bad file, a reader that takes none, and one that is not there are said", async () => {
  const { bytes, source } = firmware(3_000);
  const bad = {
    size: source.size,
    read: (at: number, length: number) =>
      Promise.resolve(bytes.map((b) => ~b).slice(at, at + length)),
  };
  await using rig = await open(secure({}));
  await assert.rejects(settle(rig, send(rig, bad).done, 30_000), /damaged/);
  const short = { size: 3_000, read: () => Promise.resolve(new Uint8Array(3)) };
  await assert.rejects(settle(rig, send(rig, short).done, 1_000), /the file ends/);
  await assert.rejects(send(rig, { ...source, size: 0 }).done, RangeError);
  await assert.rejects(send(rig, source, { fromOffset: 3_000 }).done, RangeError);
  await using none = await open({ address: 0 });
  await assert.rejects(settle(none, send(none, source).done, 5_000), { kind: "unsupported" });
  none.devices[0]!.faults.mute = true;
  await none.clock.advance(10_000);
  await assert.rejects(settle(none, send(none, source).done, 700_000), /was lost at 0/);
});

Deno.test("whoever gives up tells the reader to abort, and cards go on", async () => {
  await using rig = await open(secure({}));
  const codes: number[] = [];
  rig.devices[0]!.onCommand((code) => codes.push(code));
  const stop = new AbortController();
  const { done, progress } = send(rig, firmware().source, {}, stop.signal);
  await until(rig, progress, 5_000);
  await assert.rejects(send(rig, firmware().source).done, /already/);
  stop.abort(new Error("enough"));
  await assert.rejects(settle(rig, done, 2_000), /enough/);
  await rig.clock.advance(500);
  assert.ok(codes.includes(0xa2));
  assert.ok(!codes.slice(codes.indexOf(0xa2)).includes(0x7c));
  rig.devices[0]!.present(32, CARD);
  await rig.clock.advance(300);
  assert.equal(rig.events.at(-1), "0: card 32 deadbeef");
});

Deno.test("on a slow line a part holds up the others no longer than on a fast one", async () => {
  await using rig = await open(secure({}), 9_600);
  const { lengths, source } = firmware(1_000);
  await settle(rig, send(rig, source).done, 60_000);
  assert.ok(Math.max(...lengths) <= 96, `${Math.max(...lengths)}`);
});

Deno.test("a reader that answers a file with nonsense is given up, in bounded time and tries", async () => {
  const cases = [
    { patch: { 4: 0xff, 5: 0xff }, says: /gives the file up \(status -1\)/, parts: 4 },
    { patch: { 4: 0xf0, 5: 0xff }, says: /gives the file up \(status -16\)/, parts: 1 },
    { patch: { 4: 2, 5: 0 }, says: /restarts before it has the whole file/, parts: 1 },
    { patch: { 4: 3, 5: 0 }, says: /does not come to an end/, parts: 700 },
    { patch: { 1: 0x02 }, says: undefined, parts: 30 },
    { patch: { 6: 1 }, says: undefined, parts: 2_000 },
  ];
  for (const { patch, says, parts } of cases) {
    let sent = 0;
    await using rig = await openRig([{ address: 0, file: {} }], {
      interfere: (bytes, from) => {
        if (from === "a" && bytes[5] === 0x7c) sent++;
        if (from === "a" || bytes[5] !== 0x7a) return [{ bytes }];
        // Its body begins at 6; the check is made right again.
        const bad = bytes.slice();
        for (const [at, value] of Object.entries(patch)) bad[5 + Number(at)] = value;
        const crc = crc16(bad, 0, bad.length - 2);
        bad.set([crc & 0xff, crc >> 8], bad.length - 2);
        return [{ bytes: bad }];
      },
    });
    await rig.clock.advance(500);
    const { source } = firmware(1_000);
    const done = rig.bus.sendFile(0, source, {}, new AbortController().signal);
    if (says === undefined) await settle(rig, done, 700_000);
    else await assert.rejects(settle(rig, done, 700_000), says);
    assert.ok(sent >= 1 && sent <= parts, `${sent} parts`);
  }
});
