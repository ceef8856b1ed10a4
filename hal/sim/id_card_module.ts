import type { SerialPort } from "../serial.ts";

/** A resident identity card; all of it is made up. */
export interface SimulatedIdCard {
  /** 18 characters. */
  readonly number: string;
  readonly name: string;
  /** 8 bytes. */
  readonly uid: Uint8Array;
}

/** The command by which the simulated module gives a UID; makers have each their own. */
export const SIMULATED_UID_COMMAND = "36ff";

/** A SAM_V module. A card that was read is found again only after it was taken away, as with real ones. */
export class SimulatedIdCardModule {
  /** Says nothing while it is true. */
  mute = false;
  /** SW3 of the next reading. */
  readStatusOnce: number | undefined;
  /** Commands that were asked, as hex. */
  readonly asked: string[] = [];
  #card: SimulatedIdCard | undefined;
  #step: "away" | "there" | "found" | "selected" | "read" = "away";
  #heard: number[] = [];

  /** Lays a card on, or takes it away. */
  lay(card: SimulatedIdCard | undefined): void {
    this.#card = card;
    this.#step = card === undefined ? "away" : "there";
  }

  /** Answers on `port` until it is gone. Never rejects. */
  async plug(port: SerialPort): Promise<void> {
    const { signal } = new AbortController();
    this.#heard = [];
    try {
      for (;;) {
        for (const byte of (await port.read(signal)).bytes) {
          this.#heard.push(byte);
          const answer = this.#hear();
          if (answer !== undefined && !this.mute) await port.write(answer, signal);
        }
      }
    } catch {
      // Unplugged.
    }
  }

  #hear(): Uint8Array | undefined {
    const heard = this.#heard;
    const text = String.fromCharCode(...heard);
    const start = text.indexOf("\xaa\xaa\xaa\x96\x69");
    if (start < 0) {
      if (heard.length > 16) heard.splice(0, heard.length - 4);
      return undefined;
    }
    const body = heard.slice(start + 5);
    if (body.length < 2) return undefined;
    const length = body[0]! * 256 + body[1]!;
    if (body.length < length + 2) return undefined;
    heard.length = 0;
    let xor = 0;
    for (const byte of body) xor ^= byte;
    if (xor !== 0) return this.#frame(0x10);
    const command = body.slice(2, -1).map((byte) => byte.toString(16).padStart(2, "0")).join("");
    this.asked.push(command);
    return this.#answer(command);
  }

  #answer(command: string): Uint8Array {
    const card = this.#card;
    switch (command) {
      case "11ff":
        return this.#frame(0x90);
      case "12ff":
        // 05.03-20210101-12345678-87654321, each little-endian.
        return this.#frame(
          0x90,
          ...[5, 0, 3, 0, 0xb5, 0x61, 0x34, 0x01, 0x4e, 0x61, 0xbc, 0x00, 0xb1, 0x7f, 0x39, 0x05],
        );
      case "2001":
        if (this.#step === "away" || this.#step === "read") return this.#frame(0x80);
        this.#step = "found";
        return this.#frame(0x9f, 0, 0, 0, 0);
      case "2002":
        if (this.#step !== "found") return this.#frame(0x81);
        this.#step = "selected";
        return this.#frame(0x90, 0, 0, 0, 0, 0, 0, 0, 0);
      case "3001":
      case SIMULATED_UID_COMMAND: {
        if (this.#step !== "selected" || card === undefined) return this.#frame(0x41);
        const status = this.readStatusOnce;
        this.readStatusOnce = undefined;
        if (status !== undefined) return this.#frame(status);
        this.#step = "read";
        if (command !== "3001") return this.#frame(0x90, ...card.uid);
        return this.#frame(0x90, 1, 0, 4, 0, ...textOf(card), ...new Uint8Array(1024).fill(0x5a));
      }
      default:
        return this.#frame(0x21);
    }
  }

  #frame(status: number, ...data: number[]): Uint8Array {
    const length = data.length + 4;
    const checked = [length >> 8, length & 0xff, 0, 0, status, ...data];
    let xor = 0;
    for (const byte of checked) xor ^= byte;
    return Uint8Array.of(0xaa, 0xaa, 0xaa, 0x96, 0x69, ...checked, xor);
  }
}

/** The text part: fields of fixed width in UTF-16, low byte first. */
function textOf({ name, number }: SimulatedIdCard): number[] {
  const widths: readonly (readonly [text: string, characters: number])[] = [
    [name, 15],
    ["1", 1],
    ["01", 2],
    ["20100101", 8],
    ["某省某市某区某路一号", 35],
    [number, 18],
    ["某市公安局", 15],
    ["20200101", 8],
    ["20300101", 8],
    ["", 18],
  ];
  return widths.flatMap(([text, characters]) =>
    [...text.padEnd(characters, " ")].flatMap((character) => {
      const unit = character.charCodeAt(0);
      return [unit & 0xff, unit >> 8];
    })
  );
}
