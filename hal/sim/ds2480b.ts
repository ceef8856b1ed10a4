/**
 * A DS2480B serial to 1-Wire adapter (DS9097U) with iButtons on it, written from its datasheet
 * (Maxim 19-5047): modes, search accelerator, configuration, and a bus that answers bit by bit.
 *
 * @module
 */
import { crc8 } from "../crc8.ts";
import type { SerialPort } from "../serial.ts";

/** How a simulated adapter starts. */
export interface Ds2480bOptions {
  /** As after power-up: the first byte only sets its timing. `false`: somebody used it before. Default `true`. */
  readonly fresh?: boolean;
  /** It was left in data mode by a program that died. Default `false`. */
  readonly inDataMode?: boolean;
}

/** An adapter on a line. */
export interface SimulatedDs2480b {
  /** Holds a button to the contact; its ROM code is 16 hex digits as printed: CRC, serial, family. */
  touch(code: string): void;
  /** Takes it away. */
  release(code: string): void;
  /** Shorts the contact, or no longer. */
  short(shorted: boolean): void;
  /** Spoils one bit of the next search, as a bouncing contact does. */
  spoilNextSearch(): void;
  /** Makes it answer nothing, or again. */
  mute(muted: boolean): void;
}

/** The ROM code of the button with this family and serial number, as {@link SimulatedDs2480b.touch} takes it. */
export function romCode(family: number, serial: bigint): string {
  const text = serial.toString(16).padStart(12, "0") + family.toString(16).padStart(2, "0");
  return crc8(Uint8Array.fromHex(text).reverse()).toString(16).padStart(2, "0") + text;
}

const MODE_DATA = 0xe1;
const MODE_COMMAND = 0xe3;

/** Puts an adapter on `port`, until it is closed. */
export function simulateDs2480b(port: SerialPort, options: Ds2480bOptions = {}): SimulatedDs2480b {
  const { signal } = new AbortController();
  const bus = new Bus();
  const chip = new Chip(bus, options);
  let muted = false;
  void (async () => {
    for (;;) {
      const { bytes } = await port.read(signal);
      const answer: number[] = [];
      for (const byte of bytes) chip.take(byte, answer);
      if (answer.length > 0 && !muted) await port.write(Uint8Array.from(answer), signal);
    }
  })().catch(() => {});
  return {
    touch: (code) => void bus.buttons.set(code, Uint8Array.fromHex(code).reverse()),
    release: (code) => void bus.buttons.delete(code),
    short: (shorted) => void (bus.shorted = shorted),
    spoilNextSearch: () => void (bus.spoilt = true),
    mute: (silent) => void (muted = silent),
  };
}

/** The wire and the buttons that still take part. */
class Bus {
  readonly buttons = new Map<string, Uint8Array>();
  shorted = false;
  spoilt = false;
  #active: Uint8Array[] = [];

  /** A reset pulse. @returns 0 shorted, 1 presence, 3 nobody. */
  reset(): number {
    this.#active = [...this.buttons.values()];
    return this.shorted ? 0 : this.#active.length > 0 ? 1 : 3;
  }

  /** Two read slots and a write slot of a search: the bit is asked of all that still take part. */
  searchBit(index: number, direction: number): { bit: number; discrepancy: number } {
    const bitOf = (rom: Uint8Array) => (rom[index >> 3]! >> (index & 7)) & 1;
    const some = (bit: number) => this.#active.some((rom) => bitOf(rom) === bit);
    // The wire is low when anyone pulls it: first the bit, then its complement.
    const first = this.shorted || some(0) ? 0 : 1;
    const second = this.shorted || some(1) ? 0 : 1;
    const both = first === second;
    let bit = both ? (first === 0 ? direction : 1) : first;
    if (this.shorted) bit = 0;
    if (this.spoilt && index === 20) {
      this.spoilt = false;
      bit ^= 1;
    }
    this.#active = this.#active.filter((rom) => bitOf(rom) === bit);
    return { bit, discrepancy: both ? 1 : 0 };
  }
}

class Chip {
  readonly #bus: Bus;
  readonly #parameters = [0, 0, 0, 0, 0, 0, 0, 0];
  #fresh: boolean;
  #data: boolean;
  #escaped = false;
  #accelerator = false;
  #searched = 0;

  constructor(bus: Bus, { fresh = true, inDataMode = false }: Ds2480bOptions) {
    this.#bus = bus;
    this.#fresh = fresh;
    this.#data = inDataMode;
  }

  take(byte: number, answer: number[]): void {
    if (this.#fresh) this.#fresh = false;
    else if (!this.#data) this.#command(byte, answer);
    else if (this.#escaped) {
      this.#escaped = false;
      if (byte === MODE_COMMAND) return this.#write(byte, answer);
      this.#data = false;
      this.#command(byte, answer);
    } else if (byte === MODE_COMMAND) this.#escaped = true;
    else this.#write(byte, answer);
  }

  #command(byte: number, answer: number[]): void {
    if (byte === MODE_DATA) {
      this.#data = true;
      return;
    }
    // E3 in command mode, and F1 with no pulse to end, do nothing.
    if (byte === MODE_COMMAND || byte === 0xf1 || (byte & 1) === 0) return;
    if ((byte & 0x80) === 0) {
      const [parameter, value] = [(byte >> 4) & 7, (byte >> 1) & 7];
      if (parameter === 0) answer.push(this.#parameters[value]! << 1);
      else {
        this.#parameters[parameter] = value;
        answer.push(byte & 0xfe);
      }
      return;
    }
    switch ((byte >> 5) & 3) {
      case 0: {
        const high = !this.#bus.shorted && (byte & 0x10) !== 0;
        answer.push((byte & 0xfc) | (high ? 3 : 0));
        break;
      }
      case 1:
        this.#accelerator = (byte & 0x10) !== 0;
        this.#searched = 0;
        break;
      case 2:
        // Chip revision 3: a DS2480B.
        answer.push(0xc0 | (3 << 2) | this.#bus.reset());
        break;
      default:
        answer.push(byte & 0xfc);
    }
  }

  #write(byte: number, answer: number[]): void {
    if (!this.#accelerator) {
      answer.push(this.#bus.shorted ? 0 : byte);
      return;
    }
    let out = 0;
    for (let pair = 0; pair < 4; pair++) {
      const direction = (byte >> (pair * 2 + 1)) & 1;
      const { bit, discrepancy } = this.#bus.searchBit(this.#searched++ & 63, direction);
      out |= discrepancy << (pair * 2) | bit << (pair * 2 + 1);
    }
    answer.push(out);
  }
}
