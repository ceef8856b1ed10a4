import type { Body } from "./senses.ts";

/** Where a reader is on its line. */
export interface StationSettings {
  /** 0–126. */
  readonly address: number;
  /** In baud. */
  readonly baudRate: number;
}

/** Address and baud rate of a reader, which COMSET changes once the answer to it is out. */
export class Station {
  readonly #switches: boolean;
  #now: StationSettings;
  #next: StationSettings | undefined;

  /** `switches`: it is set by switches and takes no COMSET. */
  constructor(settings: StationSettings, switches: boolean) {
    this.#now = settings;
    this.#switches = switches;
  }

  /** What it goes by. */
  get now(): StationSettings {
    return this.#now;
  }

  /** Answers COMSET's 5 bytes: what it goes to, which is what it has if that is switches. */
  comset(data: Uint8Array): Body {
    const wanted = {
      address: data[0]!,
      baudRate: data[1]! + 256 * (data[2]! + 256 * (data[3]! + 256 * data[4]!)),
    };
    this.#next = this.#switches || wanted.address > 0x7e ? this.#now : wanted;
    const { address, baudRate } = this.#next;
    const rate = [0, 8, 16, 24].map((shift) => (baudRate >>> shift) & 0xff);
    return { code: 0x54, data: [address, ...rate] };
  }

  /** Its answer is out. Whether it goes by new settings from now on. */
  answered(): boolean {
    if (this.#next === undefined) return false;
    this.#now = this.#next;
    this.#next = undefined;
    return true;
  }
}
