/**
 * StrongLink SL025 and its family: BA, length, command, data, XOR; answers begin with BD and carry a
 * status (SL025M user manual 1.5, section 4).
 *
 * @module
 */
import { HalError } from "../../../hal/mod.ts";
import type { FrameFinder } from "../../serial_questions.ts";
import type { ModuleProtocol, ModuleReading } from "./module.ts";

const ASK = 0xba;
const ANSWER = 0xbd;
/** Command, status and checksum, up to a block's data: no answer of the family is longer. */
const LENGTH_MAX = 64;
const SELECT = 0x01;
const RED_LED = 0x40;
const FIRMWARE = 0xf0;

/** Table 4 of the manual. */
const STATUS: ReadonlyMap<number, string> = new Map([
  [0x04, "reading failed"],
  [0x08, "address overflow"],
  [0x0d, "not authenticated"],
  [0xf0, "it found our checksum wrong; look for noise on the wires"],
  [0xf1, "it does not know the command"],
]);

function question(command: number, ...data: number[]): Uint8Array {
  const frame = [ASK, data.length + 2, command, ...data];
  return Uint8Array.of(...frame, frame.reduce((sum, byte) => sum ^ byte, 0));
}

/** Finds answers; gives each from its command up to the checksum. */
class Finder implements FrameFinder<Uint8Array> {
  #frame: number[] = [];

  push(bytes: Uint8Array, sink: (frame: Uint8Array) => void): void {
    for (const byte of bytes) {
      this.#frame.push(byte);
      while (this.#frame.length > 0 && !this.#mayGoOn()) this.#frame.shift();
      const [, length] = this.#frame;
      if (length === undefined || this.#frame.length < length + 2) continue;
      const frame = this.#frame;
      if (frame.reduce((sum, one) => sum ^ one, 0) === 0) {
        this.#frame = [];
        sink(Uint8Array.from(frame.slice(2, -1)));
      } else {
        // What looked like a beginning was none; an answer may begin within it.
        this.#frame = [];
        this.push(Uint8Array.from(frame.slice(1)), sink);
      }
    }
  }

  reset(): void {
    this.#frame = [];
  }

  #mayGoOn(): boolean {
    const [start, length] = this.#frame;
    return start === ANSWER && (length === undefined || (length >= 3 && length <= LENGTH_MAX));
  }
}

/** See the module. */
export const STRONGLINK: ModuleProtocol = {
  name: "a StrongLink module",
  finder: () => new Finder(),
  select: question(SELECT),
  selects: (frame) => frame[0] === SELECT,
  read: (frame): ModuleReading => {
    const status = frame[1];
    if (status === 0x01) return { kind: "none" };
    if (status !== 0x00) {
      const what = STATUS.get(status ?? -1) ?? `status ${status?.toString(16)}`;
      return { kind: "fault", what: `the module could not select a card: ${what}` };
    }
    // UID, then the type of card.
    return { kind: "card", uid: frame.slice(2, -1) };
  },
  firmware: {
    question: question(FIRMWARE),
    answers: (frame) => frame[0] === FIRMWARE,
    read: (frame) => {
      if (frame[1] !== 0) throw new HalError("protocol", "the module does not tell its firmware");
      return new TextDecoder("ascii").decode(frame.slice(2)).replace(/[^ -~]/g, "").slice(0, 32);
    },
  },
  light: {
    question: (on) => question(RED_LED, on ? 1 : 0),
    answers: (frame) => frame[0] === RED_LED,
  },
};
