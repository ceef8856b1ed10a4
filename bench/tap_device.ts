/**
 * The far end of the line for `bench tap`, a process of its own as a reader is a device of its own:
 * a simulated reader that says when the last byte of each card went onto the line, or an echo.
 *
 * Standard input: `echo N BYTES`, `tap N`. Standard output: `path P`, then a number a line.
 *
 * @module
 */
import type { Clock, SerialPort } from "../hal/mod.ts";
import { linuxClock, openPtyPair } from "../hal/linux/mod.ts";
import { simulateOsdpReaders } from "../hal/sim/osdp_reader/mod.ts";
import { DistrictOfPeople } from "../demo/people.ts";

/** Longer than the door's hold, so that each tap finds it locked. */
const TAP_EVERY_MS = 130;
/** Reply code of a card read (IEC 60839-11-5 §7.10), the sixth byte of its frame. */
const RAW = 0x50;

const signal = new AbortController().signal;
const clock = linuxClock();
await using pair = openPtyPair(clock);
const encoder = new TextEncoder();
const say = (line: string) => Deno.stdout.writeSync(encoder.encode(line + "\n"));
say(`path ${pair.path}`);

/** The port, with `onCard` told the time after each write that carries a card. */
function watched(port: SerialPort, onCard: (atMs: number) => void): SerialPort {
  let last = "";
  return {
    settings: port.settings,
    read: (abort) => port.read(abort),
    drain: (abort) => port.drain(abort),
    discardInput: () => port.discardInput(),
    [Symbol.asyncDispose]: () => port[Symbol.asyncDispose](),
    write(bytes, abort) {
      const writing = port.write(bytes, abort);
      const frame = bytes[0] === 0x53 && bytes[5] === RAW ? bytes.toHex() : "";
      // What a held-up box asks for again is the same card, and came with its first reply.
      if (frame !== "" && frame !== last) onCard(clock.monotonicMs());
      if (frame !== "") last = frame;
      return writing;
    },
  };
}

async function echo(count: number, bytes: number, on: Clock): Promise<void> {
  const frame = new Uint8Array(bytes).fill(0x55);
  for (let round = 0; round < count; round++) {
    const startMs = on.monotonicMs();
    await pair.port.write(frame, signal);
    for (let got = 0; got < bytes;) got += (await pair.port.read(signal)).bytes.length;
    say(String(on.monotonicMs() - startMs));
    await on.sleep(2, signal);
  }
}

async function taps(count: number, people: number): Promise<void> {
  const district = new DistrictOfPeople(people, 7);
  const port = watched(pair.port, (atMs) => say(String(atMs)));
  const line = simulateOsdpReaders(port, clock, [{ address: 0, replyDelayMs: 1 }], signal);
  // The first reads after a start are dropped as a backlog by design.
  await clock.sleep(1_000, signal);
  for (let round = 0; round < count; round++) {
    const card = district.read(false);
    line.reader(0).present(card.bits, card.data);
    await clock.sleep(TAP_EVERY_MS, signal);
  }
}

for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const [what, first, second] = text.trim().split(" ");
  if (what === "echo") await echo(Number(first), Number(second), clock);
  if (what === "tap") await taps(Number(first), Number(second));
  say("done");
}
