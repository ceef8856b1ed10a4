import { join } from "node:path";
import type { Clock } from "../../hal/mod.ts";
import { isNear } from "./address.ts";

/** Files that are kept for others: a release, and the delta to it. The room is the journal's. */
const FILES_MAX = 2;
/** A box is there for its doors first. */
const READERS_MAX = 4;
/** Who takes longer than this takes it from elsewhere. */
const SEND_MS_MAX = 10 * 60_000;
const CHUNK_BYTES = 64 << 10;
/** When to ask again, in seconds: for whoever is told that it will be here. */
const RETRY_S = 2;

/** What a box answers to who asks for a file. */
export type Answer = "has" | "will have" | "has not";

/**
 * Gives verified files away by their hash, to boxes of the same network: `GET /SHA256`, whole or from a
 * byte on. It lists nothing, and says 503 when it is fetching the file itself or has enough readers.
 */
export class Share implements AsyncDisposable {
  readonly #dir: string;
  readonly #clock: Clock;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #coming = new Set<string>();
  readonly #ended = new AbortController();
  #readers = 0;

  private constructor(dir: string, port: number, clock: Clock) {
    this.#dir = dir;
    this.#clock = clock;
    this.#server = Deno.serve({
      port,
      onListen: () => {},
      onError: () => new Response(null, { status: 500 }),
    }, (request, { remoteAddr }) => this.#serve(request, remoteAddr));
  }

  /** Shares what is in `dir` at `port`; 0 takes a free one. @throws when the port is taken. */
  static open(dir: string, port: number, clock: Clock): Share {
    Deno.mkdirSync(dir, { recursive: true, mode: 0o700 });
    return new Share(dir, port, clock);
  }

  /** Where it is found. */
  get port(): number {
    return this.#server.addr.port;
  }

  /** Keeps `file`, which was verified, for others; the oldest of what is kept goes. */
  async offer(file: string, sha256: string): Promise<void> {
    const kept = join(this.#dir, sha256);
    await Deno.remove(kept).catch(() => {});
    await Deno.link(file, kept);
    const now = new Date(this.#clock.wallMs());
    await Deno.utime(kept, now, now);
    const files = [...Deno.readDirSync(this.#dir)].map(({ name }) => {
      const path = join(this.#dir, name);
      return { path, offeredMs: Deno.statSync(path).mtime!.getTime() };
    });
    files.sort((a, b) => b.offeredMs - a.offeredMs);
    for (const { path } of files.slice(FILES_MAX)) await Deno.remove(path);
  }

  /** Says until disposal that the file is on its way here. */
  coming(sha256: string): Disposable {
    this.#coming.add(sha256);
    return { [Symbol.dispose]: () => this.#coming.delete(sha256) };
  }

  async #serve(request: Request, { hostname }: Deno.NetAddr): Promise<Response> {
    await request.body?.cancel();
    const sha256 = /^\/([0-9a-f]{64})$/.exec(new URL(request.url).pathname)?.[1];
    if (!isNear(hostname)) return new Response(null, { status: 403 });
    if (!["GET", "HEAD"].includes(request.method)) return new Response(null, { status: 405 });
    if (sha256 === undefined) return new Response(null, { status: 404 });
    const file = await Deno.open(join(this.#dir, sha256)).catch(() => undefined);
    if (file === undefined && !this.#coming.has(sha256)) return new Response(null, { status: 404 });
    if (file === undefined || this.#readers >= READERS_MAX) {
      file?.close();
      return new Response(null, { status: 503, headers: { "retry-after": String(RETRY_S) } });
    }
    const bytes = (await file.stat()).size;
    const from = Number(/^bytes=(\d{1,15})-$/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
    if (request.method === "HEAD" || from >= bytes) {
      file.close();
      const status = request.method === "HEAD" ? 200 : 416;
      return new Response(null, { status });
    }
    await file.seek(from, Deno.SeekMode.Start);
    const headers: Record<string, string> = from === 0
      ? {}
      : { "content-range": `bytes ${from}-${bytes - 1}/${bytes}` };
    return new Response(this.#read(file), { status: from === 0 ? 200 : 206, headers });
  }

  /** The rest of `file`, a piece at a time; closes it. */
  #read(file: Deno.FsFile): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.#readers++;
    const late = Promise.withResolvers<never>();
    late.promise.catch(() => {});
    const cancelLate = this.#clock.schedule(SEND_MS_MAX, () => close(new Error("too slow")));
    const { signal } = this.#ended;
    const stop = () => close(signal.reason);
    signal.addEventListener("abort", stop);
    let fail: (why: unknown) => void = () => {};
    let isOpen = true;
    const close = (why?: unknown) => {
      if (!isOpen) return;
      isOpen = false;
      this.#readers--;
      cancelLate();
      signal.removeEventListener("abort", stop);
      file.close();
      if (why !== undefined) fail(why);
    };
    return new ReadableStream({
      start(controller) {
        fail = (why) => controller.error(why);
      },
      async pull(controller) {
        const chunk = new Uint8Array(CHUNK_BYTES);
        const count = await file.read(chunk).catch(() => null);
        if (!isOpen) return;
        if (count !== null) return controller.enqueue(chunk.subarray(0, count));
        close();
        controller.close();
      },
      cancel: () => close(),
    }, { highWaterMark: 0 });
  }

  /** Gives nothing away any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new Error("the box stops sharing"));
    await this.#server.shutdown();
  }
}
