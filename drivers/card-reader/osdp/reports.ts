/**
 * What a reader reports, turned into the events and levels that the runtime knows.
 *
 * @module
 */
import type { DriverLog, ReaderEvent, ReaderIdentity } from "../../contract.ts";
import { type ListenerFault, Listeners, OsdpInput } from "./lines.ts";
import { FOREIGN, type ForeignCode, type Reply } from "./replies.ts";

/** The longest card number that an event can carry. */
const CARD_BITS_MAX = 255;

const FORMATTED = 0x51;
/** What is said of each reply that is not used, once for each: messages are constants. */
const ADVICE = Object.fromEntries(
  Object.entries(FOREIGN).map(([code, what]) => [
    code,
    Number(code) === FORMATTED
      ? `the reader sends ${what}, of which no door opens; set it to raw card data`
      : `the reader sends ${what}, which is not used and was ignored`,
  ]),
) as Readonly<Record<ForeignCode, string>>;

/** One reader's events, contacts, tamper and power. */
export class ReaderReports {
  /** Whoever listens to the reader. */
  readonly events: Listeners<[ReaderEvent]>;
  readonly #inputs = new Map<number, OsdpInput>();
  readonly #log: DriverLog;
  readonly #fault: ListenerFault;
  readonly #isOld: () => boolean;
  #tamper = false;
  #powerFailed = false;

  /** `isOld` is asked for each read whether it may be from while the reader was not heard. */
  constructor(log: DriverLog, fault: ListenerFault, isOld: () => boolean) {
    this.#log = log;
    this.#fault = fault;
    this.#isOld = isOld;
    this.events = new Listeners(fault);
  }

  /** Whether contact `index` was asked for before. */
  knows(index: number): boolean {
    return this.#inputs.has(index);
  }

  /** Contact `index`, the same one each time. */
  input(index: number): OsdpInput {
    const known = this.#inputs.get(index);
    if (known !== undefined) return known;
    const input = new OsdpInput(this.#fault);
    this.#inputs.set(index, input);
    return input;
  }

  /** Nobody knows any more what the contacts do. */
  forget(atMonotonicMs: number): void {
    for (const input of this.#inputs.values()) input.update(undefined, atMonotonicMs);
  }

  /** Takes a reply; those that report nothing pass. */
  take(reply: Reply, receivedMonotonicMs: number): void {
    switch (reply.kind) {
      case "raw":
        return this.#card(reply, receivedMonotonicMs);
      case "keypad": {
        if (this.#isOld()) return;
        const keys = keysOf(reply.digits);
        if (keys !== "") this.events.emit({ kind: "keys", keys, receivedMonotonicMs });
        return;
      }
      case "localStatus":
        return this.#local(reply.tamper, reply.powerFailed);
      case "inputStatus":
        for (const [index, input] of this.#inputs) {
          input.update(reply.inputs[index], receivedMonotonicMs);
        }
        return;
      case "ack":
      case "nak":
      case "identity":
      case "capabilities":
      case "outputStatus":
      case "readerStatus":
      case "communication":
      case "cryptogram":
      case "initialMac":
      case "busy":
      case "fileStatus":
        return;
      case "foreign":
        return this.#foreign(reply.code);
      default:
        return reply satisfies never;
    }
  }

  /** Refused by name: an installer should know why nothing comes of it. */
  #foreign(code: ForeignCode): void {
    this.#log(code === FORMATTED ? "error" : "warn", ADVICE[code]);
  }

  #card({ bits, data }: Extract<Reply, { kind: "raw" }>, receivedMonotonicMs: number): void {
    if (this.#isOld()) return;
    if (bits === 0 || bits > CARD_BITS_MAX) {
      this.#log("warn", "a card of an impossible length was dropped", { bits });
      return;
    }
    this.events.emit({ kind: "card", bits, data, receivedMonotonicMs });
  }

  #local(tamper: boolean, failed: boolean): void {
    if (tamper !== this.#tamper) {
      this.#tamper = tamper;
      this.events.emit({ kind: "tamper", active: tamper });
    }
    if (failed !== this.#powerFailed) {
      this.#powerFailed = failed;
      this.events.emit({ kind: "power", failed });
    }
  }
}

/** PDID as the runtime shows it. */
export function identityOf(reply: Extract<Reply, { kind: "identity" }>): ReaderIdentity {
  return {
    vendor: reply.vendor.toString(16).padStart(6, "0"),
    model: reply.model,
    version: reply.version,
    serial: reply.serial.toString(16).padStart(8, "0"),
    firmware: reply.firmware.join("."),
  };
}

/** Keys as they are printed: `*` is sent as DEL, `#` as CR (§7, KEYPAD). */
function keysOf(digits: Uint8Array): string {
  return Array.from(digits, (digit) => {
    if (digit === 0x7f || digit === 0x2a) return "*";
    if (digit === 0x0d || digit === 0x23) return "#";
    return digit >= 0x30 && digit <= 0x39 ? String.fromCharCode(digit) : "";
  }).join("");
}
