/**
 * Signed calls to the district. Only answers with the district's signature, bound to the very
 * request, come out of here; everything else is a {@link SyncError}.
 *
 * @module
 */
import type { Clock } from "../hal/mod.ts";
import { readBody } from "./bytes.ts";
import { connectionError, SyncError } from "./errors.ts";
import type { BoxIdentity } from "./identity_store.ts";
import type { TimeScale } from "./time_scale.ts";
import { fetchUnverified } from "./unverified.ts";
import {
  compress,
  decodeCbor,
  encodeCbor,
  HttpSignatureError,
  openEnvelope,
  parsePolicyMessage,
  parseRefusal,
  parseUploadResponse,
  type PolicyMessage,
  type Refusal,
  type SignedRequest,
  signRequest,
  type UploadRequest,
  type UploadResponse,
  verifyResponse,
  WIRE_LIMITS,
  WireError,
} from "./wire/mod.ts";

/** A batch takes well under a second; a line of 64 kbit/s needs 13 s for the largest one. */
const CALL_TIMEOUT_MS = 30_000;
/** A policy of 32 MB over 2 Mbit/s. */
const POLICY_TIMEOUT_MS = 180_000;
/** An answer that is no policy. */
const ANSWER_BYTES_MAX = 64 << 10;
/** Idle connections are dropped before a district (or a proxy) drops them under a request. */
const IDLE_MS = 20_000;

/** A request that is ready to be sent. */
interface Call {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly bytesMax: number;
  readonly timeoutMs: number;
}

/** A verified answer below 400. */
interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
}

/** The district, as seen by one enrolled box. */
export class DistrictClient implements Disposable {
  readonly #identity: BoxIdentity;
  readonly #clock: Clock;
  readonly #time: TimeScale;
  readonly #http: Deno.HttpClient;
  #closed = false;

  /** Pins `identity.caPem` beside the system's roots; what counts is the district's signature. */
  constructor(identity: BoxIdentity, clock: Clock, time: TimeScale) {
    this.#identity = identity;
    this.#clock = clock;
    this.#time = time;
    // HTTP/2 in Deno's fetch stalls 44–48 ms on POSTs of 5–20 kB.
    this.#http = Deno.createHttpClient({
      caCerts: [identity.caPem],
      http2: false,
      poolIdleTimeout: IDLE_MS,
    });
  }

  /** Sends an upload that was compressed already. @throws {@link SyncError} */
  async upload(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<UploadResponse> {
    const answer = await this.#call({
      method: "POST",
      path: "/api/box/v1/events",
      headers: { "content-type": "application/cbor", "content-encoding": "zstd" },
      body,
      bytesMax: ANSWER_BYTES_MAX,
      timeoutMs: CALL_TIMEOUT_MS,
    }, signal);
    return this.#read(
      () => parseUploadResponse(decodeCbor(answer.body, "answer", ANSWER_BYTES_MAX)),
    );
  }

  /** Asks nothing, to learn what stands between: the time, a withdrawal, the network. @throws {@link SyncError} */
  async probe(signal: AbortSignal): Promise<void> {
    const empty: UploadRequest = { batches: [] };
    await this.upload(await compress(encodeCbor(empty)), signal);
  }

  /** The district's policy, if it is another one than `haveVersion`. @throws {@link SyncError} */
  async policy(haveVersion: number, signal: AbortSignal): Promise<PolicyMessage | undefined> {
    const answer = await this.#call({
      method: "GET",
      path: "/api/box/v1/policy",
      headers: { "if-none-match": `"${haveVersion}"` },
      body: new Uint8Array(),
      bytesMax: WIRE_LIMITS.policyBytesMax,
      timeoutMs: POLICY_TIMEOUT_MS,
    }, signal);
    if (answer.status !== 200) return undefined;
    return this.#read(() =>
      parsePolicyMessage(
        openEnvelope(
          answer.body,
          this.#identity.districtKey,
          "policy",
          WIRE_LIMITS.policyBytesMax,
        ),
      )
    );
  }

  /** Opens a link; the headers are signed, and `nonce` is what its hello must name. */
  openLink(): { readonly socket: WebSocket; readonly nonce: string } {
    const url = `${this.#identity.url}/api/box/v1/link`;
    const signed = this.#sign({ method: "GET", url, body: new Uint8Array() });
    const socket = new WebSocket(url.replace(/^http/, "ws"), {
      headers: signed.headers,
      client: this.#http,
    });
    socket.binaryType = "arraybuffer";
    return { socket, nonce: signed.nonce };
  }

  /**
   * Sends a signed request of no protocol known here, and hands its answer on unread and unverified:
   * whoever asks must not trust it. Redirects are not followed.
   *
   * @throws {@link SyncError} when there is no answer; the signal's reason.
   */
  async fetchSigned(
    request: {
      readonly method: "GET" | "POST" | "PUT";
      /** With its query. */
      readonly path: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: Uint8Array<ArrayBuffer>;
    },
    signal: AbortSignal,
  ): Promise<Response> {
    const { method, path, headers = {}, body } = request;
    const url = this.#identity.url + path;
    const signed = this.#sign({ method, url, body: body ?? new Uint8Array() });
    try {
      return await fetch(url, {
        method,
        headers: { ...headers, ...signed.headers },
        ...(body === undefined ? {} : { body }),
        redirect: "manual",
        client: this.#http,
        signal,
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw connectionError(url, error);
    }
  }

  /** Drops all connections; twice is fine. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#http.close();
  }

  #sign(parts: { method: string; url: string; body: Uint8Array }): SignedRequest {
    return signRequest(parts, this.#identity.boxId, this.#identity.key, this.#time.nowMs());
  }

  #read<T>(parse: () => T): T {
    try {
      return parse();
    } catch (cause) {
      if (!(cause instanceof WireError)) throw cause;
      throw new SyncError(
        "malformed",
        `the district's answer makes no sense to this version: ${cause.message}`,
        { cause },
      );
    }
  }

  async #call(call: Call, signal: AbortSignal): Promise<Answer> {
    const first = await this.#once(call, signal);
    if (first.refusal === undefined) return first.answer;
    // The time has been learned from the refusal itself; with it the next one is right.
    if (first.refusal.error !== "clock-skew") throw refused(first.refusal, first.retryAfterMs);
    const second = await this.#once(call, signal);
    if (second.refusal === undefined) return second.answer;
    throw refused(second.refusal, second.retryAfterMs);
  }

  async #once(call: Call, signal: AbortSignal): Promise<
    | { readonly answer: Answer; readonly refusal: undefined }
    | { readonly refusal: Refusal; readonly retryAfterMs: number }
  > {
    const url = this.#identity.url + call.path;
    const signed = this.#sign({ method: call.method, url, body: call.body });
    const sentMs = this.#clock.monotonicMs();
    let response: { status: number; headers: Headers; body: Uint8Array };
    try {
      response = await this.#fetch(url, call, signed, signal);
    } catch (error) {
      if (error instanceof SyncError && error.kind === "tls-clock" && !signal.aborted) {
        await this.#learnTime(signal);
      }
      throw error;
    }
    return this.#verified(url, response, signed, sentMs);
  }

  #verified(
    url: string,
    response: { status: number; headers: Headers; body: Uint8Array },
    signed: SignedRequest,
    sentMs: number,
  ):
    | { readonly answer: Answer; readonly refusal: undefined }
    | { readonly refusal: Refusal; readonly retryAfterMs: number } {
    const { status, body } = response;
    const retryAfterMs = retryAfter(response.headers);
    let districtMs: number;
    try {
      districtMs = verifyResponse(response, signed.signature, this.#identity.districtKey)
        .districtMs;
    } catch (cause) {
      if (!(cause instanceof HttpSignatureError)) throw cause;
      throw new SyncError(
        "unsigned",
        `${url}: status ${status} without the district's signature (${cause.message}); a proxy may have answered in its place`,
        { cause, retryAfterMs },
      );
    }
    if (status < 400) {
      this.#time.learn(districtMs, 1000, sentMs);
      return { answer: { status, body }, refusal: undefined };
    }
    const refusal = this.#read(() => parseRefusal(decodeCbor(body, "refusal", ANSWER_BYTES_MAX)));
    this.#time.learn(refusal.serverWallMs, 1, sentMs);
    return { refusal, retryAfterMs };
  }

  async #fetch(url: string, call: Call, signed: SignedRequest, signal: AbortSignal) {
    signal.throwIfAborted();
    const timeout = new AbortController();
    const cancel = this.#clock.schedule(
      call.timeoutMs,
      () => timeout.abort(new SyncError("timeout", `${url}: no answer in ${call.timeoutMs} ms`)),
    );
    try {
      const response = await fetch(url, {
        method: call.method,
        headers: { ...call.headers, ...signed.headers },
        ...(call.method === "POST" ? { body: call.body } : {}),
        redirect: "manual",
        client: this.#http,
        signal: AbortSignal.any([signal, timeout.signal]),
      });
      const body = await readBody(response.body, url, call.bytesMax);
      return { status: response.status, headers: response.headers, body };
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (timeout.signal.aborted) throw timeout.signal.reason;
      throw connectionError(url, error);
    } finally {
      cancel();
    }
  }

  /**
   * TLS fails as the box's clock is wrong: asks for the time without checking certificates. The
   * answer is signed by the district and bound to our nonce, so that nobody else can set the time.
   */
  async #learnTime(signal: AbortSignal): Promise<void> {
    const url = `${this.#identity.url}/api/box/v1/events`;
    const empty: UploadRequest = { batches: [] };
    const body = await compress(encodeCbor(empty));
    const signed = this.#sign({ method: "POST", url, body });
    const sentMs = this.#clock.monotonicMs();
    try {
      const response = await fetchUnverified({
        clock: this.#clock,
        url,
        method: "POST",
        headers: {
          "content-type": "application/cbor",
          "content-encoding": "zstd",
          ...signed.headers,
        },
        body,
        bytesMax: ANSWER_BYTES_MAX,
        timeoutMs: CALL_TIMEOUT_MS,
      }, signal);
      this.#verified(url, response, signed, sentMs);
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      // The failure that led here is the one to report.
    }
  }
}

/** Seconds of `Retry-After` in ms (RFC 9110, section 10.2.3); dates are not used by a district. */
function retryAfter(headers: Headers): number {
  const seconds = Number(headers.get("retry-after") ?? 0);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}

function refused(refusal: Refusal, retryAfterMs: number): SyncError {
  if (refusal.error === "revoked") {
    return new SyncError(
      "revoked",
      `the district has withdrawn this box: ${refusal.detail}; enrol it again to use it`,
    );
  }
  return new SyncError("refused", `the district refused (${refusal.error}): ${refusal.detail}`, {
    retryAfterMs,
  });
}
