/**
 * Signed requests and responses (RFC 9421 with Ed25519, content digests by RFC 9530), so that a
 * proxy which opens TLS can neither forge, change nor replay what a box and its district say.
 *
 * The profile is fixed: one signature, labelled `gatehouse`, over a constant list of components.
 * Requests: `"@method" "@path" "@query" "content-digest"`, with a fresh `nonce`. Responses, by the
 * district's key: `"@status" "content-digest" "signature";req`. The last one binds the answer to
 * the one request: an old acknowledgement does not verify. Anything else is refused unread.
 *
 * @module
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { Buffer } from "node:buffer";
import { BOX_ID_PATTERN, type SigningKey, verifySignature } from "./identity.ts";
import { WIRE_LIMITS } from "./messages.ts";

/** Why a signature was not accepted. */
export type HttpSignatureErrorKind =
  /** No signature of this profile. */
  | "missing"
  /** The signature's fields cannot be read. */
  | "malformed"
  /** No key is known for the key id. */
  | "unknown-key"
  /** The body is not the one that was signed. */
  | "wrong-digest"
  /** Not made by that key over this message. */
  | "wrong-signature"
  /** Rightly signed, but `created` is too far from the verifier's time. */
  | "clock-skew";

/** A message without an acceptable signature. */
export class HttpSignatureError extends Error {
  /** What is wrong with it. */
  readonly kind: HttpSignatureErrorKind;

  /** Makes an error of `kind`. */
  constructor(kind: HttpSignatureErrorKind, message: string) {
    super(message);
    this.name = "HttpSignatureError";
    this.kind = kind;
  }
}

/** The part of a request that is signed. `body` is empty for GET and for an upgrade. */
export interface RequestParts {
  readonly method: string;
  readonly url: string | URL;
  readonly body: Uint8Array;
}

/** Headers to send, and what an answer or a `hello` must refer to. */
export interface SignedRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly nonce: string;
  /** The whole `Signature` header. */
  readonly signature: string;
}

/** Who signed a request that verified. */
export interface VerifiedRequest {
  readonly boxId: string;
  readonly nonce: string;
  /** Whole seconds, as ms since 1970, on the box's clock. */
  readonly createdMs: number;
  /** The whole `Signature` header, for {@link signResponse}. */
  readonly signature: string;
}

const LABEL = "gatehouse";
const REQUEST_COMPONENTS = `("@method" "@path" "@query" "content-digest")`;
const RESPONSE_COMPONENTS = `("@status" "content-digest" "signature";req)`;
/** The key id of every district: a box has but one. */
const DISTRICT_KEY_ID = "district";
const NONCE_BYTES = 16;

const SIGNATURE = new RegExp(`^${LABEL}=:([A-Za-z0-9+/]{86}==):$`);
const REQUEST_PARAMS =
  /^;created=(\d{1,12});nonce="([A-Za-z0-9_-]{16,64})";keyid="([A-Za-z0-9-]{1,64})";alg="ed25519"$/;
const RESPONSE_PARAMS = /^;created=(\d{1,12});keyid="district";alg="ed25519"$/;

/** The `Content-Digest` of `body` (RFC 9530, section 2). */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
}

/**
 * The signature base (RFC 9421, section 2.5) of `components`, each an identifier as it stands in the
 * list (quotes and parameters included) with its value; `params` is the list with its parameters.
 */
export function signatureBase(
  components: readonly (readonly [identifier: string, value: string])[],
  params: string,
): Uint8Array<ArrayBuffer> {
  const lines = components.map(([identifier, value]) => `${identifier}: ${value}\n`);
  return new TextEncoder().encode(`${lines.join("")}"@signature-params": ${params}`);
}

function requestBase(parts: RequestParts, digest: string, params: string): Uint8Array {
  const url = new URL(parts.url);
  return signatureBase([
    [`"@method"`, parts.method.toUpperCase()],
    [`"@path"`, url.pathname],
    // RFC 9421, section 2.2.7: an absent query is a lone question mark.
    [`"@query"`, url.search === "" ? "?" : url.search],
    [`"content-digest"`, digest],
  ], params);
}

function responseBase(status: number, digest: string, signature: string, params: string) {
  return signatureBase([
    [`"@status"`, String(status)],
    [`"content-digest"`, digest],
    [`"signature";req`, signature],
  ], params);
}

function digestMatches(header: string, body: Uint8Array): boolean {
  const actual = Buffer.from(contentDigest(body));
  const claimed = Buffer.from(header);
  return actual.length === claimed.length && timingSafeEqual(actual, claimed);
}

function readSignature(
  headers: Headers,
  components: string,
): { digest: string; params: string; signature: string; raw: Uint8Array } {
  const digest = headers.get("content-digest");
  const input = headers.get("signature-input");
  const signature = headers.get("signature");
  if (digest === null || input === null || signature === null) {
    throw new HttpSignatureError("missing", "no signature, or no content digest");
  }
  const match = SIGNATURE.exec(signature);
  const prefix = `${LABEL}=${components}`;
  if (match === null || !input.startsWith(prefix)) {
    throw new HttpSignatureError("malformed", "the signature is not of Gatehouse's profile");
  }
  const raw = Buffer.from(match[1]!, "base64");
  // The last character has four bits to spare; only one way to write a signature is taken.
  if (raw.toString("base64") !== match[1]) {
    throw new HttpSignatureError("malformed", "the signature is not written in its one way");
  }
  return { digest, params: input.slice(prefix.length), signature, raw: new Uint8Array(raw) };
}

/** Signs a request as box `boxId`. `createdMs` is the box's time, corrected by what it knows of the district's. */
export function signRequest(
  parts: RequestParts,
  boxId: string,
  key: SigningKey,
  createdMs: number,
): SignedRequest {
  const nonce = randomBytes(NONCE_BYTES).toString("base64url");
  const created = Math.max(0, Math.floor(createdMs / 1000));
  const params =
    `${REQUEST_COMPONENTS};created=${created};nonce="${nonce}";keyid="${boxId}";alg="ed25519"`;
  const digest = contentDigest(parts.body);
  const raw = Buffer.from(key.sign(requestBase(parts, digest, params))).toString("base64");
  const signature = `${LABEL}=:${raw}:`;
  return {
    headers: {
      "content-digest": digest,
      "signature-input": `${LABEL}=${params}`,
      "signature": signature,
    },
    nonce,
    signature,
  };
}

/** The `Signature` header of a request, for a signed refusal of one that does not verify; empty when there is none. */
export function requestSignatureOf(headers: Headers): string {
  const signature = headers.get("signature") ?? "";
  return SIGNATURE.test(signature) ? signature : "";
}

/**
 * Verifies a request's signature. `keyOf` finds a box's raw public key, or `undefined`.
 *
 * The time is judged last, so that `clock-skew` is told only to a box that is known. Replays within
 * the allowed skew are for the caller to refuse, see {@link NonceMemory}.
 *
 * @throws {@link HttpSignatureError}
 */
export async function verifyRequest(
  parts: RequestParts & { readonly headers: Headers },
  keyOf: (boxId: string) => Uint8Array | undefined | Promise<Uint8Array | undefined>,
  nowMs: number,
): Promise<VerifiedRequest> {
  const { digest, params, signature, raw } = readSignature(parts.headers, REQUEST_COMPONENTS);
  const match = REQUEST_PARAMS.exec(params);
  if (match === null) {
    throw new HttpSignatureError("malformed", "the signature's parameters cannot be read");
  }
  const [, created, nonce, boxId] = match as unknown as [string, string, string, string];
  if (!BOX_ID_PATTERN.test(boxId)) {
    throw new HttpSignatureError("malformed", "the signature's keyid is no box id");
  }
  const publicKey = await keyOf(boxId);
  if (publicKey === undefined) {
    throw new HttpSignatureError("unknown-key", `box ${boxId} is not enrolled here`);
  }
  if (!digestMatches(digest, parts.body)) {
    throw new HttpSignatureError("wrong-digest", "the body is not the one that was signed");
  }
  const base = requestBase(parts, digest, REQUEST_COMPONENTS + params);
  if (!verifySignature(publicKey, base, raw)) {
    throw new HttpSignatureError("wrong-signature", `not signed by box ${boxId}`);
  }
  const createdMs = Number(created) * 1000;
  if (Math.abs(createdMs - nowMs) > WIRE_LIMITS.signatureSkewMsMax) {
    throw new HttpSignatureError(
      "clock-skew",
      `the box's clock is ${Math.round((createdMs - nowMs) / 1000)} s off the district's`,
    );
  }
  return { boxId, nonce, createdMs, signature };
}

/**
 * Signs a response with the district's key. `requestSignature` is the `Signature` header of the
 * request that it answers.
 */
export function signResponse(
  response: { readonly status: number; readonly body: Uint8Array },
  requestSignature: string,
  key: SigningKey,
  nowMs: number,
): Readonly<Record<string, string>> {
  const params = `${RESPONSE_COMPONENTS};created=${
    Math.floor(nowMs / 1000)
  };keyid="${DISTRICT_KEY_ID}";alg="ed25519"`;
  const digest = contentDigest(response.body);
  const base = responseBase(response.status, digest, requestSignature, params);
  const raw = Buffer.from(key.sign(base)).toString("base64");
  return {
    "content-digest": digest,
    "signature-input": `${LABEL}=${params}`,
    "signature": `${LABEL}=:${raw}:`,
  };
}

/**
 * Verifies a response to the request that had `requestSignature`.
 *
 * @returns the district's time when it answered, to the second.
 * @throws {@link HttpSignatureError}
 */
export function verifyResponse(
  response: { readonly status: number; readonly headers: Headers; readonly body: Uint8Array },
  requestSignature: string,
  districtKey: Uint8Array,
): { readonly districtMs: number } {
  const { digest, params, raw } = readSignature(response.headers, RESPONSE_COMPONENTS);
  const match = RESPONSE_PARAMS.exec(params);
  if (match === null) {
    throw new HttpSignatureError("malformed", "the signature's parameters cannot be read");
  }
  if (!digestMatches(digest, response.body)) {
    throw new HttpSignatureError("wrong-digest", "the body is not the one that was signed");
  }
  const base = responseBase(
    response.status,
    digest,
    requestSignature,
    RESPONSE_COMPONENTS + params,
  );
  if (!verifySignature(districtKey, base, raw)) {
    throw new HttpSignatureError("wrong-signature", "not the district's answer to this request");
  }
  return { districtMs: Number(match[1]) * 1000 };
}

/**
 * Remembers nonces for as long as their signatures would be accepted, so that a request that was
 * overheard cannot be sent again. Two generations, swapped by time: memory is bounded by what
 * comes in within two spans, and by `entriesMax`.
 */
export class NonceMemory {
  readonly #entriesMax: number;
  #current = new Set<string>();
  #previous = new Set<string>();
  #swapMs = -Infinity;

  /** `entriesMax` bounds one generation: beyond it, the older one is forgotten early. */
  constructor(entriesMax: number = 100_000) {
    this.#entriesMax = entriesMax;
  }

  /** Notes the nonce of a verified request; false when it was seen before. */
  fresh(request: { readonly boxId: string; readonly nonce: string }, nowMs: number): boolean {
    const id = `${request.boxId} ${request.nonce}`;
    // A signature is accepted from skewMax before to skewMax after its time.
    const spanMs = 2 * WIRE_LIMITS.signatureSkewMsMax;
    if (Math.abs(nowMs - this.#swapMs) > spanMs || this.#current.size >= this.#entriesMax) {
      this.#previous = this.#current;
      this.#current = new Set();
      this.#swapMs = nowMs;
    }
    if (this.#current.has(id) || this.#previous.has(id)) return false;
    this.#current.add(id);
    return true;
  }
}
