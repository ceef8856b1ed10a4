/**
 * A plain terminal: lines that are drawn again in place, and its keys one by one.
 *
 * @module
 */
import { columns, type Language, type Terminal } from "../installer/mod.ts";

const encoder = new TextEncoder();

/** Lines at the bottom of a terminal that are drawn again in place. */
export class Screen {
  readonly #interactive = Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  #drawn = 0;
  #last = "";

  /** Draws `lines` over those that were drawn before. */
  draw(lines: readonly string[]): void {
    // Longer lines would wrap, and then the cursor would not come back to where they began.
    const width = terminalColumns();
    const text = lines.map((line) => clip(line, width - 1)).join("\n");
    if (text === this.#last) return;
    this.#last = text;
    // Up, and clear to the end (ECMA-48: CUU, ED): every terminal since the VT100 does.
    const back = this.#interactive && this.#drawn > 0 ? `\r\x1b[${this.#drawn}A\x1b[J` : "";
    this.#write(`${back}${text}\n`);
    this.#drawn = lines.length;
  }

  /** Keys as they are pressed; ends with `signal` or the input. Escape sequences of arrows and the like are left out. */
  async *keys(signal: AbortSignal): AsyncGenerator<string, void, undefined> {
    const raw = Deno.stdin.isTerminal();
    if (raw) Deno.stdin.setRaw(true);
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(256);
    const aborted = new Promise<null>((resolve) => {
      if (signal.aborted) resolve(null);
      else signal.addEventListener("abort", () => resolve(null), { once: true });
    });
    try {
      for (;;) {
        // A read that is left waiting at the end goes with the process.
        const count = await Promise.race([Deno.stdin.read(buffer), aborted]);
        if (count === null) return;
        const chunk = decoder.decode(buffer.subarray(0, count), { stream: true });
        // deno-lint-ignore no-control-regex -- the terminal's own sequences
        for (const key of chunk.replace(/\x1b[[O][0-9;]*[A-Za-z~]/g, "")) yield key;
      }
    } finally {
      if (raw) Deno.stdin.setRaw(false);
    }
  }

  #write(text: string): void {
    const bytes = encoder.encode(text);
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  }
}

/** Longest line taken from a terminal; nobody types more to a question. */
const LINE_CHARACTERS_MAX = 1_024;
/** Lines typed ahead, or piped in. */
const LINES_MAX = 1_000;

/** Lines as the terminal's own line editing hands them over; a pipe will do as well. Disposal stops reading. */
export class TypedLines implements Terminal, Disposable {
  /** What is said here. */
  readonly language: Language;
  readonly #lines: string[] = [];
  #prompted = false;
  #ended = false;
  #wake: (() => void) | undefined;

  /** Begins to read. */
  constructor(language: Language) {
    this.language = language;
    this.#read().catch(() => this.#end());
  }

  /** See {@link Terminal.say}. */
  say(line: string): void {
    // A prompt that waits for an answer stands in a line of its own.
    if (this.#prompted) console.log();
    this.#prompted = false;
    console.log(line);
  }

  /** See {@link Terminal.prompt}. */
  prompt(prompt: string): void {
    Deno.stdout.writeSync(encoder.encode(prompt));
    this.#prompted = true;
  }

  /** See {@link Terminal.ready}. */
  async ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#lines.length > 0 || this.#ended) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        signal.removeEventListener("abort", wake);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = wake;
      signal.addEventListener("abort", wake);
    });
    signal.throwIfAborted();
  }

  /** See {@link Terminal.line}. */
  line(): string | undefined {
    // The end of a line has ended the prompt's.
    this.#prompted = false;
    return this.#lines.shift();
  }

  /** Ends it for whoever waits; the read that is under way goes with the process. */
  [Symbol.dispose](): void {
    this.#end();
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(4_096);
    const decoder = new TextDecoder();
    let rest = "";
    while (!this.#ended) {
      const count = await Deno.stdin.read(buffer);
      if (count === null) break;
      const parts = (rest + decoder.decode(buffer.subarray(0, count), { stream: true }))
        .split(/\r?\n/);
      rest = parts.pop()!.slice(0, LINE_CHARACTERS_MAX);
      this.#lines.push(...parts.map((line) => line.slice(0, LINE_CHARACTERS_MAX)));
      this.#lines.splice(LINES_MAX);
      if (parts.length > 0) this.#wake?.();
    }
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#wake?.();
  }
}

function terminalColumns(): number {
  try {
    // A pty that nobody gave a size says 0.
    return Deno.consoleSize().columns || 80;
  } catch {
    // Output that is no terminal has no width.
    return 200;
  }
}

/** The first `width` columns; Chinese characters take two. */
function clip(line: string, width: number): string {
  let used = 0;
  let text = "";
  for (const character of line) {
    used += columns(character);
    if (used > width) return text;
    text += character;
  }
  return text;
}
