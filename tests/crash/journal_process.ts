/**
 * The process of `journal_child.ts`, or of another script that says as much.
 *
 * @module
 */
const CHILD = new URL("journal_child.ts", import.meta.url).pathname;

/** A process that writes a journal and can be killed. */
export class JournalProcess {
  /** Resolves with its first line, which it writes when the store is open. */
  readonly opened: Promise<void>;
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  #open = false;

  /** Starts it on `dataDir`; `onLine` gets each line as soon as it is here. */
  constructor(
    dataDir: string,
    run: string,
    small: boolean,
    onLine: (line: string) => void,
    script: string = CHILD,
  ) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--quiet", script, dataDir, run, small ? "small" : "large"],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.opened = promise;
    this.opened.catch(() => {});
    this.#reading = this.#read(onLine, resolve).catch((error) => {
      reject(error);
      throw error;
    }).finally(() => reject(new Error("the child ended before its journal was open")));
    // Its error is told by kill().
    this.#reading.catch(() => {});
  }

  /** Whether the store was open when it was killed. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Kills it at once and takes what it had written before that. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#reading;
  }

  async #read(onLine: (line: string) => void, onOpen: () => void): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        onLine(line);
        if (!this.#open) {
          this.#open = true;
          onOpen();
        }
      }
    }
  }
}
