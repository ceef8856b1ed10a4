/**
 * A patrol baton that speaks the Gatehouse baton protocol, written from docs/reference/baton-protocol.md
 * and not from the driver.
 *
 * @module
 */
import type { Clock } from "../clock.ts";
import { crc16Reflected } from "../crc16_reflected.ts";
import type { SerialPort } from "../serial.ts";

/** What a simulated baton is like. */
export interface SimulatedBatonOptions {
  /** Default `GB-0001`. */
  readonly serial?: string;
  /** How much its quartz runs too fast, in millionths; slow ones are negative. Default 0. */
  readonly driftPpm?: number;
  /** True wall time at which its clock was set; without it the clock was never set and counts from 0. */
  readonly setAtWallMs?: number;
  /** Number of the first read. Default 1. */
  readonly firstRecord?: number;
}

/** A tag that was touched. */
export interface TouchedTag {
  /** 1 to 16 bytes as hex. */
  readonly tag: string;
  /** True wall time, in ms since 1970. */
  readonly atWallMs: number;
}

interface Held {
  readonly number: number;
  readonly ms: number;
  readonly tag: Uint8Array;
}

const LARGEST = 2_048;

/** One baton. It keeps what it holds whatever happens to its cable. */
export class SimulatedBaton {
  /** How often its memory was cleared. */
  cleared = 0;
  /** Refuses to clear, as a worn-out memory does. */
  stuck = false;
  readonly #clock: Clock;
  readonly #serial: string;
  readonly #rate: number;
  /** What its clock was set to, and the true time then. */
  #set: { readonly toMs: number; readonly atWallMs: number } | undefined;
  readonly #poweredWallMs: number;
  #memory = 1;
  #held: Held[] = [];
  #next: number;
  /** What came and is no whole frame yet. */
  #pending = new Uint8Array();

  /** Makes an empty one; `clock` tells it the true time. */
  constructor(clock: Clock, options: SimulatedBatonOptions = {}) {
    this.#clock = clock;
    this.#serial = options.serial ?? "GB-0001";
    this.#rate = 1 + (options.driftPpm ?? 0) / 1e6;
    this.#next = options.firstRecord ?? 1;
    this.#poweredWallMs = clock.wallMs();
    const { setAtWallMs } = options;
    if (setAtWallMs !== undefined) this.#set = { toMs: setAtWallMs, atWallMs: setAtWallMs };
  }

  /** How many reads it holds. */
  get held(): number {
    return this.#held.length;
  }

  /** Touches tags, in order of time. */
  touch(...tags: readonly TouchedTag[]): void {
    for (const { tag, atWallMs } of tags) {
      this.#held.push({
        number: this.#next++,
        ms: this.#shows(atWallMs),
        tag: Uint8Array.from(tag.match(/../g)!, (digits) => Number.parseInt(digits, 16)),
      });
    }
  }

  /** What its clock shows now, in ms since 1970. */
  shownMs(): number {
    return this.#shows(this.#clock.wallMs());
  }

  /** Answers on `port` until it is gone or `signal` aborts. Never rejects. */
  async plug(port: SerialPort, signal: AbortSignal): Promise<void> {
    this.#pending = new Uint8Array();
    try {
      for (;;) {
        const { bytes } = await port.read(signal);
        this.#pending = concat(this.#pending, bytes);
        for (let body = this.#frame(); body !== undefined; body = this.#frame()) {
          const answer = this.#answer(body);
          const frame = new Uint8Array(answer.length + 6);
          frame.set([0xa5, 0x5a, answer.length >> 8, answer.length & 0xff]);
          frame.set(answer, 4);
          const crc = crc16Reflected(frame, 2, answer.length + 4);
          frame.set([crc >> 8, crc & 0xff], answer.length + 4);
          await port.write(frame, signal);
        }
      }
    } catch {
      // The cable was pulled. Nothing is lost by that.
    }
  }

  #shows(wallMs: number): number {
    const { toMs, atWallMs } = this.#set ?? { toMs: 0, atWallMs: this.#poweredWallMs };
    return Math.max(0, Math.floor(toMs + (wallMs - atWallMs) * this.#rate));
  }

  /** Takes the next whole frame's body out of what came. */
  #frame(): Uint8Array | undefined {
    for (;;) {
      const bytes = this.#pending;
      if (bytes.length < 4) return undefined;
      const length = bytes[2]! * 256 + bytes[3]!;
      const starts = bytes[0] === 0xa5 && bytes[1] === 0x5a && length > 0 && length <= LARGEST;
      if (starts && bytes.length < length + 6) return undefined;
      const crc = starts ? crc16Reflected(bytes, 2, length + 4) : 0;
      if (starts && bytes[length + 4] === crc >> 8 && bytes[length + 5] === (crc & 0xff)) {
        this.#pending = bytes.slice(length + 6);
        return bytes.slice(4, length + 4);
      }
      this.#pending = bytes.slice(1);
    }
  }

  #answer(body: Uint8Array): Uint8Array {
    const refuse = (why: number) => Uint8Array.of(0xff, body[0]!, why);
    const number = (at: number) =>
      ((body[at]! << 24) | (body[at + 1]! << 16) | (body[at + 2]! << 8) | body[at + 3]!) >>> 0;
    switch (body[0]) {
      case 0x01: {
        if (body.length !== 2) return refuse(2);
        const serial = new TextEncoder().encode(this.#serial);
        return Uint8Array.of(
          ...[0x81, 1, serial.length],
          ...serial,
          ...[1, 4, 2],
          ...big(this.#memory, 4),
          ...big(this.#held[0]?.number ?? this.#next, 4),
          ...big(this.#held.length, 4),
        );
      }
      case 0x02: {
        if (body.length !== 2) return refuse(2);
        return Uint8Array.of(
          0x82,
          body[1]!,
          ...big(this.shownMs(), 6),
          ...big(this.#set?.toMs ?? 0, 6),
        );
      }
      case 0x03: {
        if (body.length !== 10) return refuse(2);
        if (number(1) !== this.#memory) return refuse(3);
        const reads = this.#held.filter((read) => read.number >= number(5)).slice(0, body[9]);
        if (reads.length === 0) return refuse(2);
        const bytes = reads.flatMap((read) => [
          ...big(read.number, 4),
          ...big(read.ms, 6),
          read.tag.length,
          ...read.tag,
        ]);
        return Uint8Array.of(0x83, ...big(this.#memory, 4), reads.length, ...bytes);
      }
      case 0x04: {
        if (body.length !== 9) return refuse(2);
        const again = number(1) === this.#memory - 1 && number(5) <= this.#next;
        if (!again) {
          if (number(1) !== this.#memory) return refuse(3);
          if (this.#held.some((read) => read.number >= number(5)) || this.stuck) return refuse(4);
          this.#held = [];
          this.#memory++;
          this.cleared++;
        }
        return Uint8Array.of(0x84, ...big(this.#memory, 4));
      }
      case 0x05: {
        if (body.length !== 7) return refuse(2);
        if (this.#held.length > 0) return refuse(4);
        const toMs = (body[1]! * 256 + body[2]!) * 2 ** 32 + number(3);
        this.#set = { toMs, atWallMs: this.#clock.wallMs() };
        return Uint8Array.of(0x85);
      }
      default:
        return refuse(1);
    }
  }
}

function big(value: number, bytes: number): number[] {
  const digits = value.toString(16).padStart(bytes * 2, "0");
  return digits.match(/../g)!.map((pair) => Number.parseInt(pair, 16));
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
