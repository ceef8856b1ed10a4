import { createHash, randomUUID } from "node:crypto";
import type { Clock } from "../../hal/mod.ts";
import { pathOf } from "../fetch/mod.ts";
import { Watch } from "../fetch/watch.ts";
import { type RepositorySource, type TrustedTarget, TrustError } from "../trust/mod.ts";

/** What is served, and from where it comes. */
export interface BundleSource {
  readonly target: TrustedTarget;
  /** The bundle's end, as the publisher has signed it. */
  readonly tail: { readonly bytes: number; readonly sha256: string };
  readonly source: RepositorySource;
  readonly clock: Clock;
  /** The most that is taken a second, in bytes; unbounded without it. */
  readonly bytesPerSecondMax?: number;
}

/** A bundle that RAUC can read, until disposal. */
export interface ServedBundle extends AsyncDisposable {
  readonly url: string;
  /** Bytes that came over the line. */
  readonly taken: () => number;
  /** Why the line failed last, if RAUC was told that it did. */
  readonly fault: () => TrustError | undefined;
}

/**
 * RAUC reads in pieces of a few kilobytes, which would be thousands of calls: what is read one piece
 * after the other is asked for ever further ahead. This much is held in memory.
 */
const AHEAD_BYTES_MAX = 2 << 20;
/** A request for more is none of RAUC's: the kernel reads 128 KiB at once. */
const REQUEST_BYTES_MAX = 4 << 20;
/** A line that drops for a minute costs nothing; then RAUC is told. */
const TRIES = 6;
const RETRY_MS_MIN = 1_000;

/**
 * Gives RAUC, which knows nothing of signed calls, a bundle by HTTP on this machine: ranges only, from
 * the district as they are asked for. The bundle's end is fetched first and is what the publisher
 * signed, or nothing is served; RAUC finds the root of the hash tree in it, and the kernel checks each
 * block against that. So nothing that the source sends in between has to be trusted.
 *
 * @throws {@link TrustError} when the end cannot be had or is another; the signal's reason.
 */
export async function serveBundle(
  options: BundleSource,
  signal: AbortSignal,
): Promise<ServedBundle> {
  const reader = new AheadReader(options, signal);
  await reader.begin();
  const path = `/${randomUUID()}`;
  const { lengthBytes } = options.target;
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
    onError: () => new Response(null, { status: 503 }),
  }, async (request) => {
    if (new URL(request.url).pathname !== path || request.method !== "GET") {
      return new Response(null, { status: 404 });
    }
    const range = rangeOf(request.headers.get("range"), lengthBytes);
    if (range === undefined) return new Response(null, { status: 416 });
    const body = await reader.read(range.from, range.bytes);
    const to = range.from + range.bytes - 1;
    return new Response(body.slice(), {
      status: 206,
      headers: {
        "content-range": `bytes ${range.from}-${to}/${lengthBytes}`,
        "content-type": "application/octet-stream",
      },
    });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}${path}`,
    taken: () => reader.taken,
    fault: () => reader.fault,
    async [Symbol.asyncDispose]() {
      reader.end();
      await server.shutdown();
    },
  };
}

/** RFC 9110, 14.1.2: one range with both ends; RAUC asks for nothing else. */
function rangeOf(text: string | null, length: number) {
  const found = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(text ?? "");
  if (found === null) return undefined;
  const from = Number(found[1]);
  const bytes = Math.min(Number(found[2]), length - 1) - from + 1;
  return bytes > 0 && bytes <= REQUEST_BYTES_MAX ? { from, bytes } : undefined;
}

/** Reads a target by ranges, one at a time, further ahead the longer it is read in order. */
class AheadReader {
  readonly #options: BundleSource;
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;
  #tail: Uint8Array = new Uint8Array();
  #held: { readonly from: number; readonly bytes: Uint8Array } = {
    from: 0,
    bytes: new Uint8Array(),
  };
  #ahead = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #dueMs = 0;
  taken = 0;
  fault: TrustError | undefined;

  constructor(options: BundleSource, signal: AbortSignal) {
    this.#options = options;
    this.#signal = AbortSignal.any([signal, this.#ended.signal]);
  }

  async begin(): Promise<void> {
    const { target, tail } = this.#options;
    const from = target.lengthBytes - tail.bytes;
    if (from < 0) throw new TrustError("refused", `${target.path}: shorter than its own end`);
    const bytes = await this.#fetch(from, tail.bytes);
    if (createHash("sha256").update(bytes).digest("hex") !== tail.sha256) {
      throw new TrustError("refused", `${target.path}: its signature is not what was published`);
    }
    this.#tail = bytes;
  }

  end(): void {
    this.#ended.abort(new Error("the installation is over"));
  }

  /** One after the other, for what is held is one piece. */
  read(from: number, bytes: number): Promise<Uint8Array> {
    const turn = this.#turn.then(() => this.#read(from, bytes));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #read(from: number, bytes: number): Promise<Uint8Array> {
    const out = new Uint8Array(bytes);
    for (let done = 0; done < bytes;) {
      const piece = await this.#piece(from + done, bytes - done);
      out.set(piece, done);
      done += piece.length;
    }
    return out;
  }

  /** At least one byte of what stands at `from`, at most `bytes`. */
  async #piece(from: number, bytes: number): Promise<Uint8Array> {
    const tailFrom = this.#options.target.lengthBytes - this.#tail.length;
    if (from >= tailFrom) return this.#tail.subarray(from - tailFrom, from - tailFrom + bytes);
    const held = this.#held;
    const at = from - held.from;
    if (at >= 0 && at < held.bytes.length) return held.bytes.subarray(at, at + bytes);
    this.#ahead = at === held.bytes.length && held.bytes.length > 0
      ? Math.min(Math.max(this.#ahead, bytes) * 2, AHEAD_BYTES_MAX)
      : 0;
    const wanted = Math.min(Math.max(bytes, this.#ahead), tailFrom - from);
    try {
      this.#held = { from, bytes: await this.#fetch(from, wanted) };
    } catch (error) {
      if (error instanceof TrustError) this.fault = error;
      throw error;
    }
    return this.#held.bytes.subarray(0, bytes);
  }

  /** Exactly `bytes` from `from` on; goes on where the line broke. */
  async #fetch(from: number, bytes: number): Promise<Uint8Array> {
    const { clock } = this.#options;
    const out = new Uint8Array(bytes);
    let done = 0;
    for (let tries = 1;; tries++) {
      const before = done;
      try {
        done = await this.#once(from, out, done);
        if (done === bytes) return out;
        throw new TrustError("unreachable", `the line broke at byte ${from + done}`);
      } catch (cause) {
        this.#signal.throwIfAborted();
        const fault = cause instanceof TrustError
          ? cause
          : new TrustError("unreachable", (cause as Error).message, { cause });
        if (done > before) tries = 1;
        if (tries >= TRIES) throw fault;
      }
      await clock.sleep(RETRY_MS_MIN * 2 ** (tries - 1), this.#signal);
    }
  }

  /** Fills `out` from `done` on; how much there is then. */
  async #once(from: number, out: Uint8Array, done: number): Promise<number> {
    const { target, source, clock, bytesPerSecondMax } = this.#options;
    const path = pathOf(target);
    using watch = new Watch(target.path, clock, this.#signal);
    const at = from + done;
    const { status, body } = await watch.wait(
      source.get(path, watch.signal, at, out.length - done),
    );
    if (body === null || (status !== 206 && !(status === 200 && at === 0))) {
      await body?.cancel();
      throw new TrustError("unreachable", `${target.path}: the source answers ${status}`);
    }
    const reader = body.getReader();
    try {
      while (done < out.length) {
        const { done: ended, value } = await watch.wait(reader.read());
        if (ended) break;
        const bytes = value.subarray(0, out.length - done);
        out.set(bytes, done);
        done += bytes.length;
        this.taken += bytes.length;
        if (bytesPerSecondMax !== undefined) {
          const nowMs = clock.monotonicMs();
          this.#dueMs = Math.max(this.#dueMs, nowMs) + bytes.length / bytesPerSecondMax * 1_000;
          await clock.sleep(this.#dueMs - nowMs, this.#signal);
        }
      }
    } finally {
      reader.cancel().catch(() => {});
    }
    return done;
  }
}
