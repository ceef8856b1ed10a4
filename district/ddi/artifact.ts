import type { Budget } from "./budget.ts";

/** A part of a file, both ends inside. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

const CHUNK_BYTES = 1 << 16;

/**
 * Reads `Range` (RFC 9110, 14.2). `undefined`: all of it, also for several ranges or what is no range,
 * which a server may pass over; `"unsatisfiable"`: beyond the end.
 */
export function parseRange(
  header: string | null,
  bytes: number,
): ByteRange | "unsatisfiable" | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "");
  if (match === null) return undefined;
  const [, first, last] = match as unknown as [string, string, string];
  if (first === "") {
    if (last === "") return undefined;
    const count = Math.min(Number(last), bytes);
    return count === 0 ? "unsatisfiable" : { from: bytes - count, to: bytes - 1 };
  }
  const from = Number(first);
  const to = last === "" ? bytes - 1 : Math.min(Number(last), bytes - 1);
  if (last !== "" && Number(last) < from) return undefined;
  return from >= bytes ? "unsatisfiable" : { from, to };
}

/** Answers with a file of `bytes` bytes or a part of it, and closes it. `etag` with its quotes. */
export async function artifactResponse(
  request: Request,
  file: Deno.FsFile,
  { bytes, etag }: { readonly bytes: number; readonly etag: string },
  budget?: Budget,
): Promise<Response> {
  const headers = new Headers({
    "accept-ranges": "bytes",
    "content-type": "application/octet-stream",
    "cache-control": "private, no-transform",
    etag,
  });
  const condition = request.headers.get("if-range");
  const wanted = condition === null || condition === etag ? request.headers.get("range") : null;
  const range = parseRange(wanted, bytes);
  if (range === "unsatisfiable") {
    file.close();
    headers.set("content-range", `bytes */${bytes}`);
    return new Response(null, { status: 416, headers });
  }
  const { from, to } = range ?? { from: 0, to: bytes - 1 };
  headers.set("content-length", String(to - from + 1));
  if (range !== undefined) headers.set("content-range", `bytes ${from}-${to}/${bytes}`);
  const status = range === undefined ? 200 : 206;
  if (request.method === "HEAD") {
    file.close();
    return new Response(null, { status, headers });
  }
  let room: Disposable | undefined;
  try {
    room = budget?.enter(CHUNK_BYTES);
    await file.seek(from, Deno.SeekMode.Start);
  } catch (error) {
    file.close();
    throw error;
  }
  const end = () => {
    file.close();
    room?.[Symbol.dispose]();
  };
  return new Response(streamOf(file, to - from + 1, end, budget), { status, headers });
}

/** `count` bytes of `file` from where it stands; `end` is called once, whatever ends it. */
function streamOf(
  file: Deno.FsFile,
  count: number,
  end: () => void,
  budget: Budget | undefined,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let left = count;
  const gone = new AbortController();
  return new ReadableStream({
    async pull(controller) {
      const buffer = new Uint8Array(Math.min(CHUNK_BYTES, left));
      try {
        await budget?.spend(buffer.length, gone.signal);
        const read = await file.read(buffer);
        if (read === null) throw new Error("the file became shorter while it was sent");
        left -= read;
        controller.enqueue(buffer.subarray(0, read));
      } catch (error) {
        // Whoever went away has ended it already.
        if (!gone.signal.aborted) end();
        throw error;
      }
      if (left > 0) return;
      end();
      controller.close();
    },
    cancel() {
      gone.abort();
      end();
    },
  });
}
