import assert from "node:assert/strict";
import fc from "fast-check";
import { type Command, decodeCommand, encodeCommand, OsdpCodecError } from "./commands.ts";
import {
  decodeReply,
  encodeReply,
  FOREIGN,
  type ForeignCode,
  REPLY,
  type Reply,
} from "./replies.ts";

/** Records as literals make them: `deepEqual` minds a prototype. */
const record = <T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record<T>(model, { noNullPrototype: true });

const u8 = fc.integer({ min: 0, max: 255 });
const u16 = fc.integer({ min: 0, max: 65_535 });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const constant = <K extends string>(kind: K) => fc.constant({ kind });
const pattern = { on100Ms: u8, off100Ms: u8, onColour: u8, offColour: u8 };

const commands: fc.Arbitrary<Command> = fc.oneof(
  constant("poll"),
  constant("id"),
  constant("capabilities"),
  constant("localStatus"),
  constant("inputStatus"),
  constant("outputStatus"),
  constant("readerStatus"),
  record({
    kind: fc.constant("output" as const),
    controls: fc.array(record({ output: u8, control: u8, timer100Ms: u16 }), {
      minLength: 1,
      maxLength: 14,
    }),
  }),
  record({
    kind: fc.constant("led" as const),
    leds: fc.array(
      fc.record({
        reader: u8,
        led: u8,
        temporary: record({ ...pattern, timer100Ms: u16 }),
        permanent: record(pattern),
      }, { requiredKeys: ["reader", "led"], noNullPrototype: true }),
      { minLength: 1, maxLength: 4 },
    ),
  }),
  record({
    kind: fc.constant("buzzer" as const),
    reader: u8,
    tone: u8,
    on100Ms: u8,
    off100Ms: u8,
    count: u8,
  }),
  record({
    kind: fc.constant("text" as const),
    reader: u8,
    mode: u8,
    timerS: u8,
    row: u8,
    column: u8,
    text: fc.uint8Array({ maxLength: 255 }),
  }),
  record({ kind: fc.constant("communication" as const), address: u8, baudRate: u32 }),
  record({ kind: fc.constant("receiveSize" as const), bytes: u16 }),
  record({
    kind: fc.constant("file" as const),
    type: u8,
    size: u32,
    offset: u32,
    part: fc.uint8Array({ maxLength: 1_300 }),
  }),
  constant("abort"),
);

const raw = fc.integer({ min: 0, max: 300 }).chain((bits) =>
  fc.uint8Array({ minLength: Math.ceil(bits / 8), maxLength: Math.ceil(bits / 8) }).map((data) => {
    if (bits % 8 !== 0) data[data.length - 1]! &= 0xff << (8 - bits % 8);
    return { kind: "raw" as const, reader: 0, format: 1, bits, data };
  })
);

const replies: fc.Arbitrary<Reply> = fc.oneof(
  constant("ack"),
  constant("busy"),
  record({
    kind: fc.constant("fileStatus" as const),
    interleave: fc.boolean(),
    leaveChannel: fc.boolean(),
    pollFirst: fc.boolean(),
    delayMs: u16,
    status: fc.integer({ min: -32_768, max: 32_767 }),
    receiveMax: u16,
  }),
  record({
    kind: fc.constant("foreign" as const),
    code: fc.constantFrom(...Object.keys(FOREIGN).map((code) => Number(code) as ForeignCode)),
    data: fc.uint8Array({ maxLength: 300 }),
  }),
  record({
    kind: fc.constant("nak" as const),
    code: u8,
    detail: fc.uint8Array({ maxLength: 3 }),
  }),
  record({
    kind: fc.constant("identity" as const),
    vendor: fc.integer({ min: 0, max: 0xff_ffff }),
    model: u8,
    version: u8,
    serial: u32,
    firmware: fc.tuple(u8, u8, u8),
  }),
  record({
    kind: fc.constant("capabilities" as const),
    capabilities: fc.array(record({ function: u8, compliance: u8, count: u8 }), {
      minLength: 1,
    }),
  }),
  record({
    kind: fc.constant("localStatus" as const),
    tamper: fc.boolean(),
    powerFailed: fc.boolean(),
  }),
  record({ kind: fc.constant("inputStatus" as const), inputs: fc.array(fc.boolean()) }),
  record({ kind: fc.constant("outputStatus" as const), outputs: fc.array(fc.boolean()) }),
  record({ kind: fc.constant("readerStatus" as const), readers: fc.array(u8) }),
  raw,
  record({
    kind: fc.constant("keypad" as const),
    reader: u8,
    digits: fc.uint8Array({ maxLength: 20 }),
  }),
  record({ kind: fc.constant("communication" as const), address: u8, baudRate: u32 }),
);

Deno.test("commands come back as they were laid out", () => {
  fc.assert(fc.property(commands, (command) => {
    assert.deepEqual(decodeCommand(encodeCommand(command)), command);
  }));
});

Deno.test("replies come back as they were laid out", () => {
  fc.assert(fc.property(replies, (reply) => {
    assert.deepEqual(decodeReply(encodeReply(reply)), reply);
  }));
});

Deno.test("an LED command has its fields where the standard puts them", () => {
  const { id, data } = encodeCommand({
    kind: "led",
    leds: [{
      reader: 0,
      led: 1,
      temporary: { on100Ms: 2, off100Ms: 3, onColour: 2, offColour: 1, timer100Ms: 0x0102 },
      permanent: { on100Ms: 4, off100Ms: 5, onColour: 1, offColour: 0 },
    }],
  });
  assert.equal(id, 0x69);
  assert.deepEqual([...data], [0, 1, 2, 2, 3, 2, 1, 0x02, 0x01, 1, 4, 5, 1, 0]);
});

Deno.test("OUT, BUZ and COMSET are little-endian and in order", () => {
  const out = encodeCommand({
    kind: "output",
    controls: [{ output: 1, control: 5, timer100Ms: 0x1234 }],
  });
  assert.deepEqual([out.id, ...out.data], [0x68, 1, 5, 0x34, 0x12]);
  const comset = encodeCommand({ kind: "communication", address: 9, baudRate: 115_200 });
  assert.deepEqual([comset.id, ...comset.data], [0x6e, 9, 0x00, 0xc2, 0x01, 0x00]);
});

Deno.test("fields that fit no byte are refused, not cut", () => {
  const controls = [{ output: 256, control: 1, timer100Ms: 0 }];
  assert.throws(() => encodeCommand({ kind: "output", controls }), OsdpCodecError);
  const long = [{ output: 0, control: 5, timer100Ms: 65_536 }];
  assert.throws(() => encodeCommand({ kind: "output", controls: long }), OsdpCodecError);
});

Deno.test("each reply with a byte too many or too few is refused by its length", () => {
  const exact: Reply[] = [
    { kind: "identity", vendor: 1, model: 1, version: 1, serial: 1, firmware: [1, 2, 3] },
    { kind: "capabilities", capabilities: [{ function: 1, compliance: 1, count: 1 }] },
    { kind: "localStatus", tamper: false, powerFailed: false },
    { kind: "raw", reader: 0, format: 0, bits: 26, data: new Uint8Array(4) },
    { kind: "keypad", reader: 0, digits: Uint8Array.of(0x31) },
    { kind: "communication", address: 1, baudRate: 9600 },
  ];
  for (const reply of exact) {
    const { id, data } = encodeReply(reply);
    const refused = (bytes: Uint8Array) =>
      assert.throws(
        () => decodeReply({ id, data: bytes }),
        (error) => error instanceof OsdpCodecError && error.kind === "length",
        `${reply.kind} with ${bytes.length} bytes`,
      );
    refused(data.slice(0, -1));
    refused(Uint8Array.of(...data, 0));
    refused(new Uint8Array());
  }
  assert.throws(() => decodeReply({ id: REPLY.nak, data: new Uint8Array() }), OsdpCodecError);
  assert.throws(() => decodeReply({ id: 0x99, data: new Uint8Array() }), OsdpCodecError);
});

Deno.test("what stands behind the last bit of a card is cleared", () => {
  const reply = decodeReply({ id: 0x50, data: Uint8Array.of(0, 1, 26, 0, 1, 2, 3, 0xff) });
  assert.deepEqual(reply.kind === "raw" && [...reply.data], [1, 2, 3, 0xc0]);
});
