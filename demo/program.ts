/**
 * Gatehouse's own programs as child processes, started by the launcher as a person would.
 *
 * @module
 */
import type { Clock } from "../hal/mod.ts";

/** The folder that holds the launcher. */
export const ROOT: string = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** Lines of a program that are kept for whoever asks why it ended. */
const LINES_KEPT = 200;

/** One running program. Disposal asks it to stop, and kills it if it does not within ten seconds. */
export class Program implements AsyncDisposable {
  /** What it is called in messages. */
  readonly name: string;
  readonly #child: Deno.ChildProcess;
  readonly #clock: Clock;
  readonly #lines: string[] = [];
  readonly #waiting = new Set<(line: string | undefined) => void>();
  readonly #reading: Promise<unknown>;
  #status: Deno.CommandStatus | undefined;

  /** Starts `gatehouse ARGS`. */
  constructor(args: readonly string[], clock: Clock) {
    this.name = args.slice(0, 1).join(" ");
    this.#clock = clock;
    this.#child = new Deno.Command(`${ROOT}/gatehouse`, {
      args: [...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#reading = Promise.all([
      this.#read(this.#child.stdout),
      this.#read(this.#child.stderr),
      this.#child.status.then((status) => {
        this.#status = status;
      }),
    ]).then(() => {
      for (const waiting of this.#waiting) waiting(undefined);
    });
  }

  /** Its process id: the launcher becomes the program. */
  get pid(): number {
    return this.#child.pid;
  }

  /** How it ended, once it has. */
  get status(): Promise<Deno.CommandStatus> {
    return this.#child.status;
  }

  /** Its last lines, both streams. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /**
   * The first line, past or to come, in which `find` finds something, as what it found.
   *
   * @throws when the program ends, or `timeoutMs` pass, before that.
   */
  async find<T>(find: (line: string) => T | undefined, timeoutMs = 20_000): Promise<T> {
    for (const line of this.#lines) {
      const found = find(line);
      if (found !== undefined) return found;
    }
    return await new Promise((resolve, reject) => {
      const fail = (why: string) => {
        done();
        reject(new Error(`${this.name} ${why}; it said:\n${this.#lines.slice(-20).join("\n")}`));
      };
      const look = (line: string | undefined) => {
        if (line === undefined) return fail(`ended (${JSON.stringify(this.#status)})`);
        const found = find(line);
        if (found === undefined) return;
        done();
        resolve(found);
      };
      const cancel = this.#clock.schedule(
        timeoutMs,
        () => fail(`did not get there in ${timeoutMs} ms`),
      );
      const done = () => {
        cancel();
        this.#waiting.delete(look);
      };
      this.#waiting.add(look);
      if (this.#status !== undefined) look(undefined);
    });
  }

  /** The first line that is a JSON object with all of `fields`. */
  async findJson(
    fields: Readonly<Record<string, unknown>>,
    timeoutMs?: number,
  ): Promise<Record<string, unknown>> {
    return await this.find((line) => {
      if (!line.startsWith("{")) return undefined;
      const object = JSON.parse(line) as Record<string, unknown>;
      return Object.entries(fields).every(([key, value]) => object[key] === value)
        ? object
        : undefined;
    }, timeoutMs);
  }

  /** Sends a signal; nothing happens when it has ended already. */
  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch (cause) {
      if (!(cause instanceof TypeError) && !(cause instanceof Deno.errors.NotFound)) throw cause;
    }
  }

  /** Waits for its end after SIGTERM, or after SIGKILL ten seconds later. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGTERM");
    const cancel = this.#clock.schedule(10_000, () => this.kill("SIGKILL"));
    await this.#reading;
    cancel();
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#take(line);
    }
    if (rest !== "") this.#take(rest);
  }

  #take(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > LINES_KEPT) this.#lines.shift();
    for (const waiting of this.#waiting) waiting(line);
  }
}

/** Runs `gatehouse ARGS` to its end. */
export async function runProgram(
  args: readonly string[],
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(`${ROOT}/gatehouse`, {
    args: [...args],
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}
