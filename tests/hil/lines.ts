import type { Clock } from "../../hal/mod.ts";

/** QEMU makes its sockets within this. */
const CONNECT_MS_MAX = 20_000;
const RETRY_MS = 50;

/** One JSON object. */
export type Line = Readonly<Record<string, unknown>>;

/** A Unix socket on which each line is a JSON object. */
export class Lines implements AsyncDisposable {
  readonly #connection: Deno.UnixConn;
  readonly #clock: Clock;
  readonly #seen: Line[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #reading: Promise<void>;
  #sending: Promise<unknown> = Promise.resolve();
  #over = false;

  private constructor(connection: Deno.UnixConn, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
    this.#reading = this.#read();
  }

  /** Connects, as soon as somebody listens there. */
  static async connect(path: string, clock: Clock): Promise<Lines> {
    return new Lines(await connectUnix(path, clock), clock);
  }

  /** Sends an object. A peer that is gone shows in what is waited for. */
  send(object: object): void {
    const bytes = new TextEncoder().encode(JSON.stringify(object) + "\n");
    this.#sending = this.#sending.then(async () => {
      for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
    }).catch(() => this.#end());
  }

  /** The first line that fits, past or to come; it is taken out. */
  async find(fits: (line: Line) => boolean, timeoutMs: number, what: string): Promise<Line> {
    const endMs = this.#clock.monotonicMs() + timeoutMs;
    for (;;) {
      const at = this.#seen.findIndex(fits);
      if (at >= 0) return this.#seen.splice(at, 1)[0]!;
      if (this.#over) throw new Error(`${what}: the guest is gone`);
      const leftMs = endMs - this.#clock.monotonicMs();
      if (leftMs <= 0) throw new Error(`${what}: nothing within ${timeoutMs} ms`);
      await new Promise<void>((resolve) => {
        const cancel = this.#clock.schedule(leftMs, () => done());
        const done = () => {
          cancel();
          this.#waiting.delete(done);
          resolve();
        };
        this.#waiting.add(done);
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#connection.close();
    } catch {
      // It was closed by its end.
    }
    await this.#reading;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    const chunk = new Uint8Array(65_536);
    let rest = "";
    for (;;) {
      const count = await this.#connection.read(chunk).catch(() => null);
      if (count === null) break;
      const lines = (rest + decoder.decode(chunk.subarray(0, count), { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        if (line.trim() !== "") this.#seen.push(JSON.parse(line));
      }
      this.#wake();
    }
    this.#end();
  }

  #end(): void {
    this.#over = true;
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

/** Connects to a Unix socket, as soon as somebody listens there. */
export async function connectUnix(path: string, clock: Clock): Promise<Deno.UnixConn> {
  const endMs = clock.monotonicMs() + CONNECT_MS_MAX;
  for (;;) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (error) {
      if (clock.monotonicMs() > endMs) throw error;
      await clock.sleep(RETRY_MS, new AbortController().signal);
    }
  }
}
