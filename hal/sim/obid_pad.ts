import { crc16Reflected } from "../crc16_reflected.ts";
import type { SerialPort } from "../serial.ts";

/** Bytes of a standard frame. */
const FRAME_MAX = 255;
const ISO15693 = 0x03;

/** A pad that speaks FEIG's OBID i-scan protocol, with the tags that a test puts on it. */
export class SimulatedObidPad {
  /** UIDs of the tags on it, 8 bytes as hex, E0 first. */
  readonly tags = new Set<string>();
  /** Output states that it was set to, the newest last. */
  readonly signals: number[] = [];
  /** Says nothing while it is true. */
  mute = false;
  /** Sends more than 24 tags in one long frame instead of several. */
  longFrames = false;
  /** Status that refuses the next inventory. */
  refuseOnce: number | undefined;
  /** Tags that were read since the field was off: they are quiet (ISO 15693 quiet state). */
  readonly #quiet = new Set<string>();
  #waiting: string[] = [];
  #heard: number[] = [];

  /** Answers on `port` until it is gone. Never rejects. */
  async plug(port: SerialPort): Promise<void> {
    const { signal } = new AbortController();
    this.#heard = [];
    try {
      for (;;) {
        for (const byte of (await port.read(signal)).bytes) {
          this.#heard.push(byte);
          const answer = this.#hear();
          if (answer !== undefined && !this.mute) await port.write(answer, signal);
        }
      }
    } catch {
      // Unplugged.
    }
  }

  #hear(): Uint8Array | undefined {
    const heard = this.#heard;
    for (; heard.length > 0; heard.shift()) {
      const length = heard[0]!;
      if (length < 5) continue;
      if (heard.length < length) return undefined;
      const frame = Uint8Array.from(heard.slice(0, length));
      const crc = crc16Reflected(frame, 0, length - 2);
      // No answer to a spoilt frame.
      if (frame[length - 2] !== (crc & 0xff) || frame[length - 1] !== crc >> 8) continue;
      heard.splice(0, length);
      return this.#answer(frame[2]!, frame.slice(3, -2));
    }
    return undefined;
  }

  #answer(control: number, data: Uint8Array): Uint8Array {
    switch (control) {
      case 0x69:
        this.#quiet.clear();
        return this.#frame(control, 0x00);
      case 0x71:
        this.signals.push(data[0]! * 256 + data[1]!);
        return this.#frame(control, data.length === 8 ? 0x00 : 0x81);
      case 0xb0: {
        if (data[0] !== 0x01) return this.#frame(control, 0x80);
        if (this.refuseOnce !== undefined) {
          const status = this.refuseOnce;
          this.refuseOnce = undefined;
          return this.#frame(control, status);
        }
        if (data[1] !== 0x80) {
          this.#waiting = [...this.tags].filter((tag) => !this.#quiet.has(tag));
          for (const tag of this.#waiting) this.#quiet.add(tag);
        }
        if (this.#waiting.length === 0) return this.#frame(control, 0x01);
        const most = this.longFrames ? this.#waiting.length : Math.floor((FRAME_MAX - 7) / 10);
        const part = this.#waiting.splice(0, most);
        const sets = part.flatMap((tag) => [
          ISO15693,
          0x00,
          ...tag.match(/../g)!.map((pair) => Number.parseInt(pair, 16)),
        ]);
        return this.#frame(control, this.#waiting.length > 0 ? 0x94 : 0x00, part.length, ...sets);
      }
      default:
        // Unknown control byte.
        return this.#frame(control, 0x80);
    }
  }

  #frame(control: number, ...rest: number[]): Uint8Array {
    const body = [0x00, control, ...rest];
    const length = body.length + 3;
    const bytes = length > FRAME_MAX
      ? [0x02, (length + 2) >> 8, (length + 2) & 0xff, ...body]
      : [length, ...body];
    const crc = crc16Reflected(Uint8Array.from(bytes));
    return Uint8Array.of(...bytes, crc & 0xff, crc >> 8);
  }
}
