/**
 * Questions and answers of the Gatehouse baton protocol (docs/reference/baton-protocol.md §3). What
 * comes from a baton is checked here, once.
 *
 * @module
 */
import { HalError } from "../../../hal/mod.ts";
import { encodeFrame } from "./frame.ts";

/** Codes of the questions; an answer has the high bit set. */
export const CODE = { hello: 1, clock: 2, reads: 3, clear: 4, setClock: 5 } as const;
/** The answer of a baton that cannot do what it was asked. */
const REFUSED = 0xff;
/** §3.3 */
export const READS_MAX = 64;
/** A baton holds some thousands; more than this is a broken answer. */
const HELD_MAX = 1_000_000;
const TAG_BYTES_MAX = 16;
/** 2100-01-01, and with it every time that a baton can mean. */
const TIME_MS_MAX = 4_102_444_800_000;
const SERIAL = /^[A-Za-z0-9._-]{1,32}$/;

/** Why a baton refused (§3.6). */
export type Refusal = "unknown" | "malformed" | "other-memory" | "holds-reads";
const REFUSALS: ReadonlyMap<number, Refusal> = new Map([
  [1, "unknown"],
  [2, "malformed"],
  [3, "other-memory"],
  [4, "holds-reads"],
]);

/** What a baton says of itself (§3.1). */
export interface Hello {
  readonly serial: string;
  readonly firmware: string;
  /** Which filling of the memory it is. */
  readonly memory: number;
  /** Number of the oldest read held, or of the next one where none is. */
  readonly first: number;
  /** How many are held, numbered without gaps. */
  readonly count: number;
}

/** A baton's clock (§3.2). */
export interface BatonClock {
  /** What it shows, in ms since 1970. */
  readonly nowMs: number;
  /** What it was set to last; `undefined` when never, or it has lost its power since. */
  readonly setMs: number | undefined;
}

/** A read as the baton holds it (§3.3). */
export interface HeldRead {
  readonly record: number;
  /** By the baton's clock. */
  readonly atMs: number;
  readonly tag: string;
}

/** §3.1 */
export function helloQuestion(): Uint8Array {
  return encodeFrame(Uint8Array.of(CODE.hello, 1));
}

/** §3.2 `attempt`, 0 to 255, comes back, so that a late answer is not taken for a new one. */
export function clockQuestion(attempt: number): Uint8Array {
  return encodeFrame(Uint8Array.of(CODE.clock, attempt));
}

/** §3.3 */
export function readsQuestion(memory: number, from: number, most: number): Uint8Array {
  const body = new Uint8Array(10);
  const view = new DataView(body.buffer);
  body[0] = CODE.reads;
  view.setUint32(1, memory);
  view.setUint32(5, from);
  body[9] = most;
  return encodeFrame(body);
}

/** §3.4 `next` is the number after the last read that is safe. */
export function clearQuestion(memory: number, next: number): Uint8Array {
  const body = new Uint8Array(9);
  const view = new DataView(body.buffer);
  body[0] = CODE.clear;
  view.setUint32(1, memory);
  view.setUint32(5, next);
  return encodeFrame(body);
}

/** §3.5 */
export function setClockQuestion(wallMs: number): Uint8Array {
  const body = new Uint8Array(7);
  body[0] = CODE.setClock;
  writeTime(body, 1, wallMs);
  return encodeFrame(body);
}

/** Whether `body` answers a question of `code`, or refuses it. */
export function answers(body: Uint8Array, code: number): boolean {
  return body[0] === (code | 0x80) || (body[0] === REFUSED && body[1] === code);
}

/** Why the baton refused; `undefined` when it did not. */
export function refusalOf(body: Uint8Array): Refusal | undefined {
  if (body[0] !== REFUSED) return undefined;
  return REFUSALS.get(body[2] ?? 0) ?? "unknown";
}

/** @throws `HalError` `protocol`. */
export function parseHello(body: Uint8Array): Hello {
  const from = new Cursor(body);
  if (from.u8() !== 1) throw malformed("it speaks another version of the protocol");
  const serial = String.fromCharCode(...from.bytes(from.u8()));
  if (!SERIAL.test(serial)) throw malformed("its serial number is none");
  const firmware = from.bytes(3).join(".");
  const [memory, first, count] = [from.u32(), from.u32(), from.u32()];
  from.end();
  if (count > HELD_MAX || first + count > 0xffff_ffff) throw malformed("it holds too many reads");
  return { serial, firmware, memory, first, count };
}

/** @throws `HalError` `protocol`. */
export function parseClock(body: Uint8Array): BatonClock & { readonly attempt: number } {
  const from = new Cursor(body);
  const attempt = from.u8();
  const [nowMs, setMs] = [from.time(), from.time()];
  from.end();
  return { attempt, nowMs, setMs: setMs === 0 ? undefined : setMs };
}

/** The reads from `first` on. @throws `HalError` `protocol` when they are others than were asked for. */
export function parseReads(body: Uint8Array, memory: number, first: number): HeldRead[] {
  const from = new Cursor(body);
  if (from.u32() !== memory) throw malformed("its reads are of another memory");
  const count = from.u8();
  if (count === 0 || count > READS_MAX) throw malformed(`it sent ${count} reads`);
  const reads = Array.from({ length: count }, (_, index): HeldRead => {
    const record = from.u32();
    if (record !== first + index) {
      throw malformed(`read ${record} came instead of ${first + index}`);
    }
    const atMs = from.time();
    const tag = from.bytes(from.u8());
    if (tag.length === 0 || tag.length > TAG_BYTES_MAX) throw malformed("a tag has no length");
    return { record, atMs, tag: tag.toHex() };
  });
  from.end();
  return reads;
}

/** The memory that a cleared baton fills next. @throws `HalError` `protocol`. */
export function parseCleared(body: Uint8Array): number {
  const from = new Cursor(body);
  const memory = from.u32();
  from.end();
  return memory;
}

function malformed(what: string): HalError {
  return new HalError("protocol", `the baton's answer is spoilt: ${what}`);
}

function writeTime(body: Uint8Array, at: number, ms: number): void {
  const view = new DataView(body.buffer);
  view.setUint16(at, Math.floor(ms / 2 ** 32));
  view.setUint32(at + 2, ms >>> 0);
}

/** Reads a body from its second byte on, never past its end. */
class Cursor {
  readonly #body: Uint8Array;
  readonly #view: DataView;
  #at = 1;

  constructor(body: Uint8Array) {
    this.#body = body;
    this.#view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  }

  u8(): number {
    return this.#take(1, (at) => this.#view.getUint8(at));
  }

  u32(): number {
    return this.#take(4, (at) => this.#view.getUint32(at));
  }

  time(): number {
    const ms = this.#take(
      6,
      (at) => this.#view.getUint16(at) * 2 ** 32 + this.#view.getUint32(at + 2),
    );
    if (ms > TIME_MS_MAX) throw malformed("a time is after 2100");
    return ms;
  }

  bytes(count: number): Uint8Array {
    return this.#take(count, (at) => this.#body.slice(at, at + count));
  }

  end(): void {
    if (this.#at !== this.#body.length) throw malformed("it is too long");
  }

  #take<T>(count: number, read: (at: number) => T): T {
    const at = this.#at;
    if (at + count > this.#body.length) throw malformed("it is too short");
    this.#at += count;
    return read(at);
  }
}
