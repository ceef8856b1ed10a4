import type { DeviceHost } from "../../contract.ts";
import { type CardNumber, cardOfBytes } from "../../card_number.ts";
import { OneWayReader } from "../../one_way_reader.ts";
import type { PlainReader } from "../../plain_reader.ts";
import { PcscClient } from "./client.ts";
import { type ReaderState, RESULT } from "./messages.ts";
import type { PcscOptions } from "./mod.ts";

/** Get Data of the UID (PC/SC part 3, §3.2.2.1.3), all of it. */
const GET_UID = Uint8Array.of(0xff, 0xca, 0x00, 0x00, 0x00);
/** Tries at a card that sits at the edge of the field, and the pause between them. */
const TRIES_MAX = 3;
const RETRY_MS = 60;
/** A UID is 4, 7 or 10 bytes (ISO/IEC 14443-3), 8 of ISO/IEC 15693 and FeliCa. */
const UID_BYTES_MIN = 4;
const UID_BYTES_MAX = 10;
/** First byte of a UID of 4 that a card draws anew each time (ISO/IEC 14443-3 §6.5.4). */
const RANDOM_UID = 0x08;

const ADVICE = {
  gone: "a card was taken away before it was read; hold it longer",
  shared: "another program has the card for itself; stop that one",
  mute: "a card does not answer; is it of a kind that this reader reads?",
  noUid: "the reader tells no UID of this card; is it a contactless reader?",
  random: "a card with a UID that changes each time (a phone?) is no credential",
} as const;

type Attempt =
  | { readonly kind: "card"; readonly card: CardNumber }
  | { readonly kind: "refused"; readonly why: keyof typeof ADVICE; readonly detail: string };

/** Opens the reader; a daemon or reader that is missing is waited for. */
export function openPcsc(
  host: DeviceHost,
  options: PcscOptions,
  signal: AbortSignal,
): Promise<OneWayReader> {
  return OneWayReader.open(
    "a PC/SC reader",
    host,
    (reader, end) => serve(host, options, reader, end),
    signal,
  );
}

async function serve(
  host: DeviceHost,
  options: PcscOptions,
  to: PlainReader,
  signal: AbortSignal,
): Promise<void> {
  await using stream = await host.connectUnix(options.socket, signal);
  const client = await PcscClient.begin(stream, host.clock, signal);
  /** Reader and card that were looked at last. */
  let seen = "";
  let missed = false;
  for (;;) {
    const states = await client.watch();
    const state = states.find(({ name }) => isMeant(name, options.reader));
    if (state === undefined) {
      to.down("no-reply");
      seen = "";
      if (!missed) missing(host, options, states);
      missed = true;
    } else {
      to.up();
      missed = false;
      const card = state.cardPresent ? `${state.name} ${state.eventCounter}` : "";
      if (card !== seen) {
        seen = card;
        if (card !== "") {
          await client.unwatch();
          const attempt = await readCard(client, host, state, options, signal);
          report(attempt, to, host.clock.monotonicMs());
          continue;
        }
      }
    }
    await client.changed();
  }
}

/** pcscd appends two numbers that change from socket to socket. */
function isMeant(name: string, reader: string | undefined): boolean {
  return reader === undefined || name === reader ||
    name.replace(/ [0-9A-F]{2} [0-9A-F]{2}$/, "") === reader;
}

function missing(
  { log }: DeviceHost,
  { reader }: PcscOptions,
  states: readonly ReaderState[],
): void {
  log("warn", "pcscd does not see the reader; is it plugged in, and its name right?", {
    reader: reader ?? "any",
    there: states.map(({ name }) => name).join("; "),
  });
}

async function readCard(
  client: PcscClient,
  { clock, log }: DeviceHost,
  { name, atr }: ReaderState,
  options: PcscOptions,
  signal: AbortSignal,
): Promise<Attempt> {
  log("debug", "a card is in the field", { atr });
  let last: Attempt = { kind: "refused", why: "mute", detail: "" };
  for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
    if (attempt > 0) await clock.sleep(RETRY_MS, signal);
    last = await tryCard(client, name, options);
    // What a second look cannot change is settled.
    if (last.kind === "card" || last.why === "noUid" || last.why === "random") return last;
  }
  return last;
}

async function tryCard(
  client: PcscClient,
  reader: string,
  options: PcscOptions,
): Promise<Attempt> {
  const connected = await client.connect(reader);
  if (!connected.ok) return refused(connected.code);
  const answer = await client.transmit(connected.value, GET_UID);
  await client.disconnect(connected.value);
  return answer.ok ? readUid(answer.value, options) : refused(answer.code);
}

function readUid(answer: Uint8Array, { byteOrder, randomUid }: PcscOptions): Attempt {
  const uid = answer.slice(0, -2);
  const status = answer.subarray(-2).toHex();
  if (status !== "9000" || uid.length < UID_BYTES_MIN || uid.length > UID_BYTES_MAX) {
    return { kind: "refused", why: "noUid", detail: `${uid.length} bytes, status ${status}` };
  }
  if (uid.length === UID_BYTES_MIN && uid[0] === RANDOM_UID && randomUid === "refuse") {
    return { kind: "refused", why: "random", detail: "" };
  }
  return { kind: "card", card: cardOfBytes(byteOrder === "little" ? uid.reverse() : uid) };
}

function refused(code: number): Attempt {
  const detail = `0x${code.toString(16)}`;
  switch (code) {
    case RESULT.noSmartcard:
    case RESULT.removedCard:
    case RESULT.unknownReader:
    case RESULT.readerUnavailable:
      return { kind: "refused", why: "gone", detail };
    case RESULT.sharingViolation:
      return { kind: "refused", why: "shared", detail };
    default:
      return { kind: "refused", why: "mute", detail };
  }
}

function report(attempt: Attempt, to: PlainReader, atMs: number): void {
  if (attempt.kind === "refused") {
    to.limited.warn(ADVICE[attempt.why], { detail: attempt.detail });
  } else to.card(attempt.card.bits, attempt.card.data, 0, atMs);
}
