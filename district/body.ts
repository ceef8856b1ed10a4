import type { Clock } from "../hal/mod.ts";

/** Why a body was not read. */
export class BodyError extends Error {
  /** `too-large`, or `slow`: it did not arrive in time or broke off. */
  readonly kind: "too-large" | "slow";

  /** Makes an error of `kind`. */
  constructor(kind: "too-large" | "slow", message: string) {
    super(message);
    this.name = "BodyError";
    this.kind = kind;
  }
}

/**
 * Reads a request's body of at most `bytesMax` within `timeoutMs`; memory never exceeds what came in.
 *
 * @throws {@link BodyError}
 */
export async function readBody(
  request: Request,
  limit: { readonly bytesMax: number; readonly timeoutMs: number },
  clock: Clock,
): Promise<Uint8Array<ArrayBuffer>> {
  const { bytesMax, timeoutMs } = limit;
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) {
    throw new BodyError("too-large", `at most ${bytesMax} bytes are taken`);
  }
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  let slow = false;
  const cancelTimeout = clock.schedule(timeoutMs, () => {
    slow = true;
    reader.cancel().catch(() => {});
  });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (slow) throw new BodyError("slow", `the body did not arrive in ${timeoutMs} ms`);
      if (done) break;
      length += value.length;
      if (length > bytesMax) {
        throw new BodyError("too-large", `at most ${bytesMax} bytes are taken`);
      }
      chunks.push(value);
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    if (error instanceof BodyError) throw error;
    throw new BodyError("slow", "the body broke off");
  } finally {
    cancelTimeout();
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
