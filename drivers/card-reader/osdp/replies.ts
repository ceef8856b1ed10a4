/**
 * What a reader answers (IEC 60839-11-5 §7, replies), read and laid out.
 *
 * @module
 */
import {
  type Message,
  octets,
  OsdpCodecError,
  records,
  u16,
  u32,
  u32At,
  wrongLength,
} from "./commands.ts";

/** Codes of the replies that this driver knows. */
export const REPLY = {
  ack: 0x40,
  nak: 0x41,
  identity: 0x45,
  capabilities: 0x46,
  localStatus: 0x48,
  inputStatus: 0x49,
  outputStatus: 0x4a,
  readerStatus: 0x4b,
  raw: 0x50,
  keypad: 0x53,
  communication: 0x54,
  cryptogram: 0x76,
  initialMac: 0x78,
  busy: 0x79,
  fileStatus: 0x7a,
} as const;

/** Replies of functions that Gatehouse does not use: known by name, never asked for, never believed. */
export const FOREIGN = {
  0x51: "formatted card data (FMT)",
  0x57: "a biometric template (BIOREADR)",
  0x58: "a biometric match (BIOMATCHR)",
  0x80: "PIV data (PIVDATAR)",
  0x81: "an authentication (GENAUTHR)",
  0x82: "a challenge's answer (CRAUTHR)",
  0x83: "a manufacturer's status (MFGSTATR)",
  0x84: "a manufacturer's error (MFGERRR)",
  0x90: "a manufacturer's reply (MFGREP)",
  0xb1: "a smart card's data (XRD)",
} as const satisfies Readonly<Record<number, string>>;

/** Code of a reply that Gatehouse does not use. */
export type ForeignCode = keyof typeof FOREIGN;

/** What a reader says of a file that it is being given (FTSTAT, §7). */
export const FILE_STATUS = {
  proceed: 0,
  processed: 1,
  rebooting: 2,
  finishing: 3,
  aborted: -1,
  unrecognised: -2,
  malformed: -3,
} as const;

/** Why a reader refused (§7, NAK). */
export const NAK = {
  check: 1,
  length: 2,
  unknownCommand: 3,
  sequence: 4,
  secureChannelNeeded: 5,
  secureChannelCondition: 6,
  record: 9,
} as const;

/** Function codes of a capability (annex B). */
export const CAPABILITY = {
  inputs: 1,
  outputs: 2,
  led: 4,
  buzzer: 5,
  text: 6,
  check: 8,
  security: 9,
  receiveBuffer: 10,
  largestMessage: 11,
} as const;

/** One line of PDCAP. */
export interface Capability {
  /** One of {@link CAPABILITY}, or others. */
  readonly function: number;
  /** How well; 0 is not at all. */
  readonly compliance: number;
  /** How many. */
  readonly count: number;
}

/** A reply with its fields. */
export type Reply =
  | { readonly kind: "ack" }
  | { readonly kind: "nak"; readonly code: number; readonly detail: Uint8Array }
  | {
    readonly kind: "identity";
    /** IEEE OUI, 24 bits, first byte on the wire in the high bits. */
    readonly vendor: number;
    readonly model: number;
    readonly version: number;
    readonly serial: number;
    /** Major, minor, build. */
    readonly firmware: readonly [number, number, number];
  }
  | { readonly kind: "capabilities"; readonly capabilities: readonly Capability[] }
  | { readonly kind: "localStatus"; readonly tamper: boolean; readonly powerFailed: boolean }
  | { readonly kind: "inputStatus"; readonly inputs: readonly boolean[] }
  | { readonly kind: "outputStatus"; readonly outputs: readonly boolean[] }
  /** 0 normal, 1 not connected, 2 tampered, each reader head. */
  | { readonly kind: "readerStatus"; readonly readers: readonly number[] }
  | {
    readonly kind: "raw";
    readonly reader: number;
    /** 0 not said, 1 parity-data-parity (Wiegand). */
    readonly format: number;
    readonly bits: number;
    /** ceil(bits / 8) bytes, first bit in the high bit of byte 0, bits that are none cleared. */
    readonly data: Uint8Array;
  }
  | { readonly kind: "keypad"; readonly reader: number; readonly digits: Uint8Array }
  | { readonly kind: "communication"; readonly address: number; readonly baudRate: number }
  /** CCRYPT: who the reader is, its random number and its proof. */
  | { readonly kind: "cryptogram"; readonly data: Uint8Array }
  /** RMAC_I: the MAC that the first command is chained to. */
  | { readonly kind: "initialMac"; readonly data: Uint8Array }
  | { readonly kind: "busy" }
  | {
    /** FTSTAT. */
    readonly kind: "fileStatus";
    /** Whether other commands may come between the parts. */
    readonly interleave: boolean;
    /** It asks to be sent the file outside of the secure channel. */
    readonly leaveChannel: boolean;
    /** It has something to tell if it is polled. */
    readonly pollFirst: boolean;
    /** Wait before the next part. */
    readonly delayMs: number;
    /** One of {@link FILE_STATUS}; other negative ones are errors too. */
    readonly status: number;
    /** Longest frame that it wants from now on, in bytes; 0 is no wish. */
    readonly receiveMax: number;
  }
  /** Something that Gatehouse does not use. */
  | { readonly kind: "foreign"; readonly code: ForeignCode; readonly data: Uint8Array };

/** Reads a reply. @throws {@link OsdpCodecError}. */
export function decodeReply({ id, data }: Message): Reply {
  switch (id) {
    case REPLY.ack:
      // Data in an ACK is out of order, and harmless: some readers pad it.
      return { kind: "ack" };
    case REPLY.nak:
      if (data.length === 0) throw wrongLength(id, data, "an error code");
      return { kind: "nak", code: data[0]!, detail: data.slice(1) };
    case REPLY.identity:
      length(id, data, 12);
      return {
        kind: "identity",
        vendor: (data[0]! << 16) | (data[1]! << 8) | data[2]!,
        model: data[3]!,
        version: data[4]!,
        serial: u32At(data, 5),
        firmware: [data[9]!, data[10]!, data[11]!],
      };
    case REPLY.capabilities:
      return {
        kind: "capabilities",
        capabilities: records(data, 3).map((r) => ({
          function: r[0]!,
          compliance: r[1]!,
          count: r[2]!,
        })),
      };
    case REPLY.localStatus:
      length(id, data, 2);
      return { kind: "localStatus", tamper: data[0] !== 0, powerFailed: data[1] !== 0 };
    case REPLY.inputStatus:
      return { kind: "inputStatus", inputs: flags(data) };
    case REPLY.outputStatus:
      return { kind: "outputStatus", outputs: flags(data) };
    case REPLY.readerStatus:
      return { kind: "readerStatus", readers: [...data] };
    case REPLY.raw:
      return raw(data);
    case REPLY.keypad:
      if (data.length < 2) throw wrongLength(id, data, "2 bytes or more");
      length(id, data, 2 + data[1]!);
      return { kind: "keypad", reader: data[0]!, digits: data.slice(2) };
    case REPLY.communication:
      length(id, data, 5);
      return { kind: "communication", address: data[0]!, baudRate: u32At(data, 1) };
    case REPLY.cryptogram:
      length(id, data, 32);
      return { kind: "cryptogram", data };
    case REPLY.initialMac:
      length(id, data, 16);
      return { kind: "initialMac", data };
    case REPLY.busy:
      length(id, data, 0);
      return { kind: "busy" };
    case REPLY.fileStatus:
      return fileStatus(data);
    default:
      if (id in FOREIGN) return { kind: "foreign", code: id as ForeignCode, data };
      throw new OsdpCodecError("unknown", `reply 0x${id.toString(16)}`);
  }
}

/** Lays out a reply, for recorded conversations. @throws {@link OsdpCodecError} `value`. */
export function encodeReply(reply: Reply): Message {
  if (reply.kind === "foreign") return { id: reply.code, data: reply.data };
  const id = REPLY[reply.kind];
  switch (reply.kind) {
    case "ack":
    case "busy":
      return { id, data: new Uint8Array() };
    case "nak":
      return { id, data: octets(reply.code, ...reply.detail) };
    case "identity": {
      const { vendor, model, version, serial, firmware } = reply;
      return {
        id,
        data: octets(
          (vendor >> 16) & 0xff,
          (vendor >> 8) & 0xff,
          vendor & 0xff,
          model,
          version,
          ...u32(serial),
          ...firmware,
        ),
      };
    }
    case "capabilities":
      return {
        id,
        data: octets(...reply.capabilities.flatMap((c) => [c.function, c.compliance, c.count])),
      };
    case "localStatus":
      return { id, data: octets(Number(reply.tamper), Number(reply.powerFailed)) };
    case "inputStatus":
      return { id, data: octets(...reply.inputs.map(Number)) };
    case "outputStatus":
      return { id, data: octets(...reply.outputs.map(Number)) };
    case "readerStatus":
      return { id, data: octets(...reply.readers) };
    case "raw":
      return { id, data: octets(reply.reader, reply.format, ...u16(reply.bits), ...reply.data) };
    case "keypad":
      return { id, data: octets(reply.reader, reply.digits.length, ...reply.digits) };
    case "communication": {
      const { address, baudRate } = reply;
      return { id, data: octets(address, ...u32(baudRate)) };
    }
    case "fileStatus": {
      const { interleave, leaveChannel, pollFirst, delayMs, status, receiveMax } = reply;
      const flags = Number(interleave) | (Number(leaveChannel) << 1) | (Number(pollFirst) << 2);
      return {
        id,
        data: octets(flags, ...u16(delayMs), ...u16(status & 0xffff), ...u16(receiveMax)),
      };
    }
    case "cryptogram":
    case "initialMac":
      return { id, data: reply.data };
    default:
      return reply satisfies never;
  }
}

function fileStatus(data: Uint8Array): Reply {
  length(REPLY.fileStatus, data, 7);
  const flags = data[0]!;
  const detail = data[3]! | (data[4]! << 8);
  return {
    kind: "fileStatus",
    interleave: (flags & 1) !== 0,
    leaveChannel: (flags & 2) !== 0,
    pollFirst: (flags & 4) !== 0,
    delayMs: data[1]! | (data[2]! << 8),
    status: detail > 0x7fff ? detail - 0x1_0000 : detail,
    receiveMax: data[5]! | (data[6]! << 8),
  };
}

function raw(data: Uint8Array): Reply {
  if (data.length < 4) throw wrongLength(REPLY.raw, data, "4 bytes or more");
  const bits = data[2]! | (data[3]! << 8);
  const bytes = Math.ceil(bits / 8);
  length(REPLY.raw, data, 4 + bytes);
  const number = data.slice(4);
  // What stands behind the last bit is no part of the card: two readers may leave it different.
  if (bits % 8 !== 0) number[bytes - 1]! &= 0xff << (8 - bits % 8);
  return { kind: "raw", reader: data[0]!, format: data[1]!, bits, data: number };
}

function length(id: number, data: Uint8Array, expected: number): void {
  if (data.length !== expected) throw wrongLength(id, data, String(expected));
}

function flags(data: Uint8Array): boolean[] {
  return Array.from(data, (value) => value !== 0);
}
