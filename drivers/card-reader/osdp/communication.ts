/**
 * Gives a reader another address or baud rate (COMSET), and follows it there.
 *
 * @module
 */
import { HalError } from "../../../hal/mod.ts";
import type { Conversation } from "./conversation.ts";
import type { Bench } from "./install_key.ts";
import type { Reply } from "./replies.ts";
import { OsdpRequestError } from "./requests.ts";
import { waitOnline } from "./wait_online.ts";

/** How long a reader may take to answer at a new place: some of them restart for it. */
const MOVE_MS_MAX = 15_000;
const ADDRESS_MAX = 126;
const BAUD_RATE_MIN = 1_200;
const BAUD_RATE_MAX = 1_000_000;

/** Where a reader is spoken to. */
export interface Communication {
  /** 0 to 126. */
  readonly address: number;
  /** Bits per second. */
  readonly baudRate: number;
}

/** See {@link import("./bus.ts").OsdpBus.setCommunication}. */
export async function setCommunication(
  conversation: Conversation,
  bench: Bench,
  now: Communication,
  to: Partial<Communication>,
  line: { readonly changeRate: (baudRate: number) => Promise<void> },
): Promise<Communication> {
  const wanted = { ...now, ...to };
  if (!isPlace(wanted)) {
    throw new RangeError(
      `expected an address from 0 to ${ADDRESS_MAX} and a rate from ${BAUD_RATE_MIN} to ${BAUD_RATE_MAX}`,
    );
  }
  // Without its answer it may be at either place: the new one is looked at first.
  const place = await ask(conversation, wanted) ?? wanted;
  if (same(place, now)) return now;
  const go = async (from: Communication, { address, baudRate }: Communication) => {
    if (baudRate !== from.baudRate) await line.changeRate(baudRate);
    conversation.move(address);
  };
  await go(now, place);
  if (await waitOnline(conversation, bench, MOVE_MS_MAX)) return place;
  await go(place, now);
  if (await waitOnline(conversation, bench, MOVE_MS_MAX)) return now;
  throw new HalError(
    "timeout",
    `the reader answers neither at address ${place.address}, ${place.baudRate} baud, nor where it was; ` +
      "look for it with gatehouse osdp discover",
  );
}

async function ask(
  conversation: Conversation,
  wanted: Communication,
): Promise<Communication | undefined> {
  let reply: Reply;
  try {
    reply = await conversation.request({ kind: "communication", ...wanted });
  } catch (cause) {
    if (cause instanceof OsdpRequestError && cause.kind !== "offline") return undefined;
    throw cause;
  }
  if (reply.kind === "nak") {
    throw new HalError(
      "unsupported",
      `the reader refuses COMSET (NAK ${reply.code}); set its address and baud rate as its manual says`,
    );
  }
  if (reply.kind !== "communication" || !isPlace(reply)) {
    throw new HalError("protocol", "the reader answers COMSET with something else");
  }
  return { address: reply.address, baudRate: reply.baudRate };
}

function isPlace({ address, baudRate }: Communication): boolean {
  return Number.isInteger(address) && address >= 0 && address <= ADDRESS_MAX &&
    Number.isInteger(baudRate) && baudRate >= BAUD_RATE_MIN && baudRate <= BAUD_RATE_MAX;
}

function same(a: Communication, b: Communication): boolean {
  return a.address === b.address && a.baudRate === b.baudRate;
}
