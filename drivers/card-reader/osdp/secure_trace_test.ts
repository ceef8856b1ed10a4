import assert from "node:assert/strict";
import type { SerialPort } from "../../../hal/mod.ts";
import {
  memorySerialLine,
  playbackSerial,
  recordSerial,
  VirtualClock,
} from "../../../hal/sim/mod.ts";
import { simulateOsdpReaders } from "../../../hal/sim/osdp_reader/mod.ts";
import { crc16 } from "../../../hal/mod.ts";
import { OsdpBus, parseOsdpOptions } from "./mod.ts";

const TRACE = new URL("testdata/simulated_secure.trace", import.meta.url);
const KEY = "404142434445464748494a4b4c4d4e4f";

/** A file of 300 bytes with its CRC at the end, as the simulated reader wants it. */
const FILE = (() => {
  const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 7) & 0xff);
  const crc = crc16(bytes, 0, 298);
  bytes.set([crc & 0xff, crc >> 8], 298);
  return bytes;
})();

/** What the box does: a tap, a text, a file, and another address; each follows on the one before. */
async function converse(clock: VirtualClock, port: SerialPort, over: () => boolean) {
  const events: string[] = [];
  const log: string[] = [];
  const { signal } = new AbortController();
  let random = 0;
  const bus = await OsdpBus.open(
    {
      clock,
      log: (level, message) => {
        if (level !== "info" && level !== "debug") log.push(message);
      },
      openPort: () => Promise.resolve(port),
    },
    [parseOsdpOptions({ address: 5, pollMs: 50, key: KEY })],
    signal,
    (bytes) => Uint8Array.from({ length: bytes }, () => random++),
  );
  const reader = bus.reader(5);
  const relay = reader.output(0);
  const acts = async () => {
    await bus.showText(5, { text: "Welcome", forS: 3 }, signal);
    const read = (at: number, length: number) => Promise.resolve(FILE.slice(at, at + length));
    const { identity } = await bus.sendFile(5, { size: FILE.length, read }, {}, signal);
    events.push(`file, firmware ${identity?.firmware}`);
    const { address } = await bus.setCommunication(5, { address: 9 }, signal);
    events.push(`at ${address}`);
  };
  let acting: Promise<void> | undefined;
  reader.onEvent((event) => {
    if (event.kind === "card") {
      events.push(`card ${event.bits} ${event.data.toHex()}`);
      relay.set(true, { revertAfterMs: 5_000 });
      reader.show("granted");
      acting = acts();
      acting.catch((cause: unknown) => events.push(String(cause)));
    } else events.push(event.kind);
  });
  for (let waitedMs = 0; !over() && waitedMs < 20_000; waitedMs++) await clock.advance(1);
  await acting;
  await bus[Symbol.asyncDispose]();
  return { events, log };
}

/** Records the conversation with the simulated reader anew: `recordConversation` is run by hand when it should change. */
export async function recordConversation(): Promise<void> {
  const clock = new VirtualClock();
  const abort = new AbortController();
  const memory = memorySerialLine(clock);
  const line = simulateOsdpReaders(memory.b, clock, [{
    address: 5,
    serial: 0xc0ffee,
    key: Uint8Array.fromHex(KEY),
    secureOnly: true,
    display: true,
    file: {},
  }], abort.signal);
  const lines: string[] = [];
  let moved = 0;
  line.readers[0]!.onMove(() => moved = clock.monotonicMs());
  const recorded = recordSerial(memory.a, clock, (step) => lines.push(step));
  clock.schedule(400, () => line.readers[0]!.present(26, Uint8Array.of(0x9a, 0x2b, 0x3c, 0x40)));
  const over = () => moved > 0 && clock.monotonicMs() > moved + 800;
  console.log(await converse(clock, recorded, over));
  abort.abort();
  await Deno.writeTextFile(TRACE, lines.join("\n") + "\n");
}

Deno.test("a recorded secure conversation, with text, file and COMSET, is replayed byte for byte", async () => {
  const clock = new VirtualClock();
  const playback = playbackSerial(await Deno.readTextFile(TRACE), clock);
  const { events, log } = await converse(clock, playback, () => playback.leftSteps() === 0);
  assert.equal(playback.leftSteps(), 0, log.join("; "));
  assert.deepEqual(events, [
    "online",
    "card 26 9a2b3c40",
    "file, firmware 1.4.2",
    "offline",
    "online",
    "at 9",
    "offline",
  ]);
});
