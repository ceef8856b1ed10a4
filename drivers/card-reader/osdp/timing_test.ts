/**
 * Eight readers in the secure channel on one line at 38400 baud: from a tap to the relay, beside what
 * the line's own bytes take. On a simulated line that paces every byte; the clock is exact.
 *
 * @module
 */
import assert from "node:assert/strict";
import { openLineRig } from "./rig_test.ts";
import { Random } from "./random_test.ts";

const READERS = 8;
const BAUD_RATE = 38_400;
const REPLY_MS = 3;
const TAPS = 300;
const SLACK_MS = 5;

const characterMs = 10_000 / BAUD_RATE;
const QUIET_MS = 2 * characterMs;
/** Header, security block, code, MAC and CRC. */
const AROUND = 14;
const frameMs = (data: number) => {
  const sealed = data === 0 ? 0 : 16 * Math.floor(data / 16 + 1);
  return (AROUND + sealed) * characterMs;
};
const pollMs = frameMs(0) + REPLY_MS + frameMs(0) + QUIET_MS;
/** A card of 32 bits in RAW, and OUT with two records, come in where a poll has nothing. */
const tapMs = frameMs(0) + REPLY_MS + frameMs(8) + QUIET_MS + frameMs(8);
const idleCycleMs = READERS * pollMs;
/** A tap that just missed its poll waits for a whole round, which ends in its own turn and the relay's order. */
const cycleMs = idleCycleMs - pollMs + REPLY_MS + frameMs(0) + QUIET_MS + tapMs;

Deno.test("eight secure readers at 38400 baud: tap to relay within the line's own cycle and 5 ms", async () => {
  const { seed, random } = Random.seeded();
  const key = (address: number) => new Uint8Array(16).fill(address + 1);
  const addresses = Array.from({ length: READERS }, (_, address) => address);
  await using rig = await openLineRig(
    addresses.map((address) => ({
      address,
      key: key(address),
      secureOnly: true,
      replyDelayMs: REPLY_MS,
    })),
    {
      baudRate: BAUD_RATE,
      keys: Object.fromEntries(addresses.map((address) => [address, key(address).toHex()])),
    },
  );
  for (const address of addresses) {
    const reader = rig.bus.reader(address);
    const relay = reader.output(0);
    reader.onEvent((event) => {
      if (event.kind !== "card") return;
      relay.set(true, { revertAfterMs: 100 });
      reader.show("granted");
    });
  }
  await rig.clock.advance(4_000);
  const waitsMs: number[] = [];
  let tapped: { address: number; atMs: number } | undefined;
  for (const device of rig.devices) {
    device.onOutput((_index, active, atMs) => {
      if (!active || tapped?.address !== device.address) return;
      waitsMs.push(atMs - tapped.atMs);
      tapped = undefined;
    });
  }
  for (let tap = 0; tap < TAPS; tap++) {
    // At any moment of a cycle, at a reader that is done with the last one.
    await rig.clock.advance(random.below(100_000) / 1_000);
    const address = (tap + random.below(3)) % READERS;
    tapped = { address, atMs: rig.clock.monotonicMs() };
    rig.devices[address]!.present(32, Uint8Array.of(0, 0, tap >> 8, tap & 0xff));
    await rig.clock.advance(160);
  }
  waitsMs.sort((a, b) => a - b);
  const at = (share: number) => waitsMs[Math.ceil(share * waitsMs.length) - 1]!;
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  console.log(
    `seed ${seed}: ${waitsMs.length} taps, p50 ${ms(at(0.5))}, p99 ${ms(at(0.99))}, most ${
      ms(at(1))
    }; the line alone: idle cycle ${ms(idleCycleMs)}, cycle with a tap in it ${ms(cycleMs)}`,
  );
  assert.equal(waitsMs.length, TAPS, "no tap is lost");
  assert.ok(at(0.99) <= cycleMs + SLACK_MS, `p99 ${ms(at(0.99))}`);
  assert.ok(at(0.5) >= tapMs - frameMs(0), "no faster than the bytes go");
});
