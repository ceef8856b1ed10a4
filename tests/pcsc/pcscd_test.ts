/**
 * The PC/SC driver at Debian's own pcscd, with a virtual reader and cards: what the simulated daemon
 * of the unit tests is held against.
 */
import assert from "node:assert/strict";
import type { CardReader, ReaderEvent } from "../../drivers/contract.ts";
import { pcsc } from "../../drivers/card-reader/pcsc/mod.ts";
import { linuxClock, linuxConnectUnix } from "../../hal/linux/mod.ts";
import { ABSENT } from "../../hal/sim/mod.ts";
import { Pcscd, pcscdRefusal, VpcdCard } from "./daemon.ts";

const refusal = await pcscdRefusal();
if (refusal !== undefined) console.log(`skipped: PC/SC readers at a real pcscd: ${refusal}`);

const GET_UID = "ffca000000";
/** pcscd looks for cards every 400 ms. */
const SEEN_MS_MAX = 5_000;

/** The box's part, at a socket that may move with its daemon. */
async function open(where: () => string, raw: object = {}) {
  const clock = linuxClock();
  const connect = linuxConnectUnix(clock);
  const logged: string[] = [];
  const host = {
    ...ABSENT,
    clock,
    log: (_: string, text: string, fields?: object) =>
      logged.push(`${text} ${JSON.stringify(fields ?? {})}`),
    connectUnix: (_: string, signal: AbortSignal) => connect(where(), signal),
  };
  const reader: CardReader & AsyncDisposable = await pcsc.open(
    host,
    pcsc.parseOptions(raw),
    new AbortController().signal,
  );
  const events: string[] = [];
  reader.onEvent((event) => events.push(textOf(event)));
  const until = async (...wanted: string[]) => {
    const giveUpMs = performance.now() + SEEN_MS_MAX;
    while (events.length < wanted.length && performance.now() < giveUpMs) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.deepEqual(events, wanted, logged.join("\n"));
  };
  return { reader, until, logged };
}

function textOf(event: ReaderEvent): string {
  if (event.kind === "card") return `card ${event.bits} ${event.data.toHex()}`;
  return event.kind === "offline" ? `offline ${event.reason}` : event.kind;
}

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: refusal !== undefined, fn });
}

test("a card's UID is read once, the next card's too, and one without a UID is refused", async () => {
  await using daemon = await Pcscd.start();
  const { reader, until, logged } = await open(() => daemon.socket, {
    reader: "Virtual PCD 00 00",
  });
  await using _ = reader;
  await until("online");
  const first = await VpcdCard.insert(daemon.port, { [GET_UID]: "04a1b2c3d4e5f69000" });
  await until("online", "card 56 04a1b2c3d4e5f6");
  assert.deepEqual(first.apdus, [GET_UID]);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await first[Symbol.asyncDispose]();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const second = await VpcdCard.insert(daemon.port, { [GET_UID]: "112233449000" });
  await until("online", "card 56 04a1b2c3d4e5f6", "card 32 11223344");
  await second[Symbol.asyncDispose]();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const third = await VpcdCard.insert(daemon.port, { [GET_UID]: "6a81" });
  const said = () => /no UID of this card.*status 6a81/.test(logged.join());
  const giveUpMs = performance.now() + SEEN_MS_MAX;
  while (!said() && performance.now() < giveUpMs) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.ok(said(), logged.join("\n"));
  assert.deepEqual(third.apdus, [GET_UID]);
  await until("online", "card 56 04a1b2c3d4e5f6", "card 32 11223344");
  assert.match(logged.join(), /3b8f8001804f0ca0/, "its ATR is in the log for diagnosis");
  await third[Symbol.asyncDispose]();
});

test("a daemon that is killed is an offline reader; its successor is found", async () => {
  let daemon = await Pcscd.start();
  const { reader, until } = await open(() => daemon.socket);
  await using _ = reader;
  await until("online");
  await daemon[Symbol.asyncDispose]();
  await until("online", "offline bus-lost");
  daemon = await Pcscd.start();
  await until("online", "offline bus-lost", "online");
  await using card = await VpcdCard.insert(daemon.port, { [GET_UID]: "aabbccdd9000" });
  await until("online", "offline bus-lost", "online", "card 32 aabbccdd");
  assert.ok(card.apdus.length > 0);
  await daemon[Symbol.asyncDispose]();
});
