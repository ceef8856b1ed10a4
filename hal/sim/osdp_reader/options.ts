import type { SimulatedFileOptions } from "./file_sink.ts";

/** How one simulated reader is built. */
export interface SimulatedReaderOptions {
  /** 0 to 126. */
  readonly address: number;
  /** Contacts. Default 2. */
  readonly inputs?: number;
  /** Relays. Default 2. */
  readonly outputs?: number;
  /** Serial number, 32 bits. Default: the address. */
  readonly serial?: number;
  /** Between the last byte of a command and the first of the reply, in ms. Default 3. */
  readonly replyDelayMs?: number;
  /** Commands that it does not know, by code. */
  readonly unknownCommands?: readonly number[];
  /** It talks in clear text only to say who it is. */
  readonly secureOnly?: boolean;
  /** Its own key of the secure channel, 16 bytes. */
  readonly key?: Uint8Array;
  /** It lets itself be spoken to under the default key, until a key is installed. */
  readonly installMode?: boolean;
  /** It does not know the secure channel. */
  readonly clearOnly?: boolean;
  /** How it sends a reply without data; 0x17 and 0x18 are wrong, and sold. Default 0x16. */
  readonly emptyReplies?: 0x16 | 0x17 | 0x18;
  /** It answers KEYSET in clear text. */
  readonly clearKeySetAck?: boolean;
  /** Address in its replies to the address of all: its own, or that very one. Default `own`. */
  readonly configReply?: "own" | "config";
  /** Baud rate that it is set to, for COM. Default 9600. */
  readonly baudRate?: number;
  /** Its address and baud rate are switches: it keeps them, whatever COMSET says. */
  readonly switches?: boolean;
  /** It knows no CRC, and does not understand one. */
  readonly checksumOnly?: boolean;
  /** It has a display. */
  readonly display?: boolean;
  /** Longest frame that it takes, in bytes, as it tells. Default: it does not tell. */
  readonly receiveBytes?: number;
  /** Longest message that it has for the controller, in bytes, as it tells. Default: it does not tell. */
  readonly largestMessage?: number;
  /** It takes files. */
  readonly file?: SimulatedFileOptions;
}

/** Faults that can be switched while it runs. Counts go down by themselves. */
export interface SimulatedReaderFaults {
  /** It hears and obeys nothing. */
  mute: boolean;
  /** It hears and obeys, but its replies are lost: this many more. */
  loseReplies: number;
  /** Added to each reply's delay, in ms. */
  lateMs: number;
  /** Each reply is sent twice. */
  twice: boolean;
  /** This many more replies have a wrong check. */
  corruptReplies: number;
  /** This many more replies come after these bytes. */
  garbageReplies: number;
  /** Bytes sent before a reply while {@link SimulatedReaderFaults.garbageReplies} lasts. */
  garbage: Uint8Array;
  /** This many more commands are answered with BUSY. */
  busyReplies: number;
  /** This many more replies in the secure channel have a wrong MAC, and a right check. */
  forgedReplies: number;
}

/** A beeping order. */
export interface SimulatedBeep {
  /** 0 is without end. */
  readonly count: number;
  readonly onMs: number;
  readonly offMs: number;
}

/** What its display was told to show. */
export interface SimulatedText {
  readonly text: string;
  /** `undefined`: until something else is shown. */
  readonly forS: number | undefined;
}

/** A reader with nothing wrong. */
export function noFaults(): SimulatedReaderFaults {
  return {
    mute: false,
    loseReplies: 0,
    lateMs: 0,
    twice: false,
    corruptReplies: 0,
    garbageReplies: 0,
    garbage: Uint8Array.of(0x00, 0x53, 0x81, 0x20, 0x00),
    busyReplies: 0,
    forgedReplies: 0,
  };
}
