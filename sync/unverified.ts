import type { Clock } from "../hal/mod.ts";
import { request } from "node:https";
import { request as plainRequest } from "node:http";
import { readBody } from "./bytes.ts";
import { connectionError, SyncError } from "./errors.ts";

/** An answer from somebody who may be anybody. */
export interface UnverifiedAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/**
 * One request with certificate checks off. Only for what proves itself: a certificate that a token
 * names, or an answer that the district signed. Send nothing secret.
 *
 * @throws {@link SyncError}
 */
export async function fetchUnverified(
  options: {
    readonly clock: Clock;
    readonly url: string;
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Uint8Array;
    readonly bytesMax: number;
    readonly timeoutMs: number;
  },
  signal: AbortSignal,
): Promise<UnverifiedAnswer> {
  signal.throwIfAborted();
  const { clock, url, bytesMax, timeoutMs } = options;
  const make = url.startsWith("http:") ? plainRequest : request;
  let cancel: () => void = () => {};
  let abort: () => void = () => {};
  try {
    return await new Promise<UnverifiedAnswer>((resolve, reject) => {
      const call = make(url, {
        method: options.method,
        headers: { ...options.headers, "content-length": String(options.body.length) },
        rejectUnauthorized: false,
        // Without this, Deno gathers the system's roots, and wants permission for each place they may be in.
        ca: [],
        agent: false,
      }, (response) => {
        const headers = new Headers();
        for (const [name, value] of Object.entries(response.headers)) {
          if (typeof value === "string") headers.set(name, value);
        }
        readBody(response, url, bytesMax)
          .then((body) => resolve({ status: response.statusCode ?? 0, headers, body }))
          .catch((error) => {
            response.destroy();
            reject(error);
          });
      });
      call.on("error", reject);
      cancel = clock.schedule(timeoutMs, () => {
        reject(new SyncError("timeout", `${url}: no answer in ${timeoutMs} ms`));
        call.destroy();
      });
      abort = () => {
        reject(signal.reason);
        call.destroy();
      };
      signal.addEventListener("abort", abort, { once: true });
      call.end(options.body);
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw connectionError(url, error);
  } finally {
    cancel();
    signal.removeEventListener("abort", abort);
  }
}
