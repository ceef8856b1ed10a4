/**
 * Frames of OSDP 2.2 (IEC 60839-11-5 §5): encoder and incremental decoder. What a frame carries is
 * the business of `commands.ts` and `replies.ts`.
 *
 * @module
 */
import { crc16 } from "../../../hal/mod.ts";

/** First byte of each frame. */
const SOM = 0x53;
/** Optional byte before a frame, to settle the line; no part of the frame. */
const MARK = 0xff;
/** SOM, address, length (2), control. */
const HEADER_BYTES = 5;
/** Longest frame that the standard lets any device send or expect. */
export const FRAME_BYTES_MAX = 1440;
/** A MAC is cut to four bytes on the wire. */
const MAC_BYTES = 4;
const CONTROL_SEQUENCE = 0x03;
const CONTROL_CRC = 0x04;
const CONTROL_SECURITY = 0x08;
/** Set in the address byte of a reply. */
const REPLY = 0x80;

/** How a frame is checked: CRC-16, or the 8-bit checksum of the oldest devices. */
export type FrameCheck = "crc" | "checksum";

/** Number of a frame: 0 restarts the conversation, then 1, 2, 3, 1, … */
export type FrameSequence = 0 | 1 | 2 | 3;

/** Security control block (§5.9): present in frames of the secure channel. */
export interface SecurityBlock {
  /** 0x11 to 0x14 set the channel up, 0x15 to 0x18 carry traffic in it. */
  readonly type: number;
  readonly data: Uint8Array;
}

/** What goes into a frame. */
export interface FrameFields {
  /** 0 to 126, 127 for all. */
  readonly address: number;
  /** From the device to the controller. */
  readonly reply: boolean;
  readonly sequence: FrameSequence;
  readonly check: FrameCheck;
  readonly security?: SecurityBlock;
  /** Command or reply code. */
  readonly id: number;
  readonly data: Uint8Array;
}

/** A frame that was received whole. In a sealed one `data` is still encrypted. */
export interface Frame extends FrameFields {
  /** The four bytes of MAC, where the security block says that there are some. */
  readonly mac: Uint8Array | undefined;
  /** The frame as it came, from SOM through its check. */
  readonly bytes: Uint8Array;
}

/** What seals a frame of the secure channel (SCS_15 to SCS_18). */
export interface FrameSeal {
  /** Encrypts the data of SCS_17 and SCS_18, padding included. */
  encrypt(data: Uint8Array): Uint8Array;
  /** The four bytes of MAC over SOM through data, with the length already final. */
  mac(covered: Uint8Array): Uint8Array;
}

/** Whether frames with this security block end in a MAC. */
export function carriesMac(security: SecurityBlock | undefined): boolean {
  return security !== undefined && security.type >= 0x15 && security.type <= 0x18;
}

/** Whether the data of frames with this security block are encrypted. */
export function carriesCipher(security: SecurityBlock | undefined): boolean {
  return security !== undefined && (security.type === 0x17 || security.type === 0x18);
}

/**
 * Lays out a frame, without mark.
 *
 * @throws RangeError when a field does not fit, the frame is too long, or a seal is missing.
 */
export function encodeFrame(fields: FrameFields, seal?: FrameSeal): Uint8Array {
  const { address, reply, sequence, check, security, id } = fields;
  if (!Number.isInteger(address) || address < 0 || address > 0x7f) {
    throw new RangeError(`OSDP address ${address}: expected 0 to 127`);
  }
  const sealed = carriesMac(security);
  if (sealed && seal === undefined) {
    throw new RangeError("a frame of the secure channel needs a seal");
  }
  const data = carriesCipher(security) ? seal!.encrypt(fields.data) : fields.data;
  const securityBytes = security === undefined ? 0 : 2 + security.data.length;
  const dataAt = HEADER_BYTES + securityBytes + 1;
  const macAt = dataAt + data.length;
  const checkAt = macAt + (sealed ? MAC_BYTES : 0);
  const length = checkAt + (check === "crc" ? 2 : 1);
  if (length > FRAME_BYTES_MAX || securityBytes > 0xff) {
    throw new RangeError(`OSDP frame of ${length} bytes: at most ${FRAME_BYTES_MAX}`);
  }
  const bytes = new Uint8Array(length);
  bytes[0] = SOM;
  bytes[1] = address | (reply ? REPLY : 0);
  bytes[2] = length & 0xff;
  bytes[3] = length >> 8;
  bytes[4] = sequence | (check === "crc" ? CONTROL_CRC : 0) |
    (security === undefined ? 0 : CONTROL_SECURITY);
  if (security !== undefined) {
    bytes[5] = securityBytes;
    bytes[6] = security.type;
    bytes.set(security.data, 7);
  }
  bytes[dataAt - 1] = id;
  bytes.set(data, dataAt);
  if (sealed) {
    const mac = seal!.mac(bytes.slice(0, macAt));
    if (mac.length !== MAC_BYTES) throw new RangeError(`a MAC of ${mac.length} bytes: expected 4`);
    bytes.set(mac, macAt);
  }
  if (check === "crc") {
    const crc = crc16(bytes, 0, checkAt);
    bytes[checkAt] = crc & 0xff;
    bytes[checkAt + 1] = crc >> 8;
  } else {
    bytes[checkAt] = checksum(bytes, 0, checkAt);
  }
  return bytes;
}

/** Two's complement of the sum of bytes, 8 bits (§5.8). */
function checksum(bytes: Uint8Array, start: number, end: number): number {
  let sum = 0;
  for (let i = start; i < end; i++) sum += bytes[i]!;
  return -sum & 0xff;
}

/** What a decoder threw away since it was made. */
export interface DecoderCounts {
  /** Whole frames given out. */
  readonly frames: number;
  /** Frames whose CRC or checksum was wrong. */
  readonly badChecks: number;
  /** Bytes that belonged to no frame. */
  readonly garbageBytes: number;
}

/** Holds the longest frame and some of the next; a full buffer always yields a frame or drops a byte. */
const BUFFER_BYTES = 2 * FRAME_BYTES_MAX;

/**
 * Finds frames in bytes as they come: split, merged, with marks and garbage between. After a frame
 * that is none it looks on from the very next byte, so a false start hides no true frame for longer
 * than a {@link FrameDecoder.gap}.
 */
export class FrameDecoder {
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #length = 0;
  #frames = 0;
  #badChecks = 0;
  #garbageBytes = 0;

  /** Bytes of a frame that has begun and is not whole. */
  get pendingBytes(): number {
    return this.#length;
  }

  /** What was found and thrown away so far. */
  get counts(): DecoderCounts {
    return {
      frames: this.#frames,
      badChecks: this.#badChecks,
      garbageBytes: this.#garbageBytes,
    };
  }

  /** Takes `bytes` and calls `sink` for each frame that they complete. `sink` must not call back. */
  push(bytes: Uint8Array, sink: (frame: Frame) => void): void {
    let taken = 0;
    while (taken < bytes.length) {
      const part = bytes.subarray(taken, taken + BUFFER_BYTES - this.#length);
      this.#buffer.set(part, this.#length);
      this.#length += part.length;
      taken += part.length;
      this.#scan(sink);
    }
  }

  /**
   * Says that the line fell silent: the frame that has begun will never be whole. What came after
   * its first byte is looked through again, which may complete frames.
   */
  gap(sink: (frame: Frame) => void): void {
    while (this.#length > 0) {
      this.#drop(1);
      this.#scan(sink);
    }
  }

  /** Throws away the frame that has begun: what came so far answers nothing that is sent from now on. */
  discard(): void {
    this.#drop(this.#length);
  }

  #drop(count: number): void {
    this.#garbageBytes += count;
    this.#consume(count);
  }

  #consume(count: number): void {
    this.#buffer.copyWithin(0, count, this.#length);
    this.#length -= count;
  }

  #scan(sink: (frame: Frame) => void): void {
    let at = 0;
    while (at < this.#length) {
      if (this.#buffer[at] !== SOM) {
        if (this.#buffer[at] !== MARK) this.#garbageBytes++;
        at++;
        continue;
      }
      const left = this.#length - at;
      if (left < HEADER_BYTES) break;
      const length = this.#buffer[at + 2]! | (this.#buffer[at + 3]! << 8);
      if (!plausible(length, this.#buffer[at + 4]!)) {
        this.#garbageBytes++;
        at++;
        continue;
      }
      if (left < length) break;
      const frame = decode(this.#buffer.slice(at, at + length));
      if (frame === undefined) {
        this.#badChecks++;
        this.#garbageBytes++;
        at++;
        continue;
      }
      this.#frames++;
      at += length;
      sink(frame);
    }
    if (at > 0) this.#consume(at);
  }
}

/** Whether a header can be one: id and check must fit, and bits 4 to 6 of control are reserved. */
function plausible(length: number, control: number): boolean {
  const least = HEADER_BYTES + 1 + ((control & CONTROL_CRC) === 0 ? 1 : 2) +
    ((control & CONTROL_SECURITY) === 0 ? 0 : 2);
  return length >= least && length <= FRAME_BYTES_MAX && (control & 0x70) === 0;
}

/** Reads one frame of exactly `bytes`; `undefined` when its check or its inner lengths are wrong. */
function decode(bytes: Uint8Array): Frame | undefined {
  const control = bytes[4]!;
  const withCrc = (control & CONTROL_CRC) !== 0;
  const checkAt = bytes.length - (withCrc ? 2 : 1);
  const expected = withCrc ? crc16(bytes, 0, checkAt) : checksum(bytes, 0, checkAt);
  const got = withCrc ? bytes[checkAt]! | (bytes[checkAt + 1]! << 8) : bytes[checkAt]!;
  if (expected !== got) return undefined;
  let idAt = HEADER_BYTES;
  let security: SecurityBlock | undefined;
  if ((control & CONTROL_SECURITY) !== 0) {
    const securityBytes = bytes[HEADER_BYTES]!;
    idAt += securityBytes;
    if (securityBytes < 2 || idAt >= checkAt) return undefined;
    security = { type: bytes[HEADER_BYTES + 1]!, data: bytes.slice(HEADER_BYTES + 2, idAt) };
  }
  const macAt = checkAt - (carriesMac(security) ? MAC_BYTES : 0);
  if (macAt < idAt + 1) return undefined;
  return {
    address: bytes[1]! & ~REPLY,
    reply: (bytes[1]! & REPLY) !== 0,
    sequence: (control & CONTROL_SEQUENCE) as FrameSequence,
    check: withCrc ? "crc" : "checksum",
    ...(security === undefined ? {} : { security }),
    id: bytes[idAt]!,
    data: bytes.slice(idAt + 1, macAt),
    mac: macAt === checkAt ? undefined : bytes.slice(macAt, checkAt),
    bytes,
  };
}
