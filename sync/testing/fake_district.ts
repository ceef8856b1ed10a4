/**
 * A small district in memory, for tests of the box's side: real TLS, real HTTP, real WebSockets and
 * real signatures, but nothing is stored. It shares the wire with the real one, and no code.
 *
 * @module
 */
import type { Clock } from "../../hal/mod.ts";
import {
  boxIdOf,
  type BoxStatus,
  chainHash,
  decodeCbor,
  decodeEvent,
  decompress,
  encodeCbor,
  genesisHash,
  headStatement,
  HttpSignatureError,
  type LaneAck,
  type LaneBatch,
  makeToken,
  newTokenSecret,
  parseBoxStatus,
  parseEnrolRequest,
  parseUploadRequest,
  type PolicyMessage,
  type RecordedEvent,
  type Refusal,
  type RefusalCode,
  requestSignatureOf,
  signEnvelope,
  SigningKey,
  signResponse,
  verifyRequest,
  verifySignature,
  WIRE_LIMITS,
  WireError,
} from "../wire/mod.ts";
import { GOOD_CERTIFICATE, TEST_CA_PEM, type TestCertificate } from "./certificates.ts";

/** What a test can make go wrong. */
export interface DistrictFaults {
  /** Answers in the district's place; `undefined` lets it answer. */
  intercept?: (request: Request) => Response | undefined;
  /** After the commit: true drops the answer. */
  loseAnswer?: () => boolean;
  /** Refuses everything with this. */
  refuse?: { readonly status: number; readonly error: RefusalCode; readonly retryAfterS?: number };
  /** Signs with another key. */
  wrongKey?: boolean;
  /** How far its time is ahead of its clock's. */
  timeErrorMs?: number;
  /** Held before an upload is answered. */
  delayMs?: number;
}

/** One stored lane of one box. */
interface StoredLane {
  epoch: number;
  seq: number;
  hash: Uint8Array;
}

/** An event as it arrived. */
export interface ReceivedEvent extends RecordedEvent {
  readonly boxId: string;
  readonly lane: string;
  readonly epoch: number;
  readonly seq: number;
  /** On the district's clock, monotonic. */
  readonly receivedMs: number;
}

/** A link as the district sees it. */
interface OpenLink {
  readonly boxId: string;
  readonly nonce: string;
  readonly socket: WebSocket;
}

/** A running fake. Disposal closes every link and the port. */
export class FakeDistrict implements AsyncDisposable {
  readonly key: SigningKey = SigningKey.generate();
  readonly events: ReceivedEvent[] = [];
  readonly statuses: BoxStatus[] = [];
  readonly faults: DistrictFaults = {};
  readonly batches: LaneBatch[] = [];
  /** Compressed bytes of all uploads. */
  uploadBytes = 0;
  uploads = 0;
  policy: PolicyMessage | undefined;
  readonly #clock: Clock;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #tokens = new Map<string, { state: "fresh" | "used" | "expired"; key?: string }>();
  readonly #boxes = new Map<string, Uint8Array>();
  readonly #lanes = new Map<string, StoredLane>();
  readonly #links = new Set<OpenLink>();

  /** Listens on a free port of the loopback. */
  constructor(clock: Clock, certificate: TestCertificate = GOOD_CERTIFICATE, port = 0) {
    this.#clock = clock;
    this.#server = Deno.serve({
      hostname: "127.0.0.1",
      port,
      cert: certificate.cert,
      key: certificate.key,
      onListen: () => {},
    }, (request) => this.#handle(request));
  }

  /** Where it listens. */
  get url(): string {
    return `https://127.0.0.1:${this.#server.addr.port}`;
  }

  /** The district's time. */
  nowMs(): number {
    return this.#clock.wallMs() + (this.faults.timeErrorMs ?? 0);
  }

  /** A new token, in the state wanted. */
  token(state: "fresh" | "used" | "expired" = "fresh"): string {
    const secret = newTokenSecret();
    this.#tokens.set(secret, { state });
    return makeToken(secret, TEST_CA_PEM);
  }

  /** Knows a box without its enrolment. */
  admit(publicKey: Uint8Array): void {
    this.#boxes.set(boxIdOf(publicKey), publicKey);
  }

  /** How far a lane is stored. */
  seq(boxId: string, lane: string): number {
    return this.#lanes.get(`${boxId} ${lane}`)?.seq ?? 0;
  }

  /** Takes a lane back to an earlier state, as a restored backup does. */
  rewind(boxId: string, lane: string, seq: number, hash: Uint8Array): void {
    const stored = this.#lanes.get(`${boxId} ${lane}`);
    if (stored) Object.assign(stored, { seq, hash });
    const kept = this.events.filter((e) => e.lane !== lane || e.seq <= seq);
    this.events.splice(0, this.events.length, ...kept);
  }

  /** How many links are up. */
  get links(): number {
    return this.#links.size;
  }

  /** Sends a signed message down every link of the box; returns the bytes, for a replay. */
  send(payload: unknown, key: SigningKey = this.key): Uint8Array<ArrayBuffer> {
    const bytes = signEnvelope(key, payload);
    this.sendRaw(bytes);
    return bytes;
  }

  /** Sends any bytes down every link. */
  sendRaw(bytes: Uint8Array<ArrayBuffer>): void {
    for (const { socket } of this.#links) socket.send(bytes);
  }

  /** Cuts every link. */
  cutLinks(): void {
    for (const { socket } of this.#links) socket.close();
  }

  /** Repeats the hello on every link. */
  hello(): void {
    for (const link of this.#links) link.socket.send(this.#helloBytes(link));
  }

  /** Closes every link and the port. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.cutLinks();
    await this.#server.shutdown();
  }

  #helloBytes(link: OpenLink): Uint8Array<ArrayBuffer> {
    return signEnvelope(this.faults.wrongKey ? SigningKey.generate() : this.key, {
      kind: "hello",
      boxId: link.boxId,
      nonce: link.nonce,
      serverWallMs: this.nowMs(),
      policyVersion: this.policy?.version ?? 0,
    });
  }

  async #handle(request: Request): Promise<Response> {
    const intercepted = this.faults.intercept?.(request);
    if (intercepted !== undefined) return intercepted;
    const { pathname } = new URL(request.url);
    if (pathname === "/api/box/v1/ca.pem") return new Response(TEST_CA_PEM);
    const body = new Uint8Array(await request.arrayBuffer());
    const signature = requestSignatureOf(request.headers);
    const answer = (status: number, bytes: Uint8Array<ArrayBuffer>, headers = {}) =>
      new Response(status === 304 ? null : bytes, {
        status,
        headers: {
          ...headers,
          ...signResponse(
            { status, body: bytes },
            signature,
            this.faults.wrongKey ? SigningKey.generate() : this.key,
            this.nowMs(),
          ),
        },
      });
    const refuse = (status: number, error: RefusalCode, headers = {}) => {
      const refusal: Refusal = { error, detail: `test: ${error}`, serverWallMs: this.nowMs() };
      return answer(status, encodeCbor(refusal), headers);
    };
    try {
      const { refuse: fault } = this.faults;
      if (fault) {
        return refuse(
          fault.status,
          fault.error,
          fault.retryAfterS === undefined ? {} : { "retry-after": String(fault.retryAfterS) },
        );
      }
      const parts = { method: request.method, url: request.url, headers: request.headers, body };
      if (pathname === "/api/box/v1/enrol") {
        return await this.#enrol(parts, answer, refuse);
      }
      const verified = await verifyRequest(parts, (id) => this.#boxes.get(id), this.nowMs());
      if (pathname === "/api/box/v1/link") return this.#link(request, verified);
      if (pathname === "/api/box/v1/policy") {
        if (this.policy === undefined) return refuse(404, "not-found");
        if (request.headers.get("if-none-match") === `"${this.policy.version}"`) {
          return answer(304, new Uint8Array());
        }
        return answer(200, signEnvelope(this.key, this.policy));
      }
      const raw = await decompress(body, "upload", WIRE_LIMITS.uploadDecodedBytesMax);
      const upload = parseUploadRequest(
        decodeCbor(raw, "upload", WIRE_LIMITS.uploadDecodedBytesMax),
      );
      this.uploads++;
      this.uploadBytes += body.length;
      const acks = upload.batches.map((batch) => this.#store(verified.boxId, batch));
      if (this.faults.delayMs) {
        await this.#clock.sleep(this.faults.delayMs, new AbortController().signal);
      }
      if (this.faults.loseAnswer?.()) return new Response("lost", { status: 502 });
      return answer(200, encodeCbor({ acks }));
    } catch (error) {
      if (error instanceof HttpSignatureError) {
        return refuse(
          401,
          error.kind === "clock-skew"
            ? "clock-skew"
            : error.kind === "unknown-key"
            ? "unknown-box"
            : "wrong-signature",
        );
      }
      if (error instanceof WireError) return refuse(400, "malformed");
      throw error;
    }
  }

  async #enrol(
    parts: { method: string; url: string; headers: Headers; body: Uint8Array },
    answer: (status: number, bytes: Uint8Array<ArrayBuffer>) => Response,
    refuse: (status: number, error: RefusalCode) => Response,
  ): Promise<Response> {
    const { secret, publicKey } = parseEnrolRequest(decodeCbor(parts.body, "enrolment", 4096));
    const { boxId } = await verifyRequest(parts, () => publicKey, this.nowMs());
    const token = this.#tokens.get(secret);
    if (token === undefined) return refuse(403, "token-unknown");
    if (token.state === "expired") return refuse(410, "token-expired");
    if (token.state === "used" && token.key !== boxId) return refuse(410, "token-used");
    Object.assign(token, { state: "used", key: boxId });
    this.admit(publicKey);
    return answer(
      200,
      encodeCbor({ boxId, districtKey: this.key.publicKey, districtName: "Test district" }),
    );
  }

  #link(request: Request, by: { readonly boxId: string; readonly nonce: string }): Response {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.binaryType = "arraybuffer";
    const link = { boxId: by.boxId, nonce: by.nonce, socket };
    socket.onopen = () => {
      this.#links.add(link);
      socket.send(this.#helloBytes(link));
    };
    socket.onmessage = ({ data }) =>
      this.statuses.push(
        parseBoxStatus(decodeCbor(new Uint8Array(data), "status", WIRE_LIMITS.linkMessageBytesMax)),
      );
    socket.onclose = () => this.#links.delete(link);
    socket.onerror = () => this.#links.delete(link);
    return response;
  }

  #store(boxId: string, batch: LaneBatch): LaneAck {
    const { lane, epoch } = batch;
    this.batches.push(batch);
    const id = `${boxId} ${lane}`;
    let stored = this.#lanes.get(id);
    if (stored === undefined || stored.epoch < epoch) {
      stored = { epoch, seq: 0, hash: genesisHash(epoch, lane) };
      this.#lanes.set(id, stored);
    }
    const ack = (refused?: LaneAck["refused"]): LaneAck => ({
      lane,
      epoch,
      seq: stored.seq,
      ...(refused === undefined ? {} : { refused }),
    });
    const publicKey = this.#boxes.get(boxId)!;
    const last = batch.firstSeq + batch.events.length - 1;
    const head = { lane, epoch, seq: last, hash: batch.headHash };
    if (!verifySignature(publicKey, headStatement(boxId, head), batch.headSignature)) {
      return ack("chain-broken");
    }
    if (batch.firstSeq > stored.seq + 1) {
      if (batch.afterDrop !== true) return ack("gap");
      stored.seq = batch.firstSeq - 1;
      stored.hash = batch.prevHash;
    }
    let hash = batch.prevHash;
    let joined = batch.firstSeq === stored.seq + 1 && equal(hash, stored.hash);
    const fresh: ReceivedEvent[] = [];
    for (const [index, bytes] of batch.events.entries()) {
      const seq = batch.firstSeq + index;
      hash = chainHash(hash, bytes);
      if (seq === stored.seq) joined = equal(hash, stored.hash);
      if (seq <= stored.seq) continue;
      fresh.push({
        ...decodeEvent(bytes),
        boxId,
        lane,
        epoch,
        seq,
        receivedMs: this.#clock.monotonicMs(),
      });
    }
    if (!equal(hash, batch.headHash)) return ack("chain-broken");
    if (last <= stored.seq) return ack();
    if (!joined) return ack("chain-broken");
    stored.seq = last;
    stored.hash = hash;
    this.events.push(...fresh);
    return ack();
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
