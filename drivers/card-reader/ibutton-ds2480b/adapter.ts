/**
 * The DS2480B serial to 1-Wire chip (Maxim 19-5047), as in the DS9097U adapter.
 *
 * @module
 */
import { type Clock, HalError, type SerialPort } from "../../../hal/mod.ts";

/** Communication commands (table 2) at flexible speed, which long lines want. */
const RESET = 0xc5;
const SEARCH_ON = 0xb5;
const SEARCH_OFF = 0xa5;
/** Mode switches (figure 2). */
const DATA_MODE = 0xe1;
const COMMAND_MODE = 0xe3;
/** The first byte after power-up only sets the chip's timing, and is not answered. */
const TIMING = 0xc1;
/** ROM command of a search (Maxim AN187). */
const SEARCH_ROM = 0xf0;

/**
 * Settings for long lines (table 4): slew rate 1.37 V/µs, write-1 low time 10 µs, sample offset 8 µs.
 * Then the baud rate is read, and one bit is read from the wire. With what each is answered by.
 */
const PROBE: readonly (readonly [command: number, isAnswer: (byte: number) => boolean])[] = [
  [0x17, (byte) => byte === 0x16],
  [0x45, (byte) => byte === 0x44],
  [0x5b, (byte) => byte === 0x5a],
  [0x0f, (byte) => byte === 0x00],
  [0x91, (byte) => (byte & 0xf0) === 0x90],
];

/** The longest exchange is a search: 23 bytes at 9600 baud and 13 ms on the wire; USB adapters add theirs. */
const ANSWER_MS_MAX = 500;
/** The chip needs 2 ms after the timing byte. */
const SETTLE_MS = 5;
/** Buttons on one contact; a search of more is a fault that never ends. */
const DEVICES_MAX = 32;
const ROM_BITS = 64;
/** Bytes that may come before they are read: a few answers. */
const HELD_BYTES_MAX = 256;

/** What a search found. */
export interface SearchResult {
  /** ROM codes as they are printed, CRC first; not yet checked. */
  readonly codes: readonly string[];
  /** The wire is held low. */
  readonly shorted: boolean;
  /** When the last byte of it became readable. */
  readonly receivedMonotonicMs: number;
}

/** One adapter on an open port. */
export class Ds2480b {
  readonly #port: SerialPort;
  readonly #clock: Clock;
  #held: number[] = [];
  #receivedMs = 0;

  /** Does not speak yet; `port` stays the caller's. */
  constructor(port: SerialPort, clock: Clock) {
    this.#port = port;
    this.#clock = clock;
  }

  /**
   * Brings the chip, in whatever state it was left, into command mode, and sets it up.
   *
   * @throws `HalError` `timeout` when nothing answers, `protocol` when it is another device.
   */
  async begin(signal: AbortSignal): Promise<void> {
    await this.#port.write(Uint8Array.of(TIMING), signal);
    await this.#clock.sleep(SETTLE_MS, signal);
    // In data mode E3 and a command after it lead out; in command mode E3 means nothing.
    await this.#port.write(Uint8Array.of(COMMAND_MODE, SEARCH_OFF), signal);
    await this.#clock.sleep(SETTLE_MS, signal);
    this.#held = [];
    this.#port.discardInput();
    const answer = await this.#ask(PROBE.map(([command]) => command), PROBE.length, signal);
    if (!PROBE.every(([, isAnswer], index) => isAnswer(answer[index]!))) {
      throw new HalError("protocol", `no DS2480B: it answered ${hex(answer)}`);
    }
  }

  /**
   * Searches the wire (Maxim AN187, with the chip's search accelerator).
   *
   * @throws `HalError` `timeout`, `protocol`: then {@link Ds2480b.begin} has to be called again.
   */
  async search(signal: AbortSignal): Promise<SearchResult> {
    const codes: string[] = [];
    /** Bits of the device found last, and where its path forked last with the 0 taken. */
    let bits: readonly number[] = [];
    let fork = -1;
    do {
      const presence = await this.#reset(signal);
      if (presence !== "present") {
        const shorted = presence === "shorted";
        return { codes, shorted, receivedMonotonicMs: this.#receivedMs };
      }
      const path = Array.from(
        { length: ROM_BITS },
        (_, index) => index < fork ? bits[index]! : index === fork ? 1 : 0,
      );
      const found = await this.#walk(path, signal);
      bits = found.bits;
      fork = found.fork;
      codes.push(codeOf(bits));
    } while (fork >= 0 && codes.length < DEVICES_MAX);
    return { codes, shorted: false, receivedMonotonicMs: this.#receivedMs };
  }

  async #reset(signal: AbortSignal): Promise<"present" | "nobody" | "shorted"> {
    const [answer] = await this.#ask([RESET], 1, signal);
    if ((answer! & 0xc0) !== 0xc0) {
      throw new HalError("protocol", `DS2480B: ${hex([answer!])} is no answer to a reset`);
    }
    // Chip revision in between; 2 is a presence pulse with an alarm.
    return (answer! & 3) === 0 ? "shorted" : (answer! & 3) === 3 ? "nobody" : "present";
  }

  /** Goes along `path` where devices differ. */
  async #walk(
    path: readonly number[],
    signal: AbortSignal,
  ): Promise<{ bits: number[]; fork: number }> {
    const directions = new Array<number>(16).fill(0);
    path.forEach((bit, index) => directions[index >> 2]! |= bit << ((index & 3) * 2 + 1));
    const answer = await this.#ask(
      [
        DATA_MODE,
        SEARCH_ROM,
        COMMAND_MODE,
        SEARCH_ON,
        DATA_MODE,
        ...directions,
        COMMAND_MODE,
        SEARCH_OFF,
      ],
      17,
      signal,
    );
    if (answer[0] !== SEARCH_ROM) {
      throw new HalError("protocol", `DS2480B: ${hex(answer)} is no answer to a search`);
    }
    const bits: number[] = [];
    let fork = -1;
    for (let index = 0; index < ROM_BITS; index++) {
      const pair = (answer[1 + (index >> 2)]! >> ((index & 3) * 2)) & 3;
      bits.push(pair >> 1);
      if (pair === 1) fork = index;
    }
    return { bits, fork };
  }

  /** Sends `request` and takes `count` bytes of answer. */
  async #ask(request: readonly number[], count: number, signal: AbortSignal): Promise<number[]> {
    if (this.#held.length > 0) throw new HalError("protocol", "DS2480B: it spoke unasked");
    const late = new AbortController();
    const cancel = this.#clock.schedule(ANSWER_MS_MAX, () => {
      late.abort(new HalError("timeout", `DS2480B: no answer in ${ANSWER_MS_MAX} ms`));
    });
    const end = AbortSignal.any([signal, late.signal]);
    try {
      await this.#port.write(Uint8Array.from(request), end);
      while (this.#held.length < count) {
        const { bytes, receivedMonotonicMs } = await this.#port.read(end);
        this.#held.push(...bytes);
        this.#receivedMs = receivedMonotonicMs;
        if (this.#held.length > HELD_BYTES_MAX) {
          throw new HalError("protocol", "DS2480B: it never stops talking");
        }
      }
    } finally {
      cancel();
    }
    return this.#held.splice(0, count);
  }
}

/** Bits as they came, the family's low one first, to the digits on a button's face. */
function codeOf(bits: readonly number[]): string {
  return BigInt(`0b${bits.toReversed().join("")}`).toString(16).padStart(16, "0");
}

function hex(bytes: readonly number[]): string {
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
