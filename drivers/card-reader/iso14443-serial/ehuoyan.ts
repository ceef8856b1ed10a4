/**
 * EHUOYAN YHY modules: AA BB, length, command, data, XOR; a failed command comes back inverted. An AA
 * within a frame is followed by a 00 that does not count (YHY522R user manual 1.0, section 14).
 *
 * @module
 */
import type { FrameFinder } from "../../serial_questions.ts";
import type { ModuleProtocol, ModuleReading } from "./module.ts";

const START = 0xaa;
const START_2 = 0xbb;
const STUFFING = 0x00;
/** A block's data with command and checksum; no answer is longer. */
const LENGTH_MAX = 64;
const CARD_ID = 0x20;

/** Finds answers; gives each from its command up to the checksum. */
class Finder implements FrameFinder<Uint8Array> {
  /** From the length on, without stuffing; `undefined` outside a frame. */
  #frame: number[] | undefined;
  #before = -1;

  push(bytes: Uint8Array, sink: (frame: Uint8Array) => void): void {
    for (const byte of bytes) {
      const before = this.#before;
      this.#before = byte;
      // Nowhere else may these two stand together: within a frame an AA is stuffed.
      if (before === START && byte === START_2) this.#frame = [];
      else if (this.#frame !== undefined && !(before === START && byte === STUFFING)) {
        this.#frame.push(byte);
        this.#look(sink);
      }
    }
  }

  reset(): void {
    this.#frame = undefined;
    this.#before = -1;
  }

  #look(sink: (frame: Uint8Array) => void): void {
    const frame = this.#frame!;
    const length = frame[0]!;
    if (length < 2 || length > LENGTH_MAX) this.#frame = undefined;
    if (frame.length < length + 1) return;
    this.#frame = undefined;
    if (frame.reduce((sum, byte) => sum ^ byte, 0) !== 0) return;
    sink(Uint8Array.from(frame.slice(1, -1)));
  }
}

/** See the module. */
export const EHUOYAN: ModuleProtocol = {
  name: "an EHUOYAN module",
  finder: () => new Finder(),
  select: Uint8Array.of(START, START_2, 2, CARD_ID, 2 ^ CARD_ID),
  selects: (frame) => frame[0] === CARD_ID || frame[0] === (CARD_ID ^ 0xff),
  read: (frame): ModuleReading =>
    frame[0] === CARD_ID ? { kind: "card", uid: frame.slice(1) } : { kind: "none" },
};
