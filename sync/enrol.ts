import type { Clock } from "../hal/mod.ts";
import { timingSafeEqual } from "node:crypto";
import { readBody } from "./bytes.ts";
import { connectionError, SyncError } from "./errors.ts";
import { type BoxIdentity, loadOrMakeKey, saveDistrict } from "./identity_store.ts";
import { fetchUnverified } from "./unverified.ts";
import {
  boxIdOf,
  caFingerprint,
  decodeCbor,
  encodeCbor,
  type EnrolRequest,
  type EnrolResponse,
  HttpSignatureError,
  parseEnrolResponse,
  parseRefusal,
  parseToken,
  type Refusal,
  type RefusalCode,
  signRequest,
  verifyResponse,
  WireError,
} from "./wire/mod.ts";

/** What enrolment needs. */
export interface EnrolOptions {
  /** `https://host:port` of the district. */
  readonly url: string;
  /** As made by the district's console. */
  readonly token: string;
  /** How the box is called. */
  readonly name: string;
  /** The box's data folder. */
  readonly dataDir: string;
  readonly clock: Clock;
}

/** A certificate has 1–2 KB, an answer less. */
const ANSWER_BYTES_MAX = 64 << 10;
/** An installer is waiting. */
const TIMEOUT_MS = 15_000;

const TOKEN_ADVICE: Partial<Record<RefusalCode, string>> = {
  "token-unknown": "the district does not know this token; make a new one in its console",
  "token-used": "this token was used before; make a new one in the district's console",
  "token-expired": "this token is too old; make a new one in the district's console",
};

/**
 * Enrols the box of `dataDir` with a district: pins the certificate that the token names, sends the
 * box's public key, and keeps who the district is. The box's key is made on the box if there is
 * none, and stays there.
 *
 * @throws {@link SyncError} that says what to do next.
 */
export async function enrol(options: EnrolOptions, signal: AbortSignal): Promise<BoxIdentity> {
  const { clock, dataDir } = options;
  const url = originOf(options.url);
  let token;
  try {
    token = parseToken(options.token);
  } catch (cause) {
    throw new SyncError("token", (cause as Error).message, { cause });
  }
  const caPem = await pinnedCertificate(clock, url, token.caFingerprint, signal);
  const key = await loadOrMakeKey(dataDir);
  const boxId = boxIdOf(key.publicKey);
  const request: EnrolRequest = {
    secret: token.secret,
    publicKey: key.publicKey,
    name: options.name,
  };
  const body = encodeCbor(request);
  const http = Deno.createHttpClient({ caCerts: [caPem], http2: false });
  try {
    let createdMs = clock.wallMs();
    for (let attempt = 0;; attempt++) {
      const parts = { method: "POST", url: `${url}/api/box/v1/enrol`, body };
      const signed = signRequest(parts, boxId, key, createdMs);
      const response = await post(http, clock, parts.url, signed.headers, body, signal);
      if (response.status < 400) {
        const answer = readAnswer(response, signed.signature, boxId);
        const district = {
          url,
          districtName: answer.districtName,
          districtKey: answer.districtKey,
          caPem,
        };
        await saveDistrict(dataDir, key, district);
        return { ...district, boxId, key };
      }
      const refusal = readRefusal(response);
      // Over the pinned connection the district's time can be believed.
      if (refusal.error === "clock-skew" && attempt === 0) createdMs = refusal.serverWallMs;
      else throw refused(refusal);
    }
  } finally {
    http.close();
  }
}

function originOf(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new SyncError("unreachable", `${text}: expected https://host:port`, { cause });
  }
  if (url.protocol !== "https:") {
    throw new SyncError("unreachable", `${text}: expected https://, not ${url.protocol}//`);
  }
  return url.origin;
}

async function pinnedCertificate(
  clock: Clock,
  url: string,
  fingerprint: Uint8Array,
  signal: AbortSignal,
): Promise<string> {
  const answer = await fetchUnverified({
    clock,
    url: `${url}/api/box/v1/ca.pem`,
    method: "GET",
    headers: {},
    body: new Uint8Array(),
    bytesMax: ANSWER_BYTES_MAX,
    timeoutMs: TIMEOUT_MS,
  }, signal);
  const pem = new TextDecoder().decode(answer.body);
  let actual: Uint8Array;
  try {
    if (answer.status !== 200) throw new WireError(`status ${answer.status}`);
    actual = caFingerprint(pem);
  } catch (cause) {
    throw new SyncError(
      "malformed",
      `${url} is no Gatehouse district (${(cause as Error).message}); check the address`,
      { cause },
    );
  }
  if (!timingSafeEqual(actual, fingerprint)) {
    throw new SyncError(
      "fingerprint",
      `${url} shows another certificate than the token names: wrong district, or something between opens TLS; nothing was sent. Check the address, and make a new token in the console at that very address`,
    );
  }
  return pem;
}

async function post(
  http: Deno.HttpClient,
  clock: Clock,
  url: string,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
) {
  const timeout = new AbortController();
  const cancel = clock.schedule(
    TIMEOUT_MS,
    () => timeout.abort(new SyncError("timeout", `${url}: no answer in ${TIMEOUT_MS} ms`)),
  );
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/cbor", ...headers },
      body,
      redirect: "manual",
      client: http,
      signal: AbortSignal.any([signal, timeout.signal]),
    });
    const answer = await readBody(response.body, url, ANSWER_BYTES_MAX);
    return { status: response.status, headers: response.headers, body: answer };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (timeout.signal.aborted) throw timeout.signal.reason;
    throw connectionError(url, error);
  } finally {
    cancel();
  }
}

interface Response {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

function readAnswer(response: Response, requestSignature: string, boxId: string): EnrolResponse {
  let answer: EnrolResponse;
  try {
    answer = parseEnrolResponse(decodeCbor(response.body, "answer", ANSWER_BYTES_MAX));
    // Proves that the district holds the key that it names.
    verifyResponse(response, requestSignature, answer.districtKey);
  } catch (cause) {
    if (!(cause instanceof WireError || cause instanceof HttpSignatureError)) throw cause;
    throw new SyncError("malformed", `the district's answer cannot be used: ${cause.message}`, {
      cause,
    });
  }
  if (answer.boxId !== boxId) {
    throw new SyncError("malformed", `the district answered for ${answer.boxId}, not ${boxId}`);
  }
  return answer;
}

function readRefusal(response: Response): Refusal {
  try {
    return parseRefusal(decodeCbor(response.body, "refusal", ANSWER_BYTES_MAX));
  } catch (cause) {
    throw new SyncError("malformed", `the district answered with status ${response.status}`, {
      cause,
    });
  }
}

function refused(refusal: Refusal): SyncError {
  const advice = TOKEN_ADVICE[refusal.error];
  if (advice !== undefined) return new SyncError("token", advice);
  if (refusal.error === "revoked") {
    return new SyncError("revoked", `the district has withdrawn this box: ${refusal.detail}`);
  }
  return new SyncError("refused", `the district refused (${refusal.error}): ${refusal.detail}`);
}
