import { createHash } from "node:crypto";
import type { Clock } from "../../hal/mod.ts";
import {
  boxIdOf,
  decodeCbor,
  decompress,
  encodeCbor,
  type EnrolResponse,
  HttpSignatureError,
  type LaneAck,
  NonceMemory,
  parseEnrolRequest,
  parseUploadRequest,
  type Refusal,
  requestSignatureOf,
  signEnvelope,
  type SigningKey,
  signResponse,
  type UploadRequest,
  type UploadResponse,
  type VerifiedRequest,
  verifyRequest,
  WIRE_LIMITS,
  WireError,
} from "../../sync/wire/mod.ts";
import { BodyError, readBody } from "../body.ts";
import { faultFields, type Log } from "../log.ts";
import type { BoxRow, DistrictStore, IngestResult } from "../store/contract.ts";
import { checkBatch } from "./check_batch.ts";
import type { BoxLinks } from "./links.ts";
import { BoxRefusal } from "./refusal.ts";

/** What the boxes' side of a district needs. */
export interface BoxApiHost {
  readonly store: DistrictStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly key: SigningKey;
  readonly caPem: string;
  readonly districtName: string;
  readonly links: BoxLinks;
  /** After the commit, before the acknowledgement is sent. Must not throw or wait. */
  readonly onIngested: (box: BoxRow, result: IngestResult) => void;
  readonly onEnrolled: (boxId: string) => void;
}

/** An enrolment has a key, a secret and a name. */
const ENROL_BYTES_MAX = 4096;
/** A megabyte over 300 kbit/s. */
const BODY_TIMEOUT_MS = 30_000;
/** Uploads in memory at once: 32 × 9 MiB at the very most. */
const UPLOADS_MAX = 32;
/** When busy; with jitter on the box's side. */
const RETRY_AFTER_S = 2;

/** Answers `/api/box/v1/…`. */
export class BoxApi {
  readonly #host: BoxApiHost;
  readonly #nonces = new NonceMemory();
  #uploads = 0;
  /** The newest policy, signed: all boxes come for it at once, and it has some MB. */
  #envelope: { readonly version: number; readonly bytes: Uint8Array<ArrayBuffer> } | undefined;

  /** Answers nothing until asked. */
  constructor(host: BoxApiHost) {
    this.#host = host;
  }

  /** Answers one request; every answer but `ca.pem` and the upgrade is signed. */
  async answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const route = `${request.method} ${pathname.slice("/api/box/v1/".length)}`;
    try {
      switch (route) {
        case "GET ca.pem":
          return new Response(this.#host.caPem, {
            headers: { "content-type": "application/x-pem-file", "cache-control": "no-store" },
          });
        case "POST enrol":
          return await this.#enrol(request);
        case "POST events":
          return await this.#events(request);
        case "GET policy":
          return await this.#policy(request);
        case "GET link":
          return await this.#link(request);
        default:
          throw new BoxRefusal(404, "not-found", `there is no ${route}`);
      }
    } catch (error) {
      return this.#refuse(request, error);
    }
  }

  #refuse(request: Request, error: unknown): Response {
    const { clock, log } = this.#host;
    let refusal: BoxRefusal;
    if (error instanceof BoxRefusal) refusal = error;
    else if (error instanceof HttpSignatureError) refusal = ofSignature(error);
    else if (error instanceof WireError) refusal = new BoxRefusal(400, "malformed", error.message);
    else if (error instanceof BodyError) {
      refusal = new BoxRefusal(error.kind === "too-large" ? 413 : 408, "malformed", error.message);
    } else {
      log.error("a box's request failed", {
        path: new URL(request.url).pathname,
        ...faultFields(error),
      });
      refusal = new BoxRefusal(500, "internal", "the district failed; its log says why");
    }
    const body: Refusal = {
      error: refusal.code,
      detail: refusal.message.slice(0, 1000),
      serverWallMs: clock.wallMs(),
    };
    return this.#signed(
      request,
      refusal.status,
      encodeCbor(body),
      refusal.code === "busy" ? { "retry-after": String(RETRY_AFTER_S) } : {},
    );
  }

  #signed(
    request: Request,
    status: number,
    body: Uint8Array<ArrayBuffer>,
    headers: Readonly<Record<string, string>> = {},
  ): Response {
    const { key, clock } = this.#host;
    const signature = requestSignatureOf(request.headers);
    return new Response(status === 304 ? null : body, {
      status,
      headers: {
        ...(status === 304 ? {} : { "content-type": "application/cbor" }),
        "cache-control": "no-store",
        ...headers,
        ...signResponse({ status, body }, signature, key, clock.wallMs()),
      },
    });
  }

  /** Verifies signature, freshness and standing of an enrolled box. */
  async #verified(
    request: Request,
    body: Uint8Array,
  ): Promise<{ readonly box: BoxRow; readonly verified: VerifiedRequest }> {
    const { store, clock } = this.#host;
    let box: BoxRow | undefined;
    const verified = await verifyRequest(
      { method: request.method, url: request.url, headers: request.headers, body },
      async (boxId) => (box = await store.box(boxId))?.publicKey,
      clock.wallMs(),
    );
    if (box === undefined) throw new BoxRefusal(401, "unknown-box", "not enrolled here");
    if (!this.#nonces.fresh(verified, clock.wallMs())) {
      throw new BoxRefusal(401, "replayed", "this very request was made before");
    }
    if (box.revoked) throw new BoxRefusal(403, "revoked", "an operator withdrew this box");
    return { box, verified };
  }

  async #enrol(request: Request): Promise<Response> {
    const { store, clock, key, districtName, onEnrolled, log } = this.#host;
    const limit = { bytesMax: ENROL_BYTES_MAX, timeoutMs: BODY_TIMEOUT_MS };
    const body = await readBody(request, limit, clock);
    const { secret, publicKey, name } = parseEnrolRequest(
      decodeCbor(body, "enrolment", ENROL_BYTES_MAX),
    );
    const boxId = boxIdOf(publicKey);
    const verified = await verifyRequest(
      { method: request.method, url: request.url, headers: request.headers, body },
      (id) => id === boxId ? publicKey : undefined,
      clock.wallMs(),
    );
    if (!this.#nonces.fresh(verified, clock.wallMs())) {
      throw new BoxRefusal(401, "replayed", "this very request was made before");
    }
    const secretHash = new Uint8Array(createHash("sha256").update(secret).digest());
    const outcome = await store.enrol({ secretHash, boxId, publicKey, name }, clock.wallMs());
    if (outcome !== "enrolled") {
      const status = outcome === "token-unknown" ? 403 : 410;
      throw new BoxRefusal(status, outcome, "make a new token in the district's console");
    }
    log.info("box enrolled", { boxId, name });
    await store.audit({
      atMs: clock.wallMs(),
      operator: "",
      action: "box.enrolled",
      detail: `${boxId} ${name}`,
    });
    onEnrolled(boxId);
    const answer: EnrolResponse = { boxId, districtKey: key.publicKey, districtName };
    return this.#signed(request, 200, encodeCbor(answer));
  }

  async #events(request: Request): Promise<Response> {
    if (this.#uploads >= UPLOADS_MAX) {
      throw new BoxRefusal(503, "busy", "too many uploads at once");
    }
    this.#uploads++;
    try {
      const { clock, links } = this.#host;
      const limit = { bytesMax: WIRE_LIMITS.uploadBytesMax, timeoutMs: BODY_TIMEOUT_MS };
      const body = await readBody(request, limit, clock);
      const { box } = await this.#verified(request, body);
      if (request.headers.get("content-encoding") !== "zstd") {
        throw new BoxRefusal(400, "malformed", "expected content-encoding: zstd");
      }
      const bytes = await decompress(body, "upload", WIRE_LIMITS.uploadDecodedBytesMax);
      const upload = parseUploadRequest(
        decodeCbor(bytes, "upload", WIRE_LIMITS.uploadDecodedBytesMax),
      );
      links.heard(box.id);
      const answer: UploadResponse = { acks: await this.#ingest(box, upload) };
      return this.#signed(request, 200, encodeCbor(answer));
    } finally {
      this.#uploads--;
    }
  }

  async #ingest(box: BoxRow, upload: UploadRequest): Promise<readonly LaneAck[]> {
    const { store, clock, log, onIngested } = this.#host;
    const checks = upload.batches.map((batch) => checkBatch(box.id, box.publicKey, batch));
    const good = checks.flatMap((check) => "batch" in check ? [check.batch] : []);
    const result = await store.ingest(box.id, good, clock.wallMs());
    onIngested(box, result);
    const acks: LaneAck[] = [];
    for (const [index, { lane, epoch }] of upload.batches.entries()) {
      const check = checks[index]!;
      if ("batch" in check) {
        acks.push(result.acks.find((ack) => ack.lane === lane)!);
        const { refused } = acks.at(-1)!;
        if (refused !== undefined) log.warn("batch refused", { boxId: box.id, lane, refused });
        continue;
      }
      log.warn("batch refused", {
        boxId: box.id,
        lane,
        refused: check.refused,
        detail: check.detail,
      });
      const seq = await store.cursor(box.id, epoch, lane);
      acks.push({ lane, epoch, seq, refused: check.refused });
    }
    return acks;
  }

  async #policy(request: Request): Promise<Response> {
    const { store, key, links } = this.#host;
    const { box } = await this.#verified(request, new Uint8Array());
    links.heard(box.id);
    const version = await store.policyVersion();
    if (version === 0) throw new BoxRefusal(404, "not-found", "there is no policy yet");
    if (request.headers.get("if-none-match") === `"${version}"`) {
      return this.#signed(request, 304, new Uint8Array(), { etag: `"${version}"` });
    }
    if (this.#envelope?.version !== version) {
      const policy = await store.policy();
      if (policy === undefined) throw new BoxRefusal(404, "not-found", "there is no policy yet");
      const { document } = policy;
      const bytes = signEnvelope(key, { kind: "policy", version: policy.version, document });
      this.#envelope = { version: policy.version, bytes };
    }
    const { bytes } = this.#envelope;
    return this.#signed(request, 200, bytes, { etag: `"${this.#envelope.version}"` });
  }

  async #link(request: Request): Promise<Response> {
    const { links } = this.#host;
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      throw new BoxRefusal(400, "malformed", "expected an upgrade to a WebSocket");
    }
    const { box, verified } = await this.#verified(request, new Uint8Array());
    return links.accept(request, box, verified.nonce);
  }
}

function ofSignature(error: HttpSignatureError): BoxRefusal {
  switch (error.kind) {
    case "missing":
    case "malformed":
      return new BoxRefusal(400, "malformed", error.message);
    case "unknown-key":
      return new BoxRefusal(401, "unknown-box", error.message);
    case "wrong-digest":
    case "wrong-signature":
      return new BoxRefusal(401, "wrong-signature", error.message);
    case "clock-skew":
      return new BoxRefusal(401, "clock-skew", error.message);
    default:
      return error.kind satisfies never;
  }
}
