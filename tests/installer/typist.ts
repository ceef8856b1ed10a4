/**
 * A person at a terminal: a real pseudo-terminal with line editing, on which the real program runs.
 *
 * @module
 */
import { ROOT } from "../../demo/program.ts";
import type { Clock } from "../../hal/mod.ts";
import { openPtyPair, type PtyPair } from "../../hal/linux/mod.ts";

/** Reads what a program shows and types answers. Disposal ends the program. */
export class Typist implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #pair: PtyPair;
  readonly #child: Deno.ChildProcess;
  readonly #stop = new AbortController();
  readonly #reading: Promise<void>;
  #shown = "";
  /** Where the next {@link Typist.expect} begins to look. */
  #from = 0;

  /** Starts `gatehouse ARGS` on a terminal of its own. */
  constructor(args: readonly string[], clock: Clock) {
    this.#clock = clock;
    this.#pair = openPtyPair(clock);
    // The first terminal that a session's leader opens becomes its own, so that Ctrl-C is a signal.
    const script = `exec <"$0" >"$0" 2>&1; stty sane rows 40 cols 160; exec "$@"`;
    this.#child = new Deno.Command("setsid", {
      args: ["sh", "-c", script, this.#pair.path, `${ROOT}/gatehouse`, ...args],
      env: { NO_COLOR: "1", TERM: "vt100" },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#reading = this.#read();
  }

  /** All that was shown so far. */
  get shown(): string {
    return this.#shown;
  }

  /** How the program ended. */
  get status(): Promise<Deno.CommandStatus> {
    return this.#child.status;
  }

  /** Waits until the screen shows `what`, after what was expected before. */
  async expect(what: RegExp, timeoutMs = 30_000): Promise<RegExpExecArray> {
    const endMs = this.#clock.monotonicMs() + timeoutMs;
    for (;;) {
      const found = what.exec(this.#shown.slice(this.#from));
      if (found !== null) {
        this.#from += found.index + found[0].length;
        return found;
      }
      if (this.#clock.monotonicMs() > endMs) {
        throw new Error(`not shown in ${timeoutMs} ms: ${what}; the screen:\n${this.#shown}`);
      }
      await this.#clock.sleep(20, this.#stop.signal);
    }
  }

  /** Types keys as they are. */
  async press(keys: string): Promise<void> {
    await this.#pair.port.write(new TextEncoder().encode(keys), this.#stop.signal);
  }

  /** Types a line and Enter. */
  async type(line: string): Promise<void> {
    await this.press(`${line}\r`);
  }

  /** Waits for `question`, then answers it. */
  async answer(question: RegExp, line: string): Promise<void> {
    await this.expect(question);
    await this.type(line);
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for (;;) {
        const { bytes } = await this.#pair.port.read(this.#stop.signal);
        this.#shown += decoder.decode(bytes, { stream: true }).replaceAll("\r\n", "\n");
      }
    } catch {
      // The terminal is gone, or the person is.
    }
  }

  /** Hangs up, as a closed window does. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#reading;
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has ended.
    }
    await this.#pair[Symbol.asyncDispose]();
    await this.#child.status;
  }
}
