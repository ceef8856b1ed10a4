/**
 * Frames as a simulated reader reads and lays them. Written from the standard, not from the driver.
 *
 * @module
 */
import { crc16 } from "../../mod.ts";

/** A command frame as the line found it. */
export interface ReceivedCommand {
  /** Whom it is for; 127 is everybody. */
  readonly address: number;
  readonly sequence: number;
  readonly checkOk: boolean;
  /** Its check is a CRC, not a checksum. */
  readonly withCrc: boolean;
  /** Type of its security block; 0 without one. */
  readonly scs: number;
  /** What the security block carries behind its type. */
  readonly scsData: Uint8Array;
  readonly code: number;
  /** As it came: in the secure channel still encrypted, and the MAC taken off. */
  readonly data: Uint8Array;
  /** All its bytes. */
  readonly bytes: Uint8Array;
  /** What its MAC covers, where it has one. */
  readonly covered: Uint8Array;
  /** Its MAC; empty without one. */
  readonly mac: Uint8Array;
}

/** What goes into a reply frame. */
export interface ReplyFrame {
  readonly address: number;
  readonly sequence: number;
  readonly withCrc: boolean;
  /** The security block from its type on, if it has one. */
  readonly scs?: readonly number[];
  readonly code: number;
  readonly data: ArrayLike<number>;
  /** Makes the four bytes of MAC. */
  readonly mac?: (covered: Uint8Array) => Uint8Array;
}

/** Reads a frame of the length that its header tells. */
export function readCommand(frame: Uint8Array): ReceivedCommand {
  const control = frame[4]!;
  const withCrc = (control & 0x04) !== 0;
  const end = frame.length - (withCrc ? 2 : 1);
  const scsBytes = (control & 0x08) === 0 ? 0 : frame[5]!;
  const code = 5 + scsBytes;
  const scs = scsBytes >= 2 ? frame[6]! : 0;
  const macBytes = scs >= 0x15 && scs <= 0x18 ? 4 : 0;
  const macAt = end - macBytes;
  const sum = frame.subarray(0, end).reduce((a, b) => a + b, 0);
  const checkOk = code < macAt &&
    (withCrc
      ? crc16(frame, 0, end) === frame[end]! + 256 * frame[end + 1]!
      : ((sum + frame[end]!) & 0xff) === 0);
  return {
    address: frame[1]!,
    sequence: control & 0x03,
    checkOk,
    withCrc,
    scs,
    scsData: frame.slice(7, code),
    code: frame[code] ?? 0,
    data: frame.slice(code + 1, macAt),
    bytes: frame,
    covered: frame.slice(0, macAt),
    mac: frame.slice(macAt, end),
  };
}

/** Lays out a reply. */
export function layReply(reply: ReplyFrame): Uint8Array {
  const { address, sequence, withCrc, scs = [], code, data, mac } = reply;
  const scsBytes = scs.length === 0 ? 0 : scs.length + 1;
  const size = 6 + scsBytes + data.length + (mac === undefined ? 0 : 4) + (withCrc ? 2 : 1);
  const body = [
    0x53,
    address | 0x80,
    size % 256,
    Math.floor(size / 256),
    sequence | (withCrc ? 0x04 : 0) | (scsBytes === 0 ? 0 : 0x08),
    ...(scsBytes === 0 ? [] : [scsBytes, ...scs]),
    code,
    ...Array.from(data),
  ];
  if (mac !== undefined) body.push(...mac(Uint8Array.from(body)));
  if (withCrc) {
    const crc = crc16(Uint8Array.from(body));
    body.push(crc % 256, crc >> 8);
  } else {
    body.push((256 - body.reduce((a, b) => a + b, 0) % 256) % 256);
  }
  return Uint8Array.from(body);
}
