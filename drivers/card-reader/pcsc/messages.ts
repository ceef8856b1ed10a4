/**
 * The messages of pcscd's socket (pcsc-lite, `winscard_msg.h` and `eventhandler.h`, protocol 4.4 and
 * 4.5). Numbers are in the machine's own order, which is little-endian on every machine that
 * Gatehouse runs on.
 *
 * @module
 */
import { HalError } from "../../../hal/mod.ts";

/** Commands that are used. */
export const COMMAND = {
  establishContext: 0x01,
  connect: 0x04,
  disconnect: 0x06,
  transmit: 0x09,
  version: 0x11,
  waitReaderStateChange: 0x13,
  stopWaitingReaderStateChange: 0x14,
} as const;

/** Major version that is spoken. */
export const VERSION_MAJOR = 4;
/** Minor versions that are the same in all that is used here: Debian 12 has the first, 13 the second. */
export const VERSION_MINORS: readonly number[] = [4, 5];

/** Result codes (`pcsclite.h`) that mean something to a reader of UIDs. */
export const RESULT = {
  success: 0,
  noSmartcard: 0x8010000c,
  sharingViolation: 0x8010000b,
  readerUnavailable: 0x80100017,
  unknownReader: 0x80100009,
  serviceStopped: 0x8010001e,
  unresponsiveCard: 0x80100066,
  unpoweredCard: 0x80100067,
  resetCard: 0x80100068,
  removedCard: 0x80100069,
} as const;

/** Lengths of the answers, in bytes. */
export const ANSWER_BYTES = {
  version: 12,
  establishContext: 12,
  connect: 152,
  disconnect: 12,
  transmit: 32,
  readerStateChange: 8,
} as const;

/** `MAX_READERNAME`, its NUL included. */
export const READER_NAME_BYTES = 128;
/** `MAX_BUFFER_SIZE`: the longest short answer of a card, with some room. */
export const RECEIVE_BYTES_MAX = 264;

/** `PCSCLITE_MAX_READERS_CONTEXTS`: as many states come at once, unused ones empty. */
const READERS_MAX = 16;
/** `READER_STATE`, the ATR padded to a multiple of 4. */
const STATE_BYTES = 184;
const ATR_BYTES_MAX = 33;
/** All states of {@link parseReaderStates}, in bytes. */
export const STATES_BYTES: number = READERS_MAX * STATE_BYTES;
const STATE_PRESENT = 0x0004;
/** All flags of a state (`SCARD_UNKNOWN` to `SCARD_SPECIFIC`). */
const STATE_FLAGS_MAX = 0x7f;

/** Of a context: cards of the whole machine. */
export const SCOPE_SYSTEM = 2;
const SHARE_SHARED = 2;
const PROTOCOL_T0_OR_T1 = 3;
/** `sizeof(SCARD_IO_REQUEST)` with 64-bit longs. */
const PCI_BYTES = 16;

/** One reader as the daemon sees it. */
export interface ReaderState {
  readonly name: string;
  /** Counts the cards that came and went. */
  readonly eventCounter: number;
  readonly cardPresent: boolean;
  /** Answer to reset of the card, in hex; empty without one. */
  readonly atr: string;
}

/** A message: the header, then 32-bit fields and bytes. */
function message(command: number, ...fields: readonly (number | Uint8Array)[]): Uint8Array {
  const size = fields.reduce<number>(
    (sum, field) => sum + (typeof field === "number" ? 4 : field.length),
    0,
  );
  const bytes = new Uint8Array(8 + size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, size, true);
  view.setUint32(4, command, true);
  let at = 8;
  for (const field of fields) {
    if (typeof field === "number") view.setUint32(at, field, true);
    else bytes.set(field, at);
    at += typeof field === "number" ? 4 : field.length;
  }
  return bytes;
}

/** Asks whether the daemon speaks 4.`minor`. */
export function versionMessage(minor: number): Uint8Array {
  return message(COMMAND.version, VERSION_MAJOR, minor, 0);
}

/** Asks for a context, without which no card is connected. */
export function establishContextMessage(): Uint8Array {
  return message(COMMAND.establishContext, SCOPE_SYSTEM, 0, 0);
}

/** Asks for the card in `reader`, shared with other programs. */
export function connectMessage(context: number, reader: string): Uint8Array {
  const name = new Uint8Array(READER_NAME_BYTES);
  new TextEncoder().encodeInto(reader, name.subarray(0, READER_NAME_BYTES - 1));
  return message(COMMAND.connect, context, name, SHARE_SHARED, PROTOCOL_T0_OR_T1, 0, 0, 0);
}

/** Lets go of a card and leaves it as it is. */
export function disconnectMessage(card: number): Uint8Array {
  return message(COMMAND.disconnect, card, 0, 0);
}

/** Sends `apdu`; unlike the other messages its length does not count the bytes that follow. */
export function transmitMessage(card: number, protocol: number, apdu: Uint8Array): Uint8Array {
  const head = message(
    COMMAND.transmit,
    card,
    protocol,
    PCI_BYTES,
    apdu.length,
    PROTOCOL_T0_OR_T1,
    PCI_BYTES,
    RECEIVE_BYTES_MAX,
    0,
  );
  const bytes = new Uint8Array(head.length + apdu.length);
  bytes.set(head);
  bytes.set(apdu, head.length);
  return bytes;
}

/** Asks for all states now, and for a word at their next change. */
export function waitMessage(): Uint8Array {
  return message(COMMAND.waitReaderStateChange);
}

/** Takes that back; either its answer or the word that crossed it comes, the two look alike. */
export function stopWaitingMessage(): Uint8Array {
  return message(COMMAND.stopWaitingReaderStateChange);
}

/** The 32-bit field at byte `at` of an answer. */
export function field(answer: Uint8Array, at: number): number {
  return new DataView(answer.buffer, answer.byteOffset, answer.length).getUint32(at, true);
}

/** Reads the daemon's states, of {@link STATES_BYTES}. @throws `HalError` `protocol`. */
export function parseReaderStates(bytes: Uint8Array): ReaderState[] {
  if (bytes.length !== STATES_BYTES) {
    throw new HalError("protocol", `pcscd: ${bytes.length} bytes are no reader states`);
  }
  const states: ReaderState[] = [];
  for (let start = 0; start < bytes.length; start += STATE_BYTES) {
    const end = bytes.indexOf(0, start);
    if (end === start) continue;
    if (end < 0 || end >= start + READER_NAME_BYTES) {
      throw new HalError("protocol", "pcscd: a reader's name has no end");
    }
    const atrBytes = field(bytes, start + 176);
    const flags = field(bytes, start + 132);
    if (flags > STATE_FLAGS_MAX || atrBytes > ATR_BYTES_MAX + 1) {
      throw new HalError("protocol", "pcscd: a reader is in no state that there is");
    }
    states.push({
      name: new TextDecoder().decode(bytes.subarray(start, end)),
      eventCounter: field(bytes, start + 128),
      cardPresent: (flags & STATE_PRESENT) !== 0,
      // One more than the longest says that the reader is not ready yet.
      atr: atrBytes > ATR_BYTES_MAX
        ? ""
        : bytes.subarray(start + 140, start + 140 + atrBytes).toHex(),
    });
  }
  return states;
}
