import { crc16 } from "../../mod.ts";

/** How a simulated reader takes files (FILETRANSFER). */
export interface SimulatedFileOptions {
  /** Longest frame that it wants, as it tells in FTSTAT; 0 is no wish. Default 0. */
  readonly rxMax?: number;
  /** Whether polls may come between the parts. Default `true`. */
  readonly interleave?: boolean;
  /** Wait that it asks for after each part, in ms. Default 0. */
  readonly delayMs?: number;
  /** How often it says that it is still at work, after the last part. Default 0. */
  readonly finishing?: number;
  /** It starts anew with the new firmware, and is away for so long, in ms. Default: it stays. */
  readonly rebootMs?: number;
  /** What it has stands after a reboot, and it goes on there. Default `false`. */
  readonly resumes?: boolean;
}

/** A file that a simulated reader was given, whole and with a right CRC-16 at its end. */
export interface SimulatedFile {
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** The part of a simulated reader that takes files: each ends in the CRC-16 of what is before. */
export class FileSink {
  /** What was taken, in order. */
  readonly files: SimulatedFile[] = [];
  /** Where each part began, in order, rejected ones too. */
  readonly offsets: number[] = [];
  readonly #options: SimulatedFileOptions;
  readonly #done: (file: SimulatedFile, rebootMs: number | undefined) => void;
  #bytes: number[] = [];
  #size: number | undefined;
  #finishing = 0;

  /** `done` is called with a file that was taken, and the time of the reboot if there is one. */
  constructor(
    options: SimulatedFileOptions,
    done: (file: SimulatedFile, rebootMs: number | undefined) => void,
  ) {
    this.#options = options;
    this.#done = done;
  }

  /** It loses power. */
  release(): void {
    if (!this.#options.resumes) this.forget();
  }

  /** It is told to abort, or begins with another file. */
  forget(): void {
    this.#bytes = [];
    this.#size = undefined;
  }

  /** FTSTAT for one FILETRANSFER; `undefined` when its length is wrong. */
  obey(data: Uint8Array): number[] | undefined {
    const u32 = (at: number) =>
      data[at]! + 256 * (data[at + 1]! + 256 * (data[at + 2]! + 256 * data[at + 3]!));
    if (data.length < 11) return undefined;
    const [type, size, offset] = [data[0]!, u32(1), u32(5)];
    const length = data[9]! + 256 * data[10]!;
    const part = data.subarray(11);
    if (part.length !== length) return undefined;
    if (length === 0) return this.#idle(type);
    this.offsets.push(offset);
    if (offset === 0) {
      this.forget();
      this.#size = size;
    }
    // What it has already may come again; what it lacks may not be left out.
    if (this.#size !== size || offset > this.#bytes.length || offset + length > size) {
      this.forget();
      return this.#status(-1);
    }
    this.#bytes.length = offset;
    this.#bytes.push(...part);
    if (this.#bytes.length < size) return this.#status(0, this.#options.delayMs);
    this.#finishing = this.#options.finishing ?? 0;
    return this.#idle(type);
  }

  #idle(type: number): number[] {
    if (this.#size === undefined || this.#bytes.length < this.#size) return this.#status(-1);
    if (this.#finishing > 0) {
      this.#finishing--;
      return this.#status(3, this.#options.delayMs);
    }
    const bytes = Uint8Array.from(this.#bytes);
    this.forget();
    const crc = crc16(bytes, 0, bytes.length - 2);
    if (bytes.at(-2) !== (crc & 0xff) || bytes.at(-1) !== crc >> 8) return this.#status(-3);
    const file = { type, bytes };
    this.files.push(file);
    this.#done(file, this.#options.rebootMs);
    return this.#status(this.#options.rebootMs === undefined ? 1 : 2);
  }

  #status(status: number, delayMs = 0): number[] {
    const { interleave = true, rxMax = 0 } = this.#options;
    const detail = status & 0xffff;
    return [
      Number(interleave),
      delayMs & 0xff,
      delayMs >> 8,
      detail & 0xff,
      detail >> 8,
      rxMax & 0xff,
      rxMax >> 8,
    ];
  }
}
