/**
 * Text on a reader's display (TEXT, IEC 60839-11-5 §6).
 *
 * @module
 */
import { HalError } from "../../../hal/mod.ts";
import type { Command } from "./commands.ts";
import type { Conversation } from "./conversation.ts";
import type { Bench } from "./install_key.ts";
import { NAK } from "./replies.ts";

/** Longer ones fit no display that is sold. */
export const TEXT_CHARACTERS_MAX = 64;
/** The longest time that TEXT can say. */
export const TEXT_S_MAX = 255;
/** What the standard lets a display be given; everything else has no place in its fonts. */
export const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;

/** A text for a display. */
export interface OsdpText {
  /** Printable ASCII, at most 64 characters; an empty one clears. */
  readonly text: string;
  /** How long, in s, 1 to 255; without it, until something else is shown. */
  readonly forS?: number;
  /** Line and column of its first character, from 1. Default 1. */
  readonly row?: number;
  readonly column?: number;
}

/** Lays a text out; long ones wrap. @throws RangeError when it is none. */
export function textCommand({ text, forS, row = 1, column = 1 }: OsdpText): Command {
  if (!PRINTABLE_ASCII.test(text) || text.length > TEXT_CHARACTERS_MAX) {
    throw new RangeError(`expected at most ${TEXT_CHARACTERS_MAX} printable ASCII characters`);
  }
  if (forS !== undefined && !(Number.isInteger(forS) && forS >= 1 && forS <= TEXT_S_MAX)) {
    throw new RangeError(`expected 1 to ${TEXT_S_MAX} whole seconds`);
  }
  return {
    kind: "text",
    reader: 0,
    mode: forS === undefined ? 2 : 4,
    timerS: forS ?? 0,
    row,
    column,
    text: new TextEncoder().encode(text),
  };
}

/** See {@link import("./bus.ts").OsdpBus.showText}. */
export async function showText(
  conversation: Conversation,
  { signal }: Bench,
  text: OsdpText,
): Promise<void> {
  const reply = await conversation.request(textCommand(text));
  signal.throwIfAborted();
  if (reply.kind !== "nak") return;
  throw reply.code === NAK.unknownCommand
    ? new HalError("unsupported", "the reader has no display")
    : new HalError("protocol", `the reader refuses the text (NAK ${reply.code})`);
}
