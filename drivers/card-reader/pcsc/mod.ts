/**
 * Contactless readers at the PC/SC daemon: the UID of each card.
 *
 * @module
 */
import * as v from "valibot";
import { defineDriver, type ReaderDriver } from "../../contract.ts";
import { READER_NAME_BYTES } from "./messages.ts";
import { openPcsc } from "./reader.ts";

const nameMessage = "expected a reader's name, as pcsc_scan shows it";

const PcscSchema = v.strictObject({
  /** As `pcsc_scan` shows it, with or without the two numbers at its end. Without it, the first reader. */
  reader: v.optional(
    v.pipe(
      v.string(nameMessage),
      v.minLength(1, nameMessage),
      v.maxLength(READER_NAME_BYTES - 1, nameMessage),
    ),
  ),
  /** The order of the UID's bytes: as the card sends them, or turned round. */
  byteOrder: v.optional(v.picklist(["big", "little"], "expected big or little"), "big"),
  /** Whether UIDs that change with each tap count as cards. */
  randomUid: v.optional(v.picklist(["refuse", "accept"], "expected refuse or accept"), "refuse"),
  /** The daemon's socket. */
  socket: v.optional(
    v.pipe(
      v.string("expected the path of a socket"),
      v.startsWith("/", "expected an absolute path such as /run/pcscd/pcscd.comm"),
      // `sun_path` has 108 bytes, its end included.
      v.maxLength(107, "expected a path of at most 107 characters"),
    ),
    "/run/pcscd/pcscd.comm",
  ),
});

/** Options of one reader. */
export interface PcscOptions {
  /** `undefined`: the first. */
  readonly reader?: string | undefined;
  readonly byteOrder: "big" | "little";
  readonly randomUid: "refuse" | "accept";
  readonly socket: string;
}

/**
 * A contactless reader by pcscd. Reported is the card's UID, in the clear: it can be copied. Cards
 * come as 32, 56, 64 or 80 bits.
 */
export const pcsc: ReaderDriver<PcscOptions> = defineDriver({
  id: "pcsc",
  kind: "card-reader",
  bus: "socket",
  reference: "PC/SC specification 2.01, part 3, §3.2.2.1.3 (Get Data); pcsc-lite, winscard_msg.h",
  optionsSchema: PcscSchema,
  parseOptions: (raw: unknown): PcscOptions => v.parse(PcscSchema, raw),
  open: (host, options: PcscOptions, signal) => openPcsc(host, options, signal),
});
