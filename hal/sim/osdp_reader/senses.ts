/** A reply before framing. */
export interface Body {
  readonly code: number;
  readonly data: readonly number[];
}

/** Reads that the device holds while nobody polls it; older ones are lost. */
const BACKLOG_MAX = 64;

/** What a simulated reader notices, and hands over when it is polled (§7, replies to POLL). */
export class Senses {
  readonly #inputs: boolean[];
  readonly #reads: Body[] = [];
  #tamper = false;
  #powerFailed = false;
  #localChanged = false;
  #inputsChanged = false;

  /** Makes senses with so many contacts. */
  constructor(inputs: number) {
    this.#inputs = Array.from({ length: inputs }, () => false);
  }

  /** Reads that wait for a poll. */
  get waitingReads(): number {
    return this.#reads.length;
  }

  /** Keeps a reply for a poll. */
  hold(code: number, data: readonly number[]): void {
    if (this.#reads.length === BACKLOG_MAX) this.#reads.shift();
    this.#reads.push({ code, data });
  }

  /** Forgets what waits. */
  release(): void {
    this.#reads.length = 0;
  }

  /** Closes or opens a contact. */
  setInput(index: number, active: boolean): void {
    if (this.#inputs[index] === active) return;
    this.#inputs[index] = active;
    this.#inputsChanged = true;
  }

  /** Opens or closes the housing. */
  setTamper(active: boolean): void {
    this.#localChanged ||= this.#tamper !== active;
    this.#tamper = active;
  }

  /** Takes the power supply away or gives it back. */
  setPowerFailed(failed: boolean): void {
    this.#localChanged ||= this.#powerFailed !== failed;
    this.#powerFailed = failed;
  }

  /** LSTATR. */
  local(): Body {
    this.#localChanged = false;
    return { code: 0x48, data: [Number(this.#tamper), Number(this.#powerFailed)] };
  }

  /** ISTATR. */
  contacts(): Body {
    this.#inputsChanged = false;
    return { code: 0x49, data: this.#inputs.map(Number) };
  }

  /** What a poll brings. */
  news(): Body {
    if (this.#localChanged) return this.local();
    if (this.#inputsChanged) return this.contacts();
    return this.#reads.shift() ?? { code: 0x40, data: [] };
  }
}
