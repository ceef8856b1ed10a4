/**
 * Whoever opens a reader's housing has the line in hand and may send anything. A million random and
 * mutated frames end in no crash, in bounded memory and in no card that nobody presented; the door's
 * own reader, on the same line, works afterwards.
 *
 * What clear text cannot stop is not claimed: a frame that is right in address, number and check is
 * the reader's word. The generator makes none of those for the door's reader.
 *
 * @module
 */
import assert from "node:assert/strict";
import { crc16 } from "../../hal/mod.ts";
import { decodeCommand, OsdpCodecError } from "../../drivers/card-reader/osdp/commands.ts";
import { type Frame, FRAME_BYTES_MAX, FrameDecoder } from "../../drivers/card-reader/osdp/frame.ts";
import { decodeReply } from "../../drivers/card-reader/osdp/replies.ts";
import { openRig } from "../../drivers/card-reader/osdp/rig_test.ts";

const SEED = Number(
  Deno.env.get("GATEHOUSE_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0],
);
const DECODER_FRAMES = 700_000;
const BUS_FRAMES = 300_000;
/** Frames a write: more than any reader sends, as a flood would. */
const BURST = 10;
/** Far more than the test's own needs, far less than a million frames kept. */
const GROWTH_BYTES_MAX = 96 << 20;
/** The door's reader, and a neighbour that has gone mad. */
const DOOR = 0;
const MAD = 1;

/** 32-bit generator (mulberry32): the same numbers for the same seed. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  bytes(length: number): number[] {
    return Array.from({ length }, () => this.below(256));
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

/** Any frame with a right CRC: lengths are right only where `size` is not given. */
function laid(address: number, control: number, body: readonly number[], size?: number): number[] {
  const length = size ?? 5 + body.length + 2;
  const bytes = [0x53, address, length & 0xff, (length >> 8) & 0xff, control | 0x04, ...body];
  const crc = crc16(Uint8Array.from(bytes));
  return [...bytes, crc & 0xff, crc >> 8];
}

/** One hostile frame; `forged` gives an address and control that are not the door's turn. */
function hostile(random: Random, forged: () => { address: number; control: number }): number[] {
  const { address, control } = forged();
  const card = [0x50, 0, 1, 32, 0, 0xde, 0xad, 0xbe, 0xef];
  switch (random.below(9)) {
    case 0:
      return random.bytes(1 + random.below(60));
    case 1:
      return laid(address, control, [random.below(256), ...random.bytes(random.below(30))]);
    case 2:
      return laid(address, control, card);
    case 3: {
      // A true one with up to four bytes changed, which its check no longer fits.
      const frame = laid(0x80 | DOOR, random.below(4), card);
      for (let i = 0; i <= random.below(4); i++) {
        frame[random.below(frame.length)]! ^= 1 + random.below(255);
      }
      return frame;
    }
    case 4:
      return laid(0x80 | DOOR, random.below(4), card).slice(0, 1 + random.below(14));
    case 5:
      // A card whose bits and bytes disagree.
      return laid(address, control, [
        0x50,
        0,
        1,
        random.below(256),
        random.below(256),
        ...random.bytes(5),
      ]);
    case 6:
      // A length that promises up to the longest frame, and beyond.
      return laid(
        0x80 | DOOR,
        random.below(4),
        card,
        random.pick([0, 5, 7, 200, 1440, 1441, 65_535]),
      );
    case 7:
      return laid(address, control | 0x08, [
        random.below(40),
        0x10 + random.below(10),
        ...random.bytes(12),
      ]);
    default: {
      // A checksum instead of the CRC that is spoken here, with everything else right.
      const frame = [0x53, 0x80 | DOOR, 15, 0, random.below(4), ...card];
      return [...frame, -frame.reduce((a, b) => a + b, 0) & 0xff];
    }
  }
}

/** Whether `bytes` hold, by chance, what the door's reader alone may say. */
function speaksForTheDoor(bytes: readonly number[]): boolean {
  return bytes.some((byte, at) => {
    if (byte !== 0x53 || bytes[at + 1] !== (0x80 | DOOR)) return false;
    const length = (bytes[at + 2] ?? 0) + 256 * (bytes[at + 3] ?? 0);
    if (length < 8 || at + length > bytes.length || ((bytes[at + 4] ?? 0) & 0x0c) !== 0x04) {
      return false;
    }
    const crc = crc16(Uint8Array.from(bytes.slice(at, at + length - 2)));
    return bytes[at + length - 2] === (crc & 0xff) && bytes[at + length - 1] === crc >> 8;
  });
}

Deno.test(`the decoder survives ${DECODER_FRAMES} hostile frames (seed ${SEED})`, () => {
  console.log(`seed ${SEED}; repeat with GATEHOUSE_SEED=${SEED}`);
  const random = new Random(SEED);
  const decoder = new FrameDecoder();
  const good = Uint8Array.from(laid(0x80, 1, [0x50, 0, 0, 8, 0, 0x42]));
  const forged = () => ({ address: random.below(256), control: random.below(16) & ~0x04 });
  let frames = 0;
  let codecErrors = 0;
  const tryCodec = (decode: () => unknown) => {
    try {
      decode();
    } catch (error) {
      if (!(error instanceof OsdpCodecError)) throw error;
      codecErrors++;
    }
  };
  const sink = (frame: Frame) => {
    frames++;
    tryCodec(() => decodeReply(frame));
    tryCodec(() => decodeCommand(frame));
  };
  const before = Deno.memoryUsage().rss;
  for (let sent = 0; sent < DECODER_FRAMES;) {
    const chunk: number[] = [];
    for (let i = 0; i < BURST; i++, sent++) chunk.push(...hostile(random, forged));
    decoder.push(Uint8Array.from(chunk), sink);
    assert.ok(decoder.pendingBytes < FRAME_BYTES_MAX, `${decoder.pendingBytes} bytes held`);
    if (random.below(20) !== 0) continue;
    // After silence the next true frame is found at once, whatever came before it.
    decoder.gap(sink);
    const found: number[] = [];
    decoder.push(good, (frame) => found.push(frame.id));
    assert.deepEqual(found, [0x50]);
  }
  const grown = Deno.memoryUsage().rss - before;
  assert.ok(grown < GROWTH_BYTES_MAX, `memory grew by ${grown >> 20} MB`);
  assert.ok(
    frames > DECODER_FRAMES / 20 && codecErrors > DECODER_FRAMES / 40,
    "the codecs were reached",
  );
});

Deno.test(`a door's reader lives beside ${BUS_FRAMES} hostile frames (seed ${SEED})`, async () => {
  const random = new Random(SEED ^ 0x5eed);
  let doorSequence = 0;
  await using rig = await openRig([{ address: DOOR }], {
    absent: [MAD],
    interfere: (bytes, from) => {
      if (from === "a" && bytes[1] === DOOR) doorSequence = bytes[4]! & 3;
      return [{ bytes }];
    },
  });
  await rig.clock.advance(500);
  const presented = new Set<string>();
  const read: string[] = [];
  rig.reader(DOOR).onEvent((event) => {
    if (event.kind === "card") read.push(event.data.toHex());
    if (event.kind === "keys") read.push(`keys ${event.keys}`);
  });
  let madCards = 0;
  rig.bus.reader(MAD).onEvent((event) => madCards += Number(event.kind === "card"));
  // Wrong address, no reply, or a number that is not the one awaited.
  const forged = () =>
    random.pick([
      { address: 0x80 | MAD, control: random.below(4) },
      { address: 0x80 | (2 + random.below(126)), control: doorSequence },
      { address: DOOR, control: doorSequence },
      { address: 0x80 | DOOR, control: (doorSequence + 1 + random.below(3)) & 3 },
    ]);
  const before = Deno.memoryUsage().rss;
  let skipped = 0;
  let presents = 0;
  for (let sent = 0; sent < BUS_FRAMES;) {
    const chunk: number[] = [];
    for (let i = 0; i < BURST; i++, sent++) {
      const frame = hostile(random, forged);
      const speaks = speaksForTheDoor(frame) && (frame[4]! & 3) === doorSequence;
      if (speaks) skipped++;
      else chunk.push(...frame);
    }
    rig.line.disturb(Uint8Array.from(chunk));
    if (random.below(100) === 0) {
      const data = Uint8Array.from([0xca, ...random.bytes(3)]);
      presented.add(data.toHex());
      presents++;
      rig.line.reader(DOOR).present(32, data);
    }
    await rig.clock.advance(random.pick([1, 5, 20, 20, 60]));
  }
  const grown = Deno.memoryUsage().rss - before;
  assert.ok(grown < GROWTH_BYTES_MAX, `memory grew by ${grown >> 20} MB`);
  assert.deepEqual(read.filter((card) => !presented.has(card)), [], "nobody presented these");
  assert.equal(new Set(read).size, read.length, "no card counts twice");
  const { stray, badChecks } = rig.bus.counts();
  assert.ok(
    stray > BUS_FRAMES / 20 && badChecks > BUS_FRAMES / 20,
    `${stray} stray, ${badChecks} broken`,
  );
  console.log(
    `${read.length} of ${presents} cards were read in the storm; ${stray} stray and ${badChecks} ` +
      `broken frames; the mad reader made ${madCards} cards; ${skipped} not sent`,
  );
  await rig.clock.advance(10_000);
  assert.equal(rig.reader(DOOR).online(), true);
  rig.line.reader(DOOR).present(32, Uint8Array.of(0xaf, 0x7e, 0x12, 0x34));
  await rig.clock.advance(500);
  assert.equal(read.at(-1), "af7e1234");
});
