import assert from "node:assert/strict";
import fc from "fast-check";
import {
  encodeFrame,
  type Frame,
  FRAME_BYTES_MAX,
  FrameDecoder,
  type FrameFields,
} from "./frame.ts";

/** Records as literals make them: `deepEqual` minds a prototype. */
const record = <T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record<T>(model, { noNullPrototype: true });

const hex = (text: string) =>
  Uint8Array.from(text.trim().split(/\s+/), (byte) => parseInt(byte, 16));
const EMPTY = new Uint8Array();

function decodeAll(chunks: readonly Uint8Array[], gap = false): Frame[] {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  for (const chunk of chunks) decoder.push(chunk, (frame) => frames.push(frame));
  if (gap) decoder.gap((frame) => frames.push(frame));
  return frames;
}

const fieldsArbitrary: fc.Arbitrary<FrameFields> = record({
  address: fc.integer({ min: 0, max: 127 }),
  reply: fc.boolean(),
  sequence: fc.constantFrom(0, 1, 2, 3),
  check: fc.constantFrom("crc", "checksum"),
  id: fc.integer({ min: 0, max: 255 }),
  data: fc.uint8Array({ maxLength: 200 }),
  security: fc.option(
    record({
      type: fc.constantFrom(0x11, 0x12, 0x13, 0x14),
      data: fc.uint8Array({ maxLength: 16 }),
    }),
    { nil: undefined },
  ),
}).map(({ security, ...rest }) => security === undefined ? rest : { ...rest, security });

Deno.test("an ID command is laid out as in the standard's example", () => {
  const bytes = encodeFrame({
    address: 0,
    reply: false,
    sequence: 0,
    check: "crc",
    id: 0x61,
    data: Uint8Array.of(0),
  });
  assert.deepEqual(bytes, hex("53 00 09 00 04 61 00 c0 66"));
});

Deno.test("a checksum makes all bytes of a frame add up to 0", () => {
  const bytes = encodeFrame({
    address: 5,
    reply: true,
    sequence: 2,
    check: "checksum",
    id: 0x40,
    data: EMPTY,
  });
  assert.deepEqual(bytes, hex("53 85 07 00 02 40 df"));
  assert.equal(bytes.reduce((a, b) => a + b, 0) & 0xff, 0);
  assert.equal(decodeAll([bytes])[0]?.check, "checksum");
});

Deno.test("frames come back as they were sent, however they are cut and joined", () => {
  fc.assert(fc.property(
    fc.array(fieldsArbitrary, { minLength: 1, maxLength: 6 }),
    fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 40 }),
    fc.boolean(),
    (all, cuts, mark) => {
      const stream = all.flatMap((fields) => [...(mark ? [0xff] : []), ...encodeFrame(fields)]);
      const chunks: Uint8Array[] = [];
      for (let at = 0, i = 0; at < stream.length; i++) {
        const size = cuts[i % cuts.length]!;
        chunks.push(Uint8Array.from(stream.slice(at, at + size)));
        at += size;
      }
      const frames = decodeAll(chunks);
      assert.equal(frames.length, all.length);
      for (const [i, { mac, bytes, ...fields }] of frames.entries()) {
        assert.deepEqual(fields, all[i]);
        assert.equal(mac, undefined);
        assert.deepEqual(bytes, encodeFrame(all[i]!));
      }
    },
  ));
});

Deno.test("one wrong bit anywhere makes a frame none", () => {
  const good = encodeFrame({
    address: 3,
    reply: true,
    sequence: 1,
    check: "crc",
    id: 0x50,
    data: hex("00 00 20 00 de ad be ef"),
  });
  for (let bit = 0; bit < good.length * 8; bit++) {
    const bad = good.slice();
    bad[bit >> 3]! ^= 1 << (bit & 7);
    assert.deepEqual(decodeAll([bad], true), [], `bit ${bit}`);
  }
});

Deno.test("a frame is found behind garbage, a broken frame and a false start", () => {
  const good = encodeFrame({
    address: 3,
    reply: true,
    sequence: 1,
    check: "crc",
    id: 0x40,
    data: EMPTY,
  });
  const broken = good.slice();
  broken[7]! ^= 0xff;
  assert.equal(decodeAll([hex("00 12 53 ff ff 53"), broken, hex("53 53"), good], true).length, 1);
  // A false start that promises 256 bytes holds it up until the line falls silent.
  const decoder = new FrameDecoder();
  let found = 0;
  decoder.push(Uint8Array.of(0x53, 0x81, 0x00, 0x01, 0x04, ...good), () => found++);
  assert.equal(found, 0);
  decoder.gap(() => found++);
  assert.equal(found, 1);
  assert.equal(decoder.pendingBytes, 0);
});

Deno.test("frames of up to 1440 bytes pass, longer ones are refused both ways", () => {
  const longest = {
    address: 0,
    reply: true,
    sequence: 1,
    check: "crc",
    id: 0x90,
    data: new Uint8Array(FRAME_BYTES_MAX - 8).fill(0x53),
  } as const;
  assert.equal(decodeAll([encodeFrame(longest)]).length, 1);
  assert.throws(
    () => encodeFrame({ ...longest, data: new Uint8Array(FRAME_BYTES_MAX - 7) }),
    RangeError,
  );
  const decoder = new FrameDecoder();
  decoder.push(Uint8Array.of(0x53, 0x80, 0xa1, 0x05, 0x04), () => assert.fail("no frame"));
  assert.equal(decoder.pendingBytes, 0, "1441 bytes are not waited for");
});

Deno.test("a sealed frame carries its security block, ciphertext and MAC", () => {
  const seal = {
    encrypt: (data: Uint8Array) => Uint8Array.from([...data, 0x80, 0, 0], (byte) => byte ^ 0xaa),
    mac: (covered: Uint8Array) => {
      assert.equal(covered[2], 20, "the length is final when the MAC is made");
      return covered.slice(0, 4);
    },
  };
  const fields = {
    address: 1,
    reply: false,
    sequence: 2,
    check: "crc",
    security: { type: 0x17, data: EMPTY },
    id: 0x6a,
    data: hex("01 02 03"),
  } as const;
  assert.throws(() => encodeFrame(fields), RangeError, "never in clear by mistake");
  const [frame] = decodeAll([encodeFrame(fields, seal)]);
  assert.deepEqual(frame?.security, { type: 0x17, data: EMPTY });
  assert.deepEqual(frame?.data, hex("ab a8 a9 2a aa aa"));
  assert.deepEqual(frame?.mac, hex("53 01 14 00"));
});

Deno.test("a security block that overruns its frame makes it none", () => {
  // Right CRC, but a block of 0x20 bytes in a frame of 11.
  const bytes = encodeFrame({
    address: 0,
    reply: true,
    sequence: 1,
    check: "checksum",
    security: { type: 0x15, data: EMPTY },
    id: 0x40,
    data: EMPTY,
  }, { encrypt: (data) => data, mac: () => new Uint8Array(4) });
  bytes[5] = 0x20;
  bytes[bytes.length - 1]! -= 0x1e;
  assert.deepEqual(decodeAll([bytes], true), []);
});
