/**
 * Whoever has the line in hand and no key: 100,000 frames that were flipped, cut, replayed, reordered,
 * spliced or made in clear text, among three secure readers. Nothing crashes, no card is told that
 * was not presented at that reader, none twice, and no relay switches but the one that was ordered.
 *
 * The readers' answers go straight to the driver, without line or clock between, which makes this
 * many possible; the same bus on a paced line is in the driver's own tests.
 *
 * @module
 */
import assert from "node:assert/strict";
import { crc16 } from "../../hal/mod.ts";
import { VirtualClock } from "../../hal/sim/mod.ts";
import { readCommand } from "../../hal/sim/osdp_reader/frames.ts";
import { SimulatedOsdpReader } from "../../hal/sim/osdp_reader/mod.ts";
import { type Frame, FrameDecoder } from "../../drivers/card-reader/osdp/frame.ts";
import { parseOsdpOptions } from "../../drivers/card-reader/osdp/mod.ts";
import { Random } from "../../drivers/card-reader/osdp/random_test.ts";
import { OsdpReader } from "../../drivers/card-reader/osdp/reader.ts";

const FRAMES = 100_000;
const ADDRESSES = [0, 1, 2];
/** Frames that were on the line once, for whoever replays them. */
const RECORDED_MAX = 400;
/** How many mutants come before one answer, at most. */
const MUTANTS_A_TURN = 20;

const keyOf = (address: number) => new Uint8Array(16).fill(0x40 + address);

/** Makes the check of a frame right again: the attacker can. */
function checked(frame: Uint8Array): Uint8Array {
  if (frame.length < 8) return frame;
  const crc = crc16(frame, 0, frame.length - 2);
  frame.set([crc & 0xff, crc >> 8], frame.length - 2);
  return frame;
}

/** A card in clear text, right in everything but that it is not sealed. */
function clearCard(address: number, sequence: number, card: Uint8Array): Uint8Array {
  const body = [0x53, 0x80 | address, 0, 0, sequence | 0x04, 0x50, 0, 0, 32, 0, ...card, 0, 0];
  body[2] = body.length;
  return checked(Uint8Array.from(body));
}

const KINDS = [
  "flip",
  "flip, check made right",
  "cut",
  "cut, length and check made right",
  "replay",
  "replay under the number that is awaited",
  "from another reader",
  "spliced",
  "clear text",
  "forged MAC",
  "clear NAK",
  "security block changed",
] as const;

/** One frame that is not what a reader says now. */
function mutant(
  random: Random,
  kind: typeof KINDS[number],
  truth: Uint8Array,
  recorded: readonly Uint8Array[],
): Uint8Array {
  const address = truth[1]! & 0x7f;
  const sequence = truth[4]! & 3;
  const other = recorded.length > 0 ? random.pick(recorded).slice() : truth.slice();
  const bytes = truth.slice();
  switch (kind) {
    case "flip":
      for (let i = 0; i <= random.below(3); i++) {
        bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
      }
      return bytes;
    case "flip, check made right":
      // From the security block on: in the head it would be no answer.
      bytes[5 + random.below(bytes.length - 7)]! ^= 1 << random.below(8);
      return checked(bytes);
    case "cut":
      return bytes.slice(0, 1 + random.below(bytes.length - 1));
    case "cut, length and check made right": {
      const cut = bytes.slice(0, Math.max(9, random.below(bytes.length)));
      cut[2] = cut.length;
      cut[3] = 0;
      return checked(cut);
    }
    case "replay":
      return other;
    case "replay under the number that is awaited":
      other[1] = 0x80 | address;
      other[4] = (other[4]! & ~3) | sequence;
      return checked(other);
    case "from another reader":
      bytes[1] = 0x80 | random.pick(ADDRESSES.filter((one) => one !== address));
      return checked(bytes);
    case "spliced": {
      // The head of the truth, and the tail of something that was true once.
      const at = 5 + random.below(Math.min(bytes.length, other.length) - 5);
      const spliced = Uint8Array.from([...bytes.subarray(0, at), ...other.subarray(at)]);
      spliced[2] = spliced.length & 0xff;
      spliced[3] = spliced.length >> 8;
      return checked(spliced);
    }
    case "clear text":
      return clearCard(address, sequence, Uint8Array.of(0xba, 0xdc, 0xa1, 0xd0));
    case "forged MAC": {
      // A card that is "authentic, not encrypted", under four bytes that are guessed.
      const head = [0x53, 0x80 | address, 0, 0, sequence | 0x0c, 2, 0x16, 0x50, 0, 0, 32, 0];
      const forged = Uint8Array.from([...head, 0xba, 0xdc, 0xa1, 0xd0, ...random.bytes(4), 0, 0]);
      forged[2] = forged.length;
      return checked(forged);
    }
    case "clear NAK": {
      const nak = [0x53, 0x80 | address, 9, 0, sequence | 0x04, 0x41, 1 + random.below(9), 0, 0];
      return checked(Uint8Array.from(nak));
    }
    case "security block changed":
      if (bytes.length > 8) bytes[6] = 0x10 + random.below(10);
      return checked(bytes);
    default:
      return kind satisfies never;
  }
}

Deno.test(`${FRAMES} mutated frames in the secure channel: no crash and no wrong door`, async () => {
  const { seed, random } = Random.seeded();
  console.log(`seed ${seed}; repeat with GATEHOUSE_SEED=${seed}`);
  const clock = new VirtualClock();
  const presented = new Map<string, number>();
  const told: string[] = [];
  const ordered: string[] = [];
  const switched: string[] = [];
  const errors: string[] = [];
  const parties = ADDRESSES.map((address) => {
    const device = new SimulatedOsdpReader(
      { address, key: keyOf(address), secureOnly: true },
      clock,
    );
    device.onOutput((index, active) => active && switched.push(`${address} ${index}`));
    const reader = new OsdpReader(
      parseOsdpOptions({ address, key: keyOf(address).toHex() }),
      () => keyOf(address),
      clock,
      (level, message) => {
        if (message === "a listener failed") errors.push(`${level} ${message}`);
      },
      () => {},
      () => assert.fail("it is given no file"),
    );
    reader.onEvent((event) => {
      if (event.kind !== "card") return;
      told.push(`${address} ${event.data.toHex()}`);
      ordered.push(`${address} 0`);
      reader.output(0).set(true);
      reader.output(0).set(false);
      reader.output(0).set(true);
    });
    reader.conversation.connected(0);
    return { address, device, reader, decoder: new FrameDecoder() };
  });
  const recorded: Uint8Array[] = [];
  const counts = Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Record<string, number>;
  let injected = 0;
  let cards = 0;
  let turns = 0;
  let sessions = 0;
  const turn = async (party: typeof parties[number], hostile: boolean) => {
    turns++;
    // The session's own time goes on, or a reader would drop it; a lost one waits before the next.
    await clock.advance(party.reader.conversation.dueMs > clock.monotonicMs() ? 25 : 1);
    const nowMs = clock.monotonicMs();
    const { bytes, onWritten } = party.reader.conversation.next(nowMs);
    onWritten?.(nowMs);
    const truth = party.device.answer(readCommand(bytes));
    const accept = (frame: Frame) => {
      party.reader.conversation.accept(frame, nowMs);
    };
    if (truth === undefined) return party.reader.conversation.missed(nowMs);
    if (truth[6] === 0x14) sessions++;
    const mutants = hostile && party.reader.conversation.ready && random.below(3) > 0
      ? 1 + random.below(MUTANTS_A_TURN)
      : 0;
    for (let i = 0; i < mutants && injected < FRAMES; i++) {
      const kind = random.pick(KINDS);
      const bad = mutant(random, kind, truth, recorded);
      if (bad.length === truth.length && bad.every((byte, at) => byte === truth[at])) continue;
      counts[kind]!++;
      injected++;
      party.decoder.push(bad, accept);
      party.decoder.gap(accept);
    }
    if (recorded.length < RECORDED_MAX) recorded.push(truth);
    else recorded[random.below(RECORDED_MAX)] = truth;
    party.decoder.push(truth, accept);
    party.decoder.gap(accept);
  };
  while (injected < FRAMES) {
    const party = parties[turns % parties.length]!;
    if (party.reader.conversation.ready && random.below(4) === 0) {
      const card = Uint8Array.of(
        party.address,
        (cards >> 16) & 0xff,
        (cards >> 8) & 0xff,
        cards & 0xff,
      );
      cards++;
      presented.set(
        `${party.address} ${card.toHex()}`,
        (presented.get(`${party.address} ${card.toHex()}`) ?? 0) + 1,
      );
      party.device.present(32, card);
    }
    await turn(party, true);
  }
  console.log(
    `${injected} mutants (${JSON.stringify(counts)}) in ${turns} turns, ${sessions} sessions; ` +
      `${cards} cards presented, ${told.length} told`,
  );
  for (const card of told) {
    assert.ok(presented.has(card), `${card} was never presented there; seed ${seed}`);
  }
  assert.equal(new Set(told).size, told.length, `a card was told twice; seed ${seed}`);
  assert.deepEqual(errors, []);
  for (const one of switched) assert.ok(ordered.includes(one), `${one}; seed ${seed}`);
  assert.ok(switched.length <= ordered.length);
  assert.ok(Object.values(counts).every((count) => count > FRAMES / 100), JSON.stringify(counts));
  assert.ok(told.length > cards / 20, "the readers do get through now and then");
  // Left alone, each is back with a card.
  for (const party of parties) {
    for (let i = 0; i < 400 && !party.reader.online(); i++) {
      await clock.advance(25);
      await turn(party, false);
    }
    for (let i = 0; i < 20; i++) await turn(party, false);
    const before = told.length;
    party.device.present(32, Uint8Array.of(0xee, 0xee, 0xee, party.address));
    await turn(party, false);
    assert.equal(told.at(-1), `${party.address} eeeeee0${party.address}`, `seed ${seed}`);
    assert.equal(told.length, before + 1);
  }
});
