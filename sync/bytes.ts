import { SyncError } from "./errors.ts";

/**
 * Reads a whole body of at most `bytesMax`.
 *
 * @throws {@link SyncError} `malformed` as soon as there is more.
 */
export async function readBody(
  body: AsyncIterable<Uint8Array> | null,
  what: string,
  bytesMax: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > bytesMax) {
      throw new SyncError("malformed", `${what}: the answer has more than ${bytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
