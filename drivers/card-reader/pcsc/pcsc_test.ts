import assert from "node:assert/strict";
import { type ByteStream, HalError } from "../../../hal/mod.ts";
import {
  ABSENT,
  contactlessCard,
  memoryStreams,
  VirtualClock,
  VirtualPcscd,
  type VirtualPcscdOptions,
} from "../../../hal/sim/mod.ts";
import type { ReaderEvent } from "../../contract.ts";
import { parseReaderStates, STATES_BYTES } from "./messages.ts";
import { pcsc } from "./mod.ts";

const NAME = "ACS ACR122U PICC Interface 00 00";
const card = (hex: string) => contactlessCard(Uint8Array.fromHex(hex));

function rig(options: VirtualPcscdOptions = {}) {
  const clock = new VirtualClock();
  const daemon = new VirtualPcscd(clock, options);
  const logged: string[] = [];
  const open = async (
    raw: object = {},
    connectUnix: (path: string, signal: AbortSignal) => Promise<ByteStream> = daemon.connect,
  ) => {
    const host = {
      ...ABSENT,
      clock,
      connectUnix,
      log: (level: string, text: string, fields?: object) => {
        if (level !== "debug") logged.push(`${text} ${JSON.stringify(fields ?? {})}`);
      },
    };
    const reader = await pcsc.open(host, pcsc.parseOptions(raw), new AbortController().signal);
    const events: ReaderEvent[] = [];
    reader.onEvent((event) => events.push(event));
    await clock.advance(10);
    const cards = () =>
      events.flatMap((event) =>
        event.kind === "card" ? [`${event.bits}:${event.data.toHex()}`] : []
      );
    return { reader, events, cards };
  };
  return { clock, daemon, logged, open };
}

for (const minor of [4, 5]) {
  Deno.test(`a card laid on the reader is told once, with its UID (protocol 4.${minor})`, async () => {
    const { clock, daemon, open } = rig({ minor });
    daemon.plug(NAME);
    const { reader, events, cards } = await open();
    assert.equal(reader.online(), true);
    const laidMs = clock.monotonicMs();
    daemon.insert(NAME, card("04a1b2c3d4e5f6"));
    await clock.advance(100);
    daemon.plug("another reader 01 00");
    await clock.advance(60_000);
    assert.deepEqual(cards(), ["56:04a1b2c3d4e5f6"]);
    const seen = events.find((event) => event.kind === "card");
    assert.equal(seen?.kind === "card" && seen.receivedMonotonicMs - laidMs, 30);
    daemon.remove(NAME);
    await clock.advance(100);
    daemon.insert(NAME, card("11223344"));
    await clock.advance(100);
    assert.deepEqual(cards(), ["56:04a1b2c3d4e5f6", "32:11223344"]);
    await reader[Symbol.asyncDispose]();
    await clock.advance(10);
    assert.equal(daemon.clients(), 0);
    assert.equal(clock.pendingTimers(), 0);
  });
}

Deno.test("a card that lies there at the start counts, and one exchanged within a breath is a new one", async () => {
  const { clock, daemon, open } = rig();
  daemon.plug(NAME);
  daemon.insert(NAME, card("aabbccdd"));
  const { reader, cards } = await open({ byteOrder: "little" });
  await using _ = reader;
  await clock.advance(100);
  daemon.remove(NAME);
  daemon.insert(NAME, card("aabbccdd"));
  await clock.advance(100);
  assert.deepEqual(cards(), ["32:ddccbbaa", "32:ddccbbaa"]);
});

Deno.test("the edge of the field is tried again; a card that goes, is mute, has no UID or changes it is refused", async () => {
  const { clock, daemon, open, logged } = rig();
  daemon.plug(NAME);
  const { reader, cards } = await open();
  await using _ = reader;
  const lay = async (...refusals: number[]) => {
    daemon.refuse(NAME, ...refusals);
    daemon.insert(NAME, card("01020304"));
    await clock.advance(1_000);
    daemon.remove(NAME);
    await clock.advance(1_000);
  };
  await lay(0x80100066, 0x80100067);
  assert.deepEqual(cards(), ["32:01020304"]);
  assert.deepEqual(logged, []);
  await lay(0x80100066, 0x80100066, 0x80100066);
  await lay(0x8010000b, 0x8010000b, 0x8010000b);
  daemon.insert(NAME, card("01020304"));
  await clock.advance(20);
  daemon.remove(NAME);
  await clock.advance(1_000);
  daemon.insert(NAME, { atr: Uint8Array.of(0x3b, 0), answer: () => Uint8Array.of(0x6a, 0x81) });
  await clock.advance(1_000);
  daemon.remove(NAME);
  daemon.insert(NAME, card("08123456"));
  await clock.advance(1_000);
  assert.deepEqual(cards(), ["32:01020304"]);
  assert.deepEqual(
    logged.map((line) =>
      /answer\?|does not answer|for itself|taken away|no UID|each time/.exec(line)?.[0]
    ),
    ["does not answer", "for itself", "taken away", "no UID", "each time"],
  );
  const accepting = rig();
  accepting.daemon.plug(NAME);
  accepting.daemon.insert(NAME, card("08123456"));
  const second = await accepting.open({ randomUid: "accept" });
  await using __ = second.reader;
  await accepting.clock.advance(100);
  assert.deepEqual(second.cards(), ["32:08123456"]);
});

Deno.test("the reader is found by its name; pulled, it is offline; the daemon's restart is survived", async () => {
  const { clock, daemon, open, logged } = rig();
  daemon.plug("Yubico YubiKey OTP+FIDO+CCID 00 00");
  const { reader, events, cards } = await open({ reader: "ACS ACR122U PICC Interface" });
  assert.equal(reader.online(), false);
  assert.match(logged.join(), /does not see the reader.*Yubico/);
  daemon.plug("ACS ACR122U PICC Interface 01 00");
  await clock.advance(10);
  assert.equal(reader.online(), true);
  daemon.unplug("ACS ACR122U PICC Interface 01 00");
  await clock.advance(10);
  daemon.plug(NAME);
  await clock.advance(10);
  daemon.insert(NAME, card("01020304"));
  await clock.advance(100);
  await daemon.stop();
  await clock.advance(10);
  assert.equal(reader.online(), false);
  await clock.advance(20_000);
  daemon.start();
  await clock.advance(6_000);
  await reader[Symbol.asyncDispose]();
  await reader[Symbol.asyncDispose]();
  assert.deepEqual(events.map((event) => event.kind === "offline" ? event.reason : event.kind), [
    "online",
    "no-reply",
    "online",
    "card",
    "bus-lost",
    "online",
    // The card lies there still: the daemon that comes back sees it anew.
    "card",
    "closed",
  ]);
  assert.equal(cards().length, 2);
});

Deno.test("a daemon of another protocol, a silent one and one that sends garbage are told apart", async () => {
  const old = rig({ minor: 2 });
  const first = await old.open();
  await old.clock.advance(20_000);
  assert.match(old.logged.join(), /pcscd speaks protocol 4\.2/);
  await first.reader[Symbol.asyncDispose]();

  const silent = rig();
  const second = await silent.open({}, () => Promise.resolve(memoryStreams()[0]));
  await silent.clock.advance(5_100);
  assert.match(silent.logged.join(), /no answer in 5000 ms/);
  await second.reader[Symbol.asyncDispose]();

  const flooding = rig();
  const third = await flooding.open({}, async () => {
    const [ours, theirs] = memoryStreams();
    await theirs.write(new Uint8Array(100_000).fill(1), new AbortController().signal);
    return ours;
  });
  await flooding.clock.advance(1_000);
  assert.equal(third.reader.online(), false);
  assert.match(flooding.logged.join(), /sends what was not asked for/);
  await third.reader[Symbol.asyncDispose]();
});

Deno.test("random answers never crash it, fill it or make a card", async () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  console.log(`seed ${seed}`);
  let word = seed;
  const next = (n: number) =>
    Math.floor((word = (Math.imul(word, 1664525) + 1013904223) >>> 0) / 2 ** 32 * n);
  const { clock, open } = rig();
  const never = new AbortController().signal;
  const { reader, events } = await open({}, async () => {
    const [ours, theirs] = memoryStreams();
    // A good version and context now and then, so that what follows is reached.
    if (next(4) > 0) await theirs.write(Uint8Array.of(4, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0), never);
    if (next(4) > 0) await theirs.write(Uint8Array.of(2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0), never);
    const noise = Uint8Array.from({ length: next(4_000) }, () => next(3) === 0 ? next(256) : 0);
    await theirs.write(noise, never);
    if (next(2) === 0) await theirs[Symbol.asyncDispose]();
    return ours;
  });
  await clock.advance(600_000);
  assert.equal(events.some((event) => event.kind === "card"), false);
  await reader[Symbol.asyncDispose]();
});

Deno.test("states with a name without end or another length are refused", () => {
  assert.throws(() => parseReaderStates(new Uint8Array(8)), HalError);
  assert.throws(() => parseReaderStates(new Uint8Array(STATES_BYTES).fill(0x41)), {
    kind: "protocol",
  });
  assert.deepEqual(parseReaderStates(new Uint8Array(STATES_BYTES)), []);
});

Deno.test("options with faults are named", () => {
  const bad = (options: object, message: RegExp) =>
    assert.throws(() => pcsc.parseOptions(options), { name: "ValiError", message });
  bad({ reader: "" }, /pcsc_scan/);
  bad({ socket: "pcscd.comm" }, /absolute path/);
  bad({ socket: "/" + "x".repeat(107) }, /107 characters/);
  bad({ byteOrder: "middle" }, /big or little/);
  bad({ randomUid: true }, /refuse or accept/);
});
