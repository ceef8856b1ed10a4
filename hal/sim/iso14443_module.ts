import type { SerialPort } from "../serial.ts";

/** An ISO 14443 module; which card lies on it is up to the test. */
export class SimulatedIso14443Module {
  /** UID of the card that lies on it. */
  card: Uint8Array | undefined;
  /** Status of the next answer to a selection, as StrongLink modules tell faults. */
  faultOnce: number | undefined;
  /** Whether the red LED is lit (StrongLink). */
  lit = true;
  /** Says nothing while it is true. */
  mute = false;
  readonly #family: "stronglink" | "ehuoyan";
  #heard: number[] = [];

  /** Makes one of a family. */
  constructor(family: "stronglink" | "ehuoyan") {
    this.#family = family;
  }

  /** Answers on `port` until it is gone. Never rejects. */
  async plug(port: SerialPort): Promise<void> {
    const { signal } = new AbortController();
    this.#heard = [];
    try {
      for (;;) {
        for (const byte of (await port.read(signal)).bytes) {
          this.#heard.push(byte);
          const answer = this.#family === "stronglink" ? this.#strongLink() : this.#ehuoyan();
          if (answer !== undefined && !this.mute) await port.write(answer, signal);
        }
      }
    } catch {
      // Unplugged.
    }
  }

  /** SL025M manual, sections 4-2 and 4-4. */
  #strongLink(): Uint8Array | undefined {
    const heard = this.#heard;
    while (heard.length > 0 && heard[0] !== 0xba) heard.shift();
    if (heard.length < 2 || heard.length < heard[1]! + 2) return undefined;
    const frame = heard.splice(0, heard[1]! + 2);
    const answer = (...body: number[]) => {
      const bytes = [0xbd, body.length + 1, ...body];
      let sum = 0;
      for (const byte of bytes) sum ^= byte;
      return Uint8Array.of(...bytes, sum);
    };
    let sum = 0;
    for (const byte of frame) sum ^= byte;
    const command = frame[2]!;
    if (sum !== 0) return answer(command, 0xf0);
    if (command === 0xf0) return answer(command, 0x00, ...new TextEncoder().encode("SL025-1.5"));
    if (command === 0x40) {
      this.lit = frame[3] !== 0;
      return answer(command, 0x00);
    }
    if (command !== 0x01) return answer(command, 0xf1);
    if (this.faultOnce !== undefined) {
      const fault = this.faultOnce;
      this.faultOnce = undefined;
      return answer(command, fault);
    }
    if (this.card === undefined) return answer(command, 0x01);
    return answer(command, 0x00, ...this.card, this.card.length === 4 ? 0x01 : 0x02);
  }

  /** YHY522R manual, section 14. */
  #ehuoyan(): Uint8Array | undefined {
    const heard = this.#heard;
    const start = heard.findIndex((byte, at) => byte === 0xaa && heard[at + 1] === 0xbb);
    if (start < 0) {
      heard.splice(0, heard.length - 1);
      return undefined;
    }
    heard.splice(0, start);
    if (heard.length < 3 || heard.length < heard[2]! + 3) return undefined;
    const [, , length, command, check] = heard.splice(0, heard[2]! + 3);
    if (length !== 2 || (length ^ command!) !== check) return undefined;
    const body = command === 0x20 && this.card !== undefined
      ? [0x20, ...this.card]
      : [command! ^ 0xff];
    const framed = [body.length + 1, ...body];
    let sum = 0;
    for (const byte of framed) sum ^= byte;
    // Each AA behind the head is followed by a 00.
    const stuffed = [...framed, sum].flatMap((byte) => byte === 0xaa ? [0xaa, 0x00] : [byte]);
    return Uint8Array.of(0xaa, 0xbb, ...stuffed);
  }
}
