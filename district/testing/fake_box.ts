/**
 * A box for tests of the district: keys, chains and calls of `sync/wire`, and nothing of `sync/`, so
 * that a fault in the box's program cannot hide one in the district's.
 *
 * @module
 */
import type { Clock } from "../../hal/mod.ts";
import {
  type BoxEvent,
  boxIdOf,
  type BoxStatus,
  chainHash,
  compress,
  decodeCbor,
  type DownMessage,
  encodeCbor,
  encodeEvent,
  type EnrolRequest,
  genesisHash,
  headStatement,
  type Lane,
  LANE_OF,
  type LaneAck,
  type LaneBatch,
  openEnvelope,
  parseDownMessage,
  parseEnrolResponse,
  parseRefusal,
  parseToken,
  parseUploadResponse,
  type Refusal,
  type SignedRequest,
  SigningKey,
  signRequest,
  type UploadRequest,
  verifyResponse,
  WIRE_LIMITS,
} from "../../sync/wire/mod.ts";

/** A verified answer. */
export interface BoxAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** Of 400 and above. */
  readonly refusal: Refusal | undefined;
}

/** Changes a call before it is sent, or its signature. */
export interface Tamper {
  readonly createdMs?: number;
  readonly key?: SigningKey;
  readonly headers?: Readonly<Record<string, string>>;
  readonly sendBody?: Uint8Array<ArrayBuffer>;
  readonly signed?: SignedRequest;
}

interface LaneLog {
  readonly events: Uint8Array[];
  /** `hashes[n]` is the chain's after `n` events. */
  readonly hashes: Uint8Array[];
}

/** A box with a journal in memory. */
export class FakeBox implements Disposable {
  readonly key: SigningKey;
  readonly id: string;
  readonly url: string;
  readonly #http: Deno.HttpClient;
  readonly #lanes = new Map<Lane, LaneLog>();
  readonly #epoch: number;
  readonly #clock: Clock;
  districtKey: Uint8Array = new Uint8Array();
  /** The last call as it was signed, to be sent again. */
  lastSigned: SignedRequest | undefined;

  /** Talks to the district at `url`, whose CA is `caPem`. */
  constructor(
    url: string,
    caPem: string,
    clock: Clock,
    options: { key?: SigningKey; epoch?: number } = {},
  ) {
    this.#clock = clock;
    this.url = url;
    this.key = options.key ?? SigningKey.generate();
    this.id = boxIdOf(this.key.publicKey);
    this.#epoch = options.epoch ?? 1;
    this.#http = Deno.createHttpClient({ caCerts: [caPem], http2: false });
  }

  /** Writes events into the journal in memory. */
  record(events: readonly BoxEvent[], wallMs: number = 1_790_000_000_000): void {
    for (const event of events) {
      const log = this.#lane(LANE_OF[event.kind]);
      const bytes = encodeEvent({
        wallMs: wallMs + log.events.length,
        monotonicMs: log.events.length,
        boot: 1,
        clock: "synchronised",
        event,
      });
      log.events.push(bytes);
      log.hashes.push(chainHash(log.hashes.at(-1)!, bytes));
    }
  }

  /** How many events a lane has. */
  head(lane: Lane): number {
    return this.#lane(lane).events.length;
  }

  /** The batch of `count` events after `after`. */
  batch(lane: Lane, after: number, count: number): LaneBatch {
    const log = this.#lane(lane);
    const events = log.events.slice(after, after + count);
    const seq = after + events.length;
    const headHash = log.hashes[seq]!;
    const statement = headStatement(this.id, { lane, epoch: this.#epoch, seq, hash: headHash });
    return {
      lane,
      epoch: this.#epoch,
      firstSeq: after + 1,
      prevHash: log.hashes[after]!,
      events,
      headHash,
      headSignature: this.key.sign(statement),
    };
  }

  /** Enrols with a token. */
  async enrol(token: string, name: string = "east-gate"): Promise<BoxAnswer> {
    const { secret } = parseToken(token);
    const request: EnrolRequest = { secret, publicKey: this.key.publicKey, name };
    const answer = await this.call("POST", "enrol", encodeCbor(request));
    if (answer.status === 200) {
      this.districtKey = parseEnrolResponse(decodeCbor(answer.body, "answer", 4096)).districtKey;
    }
    return answer;
  }

  /** Uploads batches; the acks, or what was refused. */
  async upload(batches: readonly LaneBatch[], tamper: Tamper = {}): Promise<readonly LaneAck[]> {
    const request: UploadRequest = { batches };
    const answer = await this.call("POST", "events", await compress(encodeCbor(request)), tamper);
    if (answer.refusal !== undefined) throw new Error(answer.refusal.error);
    return parseUploadResponse(decodeCbor(answer.body, "answer", 65_536)).acks;
  }

  /** Makes a signed call, and verifies the answer once the district is known. */
  async call(
    method: "GET" | "POST",
    path: string,
    body: Uint8Array<ArrayBuffer> = new Uint8Array(),
    tamper: Tamper = {},
  ): Promise<BoxAnswer> {
    const url = `${this.url}/api/box/v1/${path}`;
    const signed = tamper.signed ??
      signRequest(
        { method, url, body },
        this.id,
        tamper.key ?? this.key,
        tamper.createdMs ?? this.#clock.wallMs(),
      );
    this.lastSigned = signed;
    const response = await fetch(url, {
      method,
      headers: {
        "content-type": "application/cbor",
        ...(path === "events" ? { "content-encoding": "zstd" } : {}),
        ...signed.headers,
        ...tamper.headers,
      },
      ...(method === "POST" ? { body: tamper.sendBody ?? body } : {}),
      client: this.#http,
    });
    const bytes = await response.bytes();
    const answer = { status: response.status, headers: response.headers, body: bytes };
    if (this.districtKey.length > 0) verifyResponse(answer, signed.signature, this.districtKey);
    const refusal = response.status < 400
      ? undefined
      : parseRefusal(decodeCbor(bytes, "refusal", 65_536));
    return { ...answer, refusal };
  }

  /** Opens a link; its messages come verified and parsed. */
  async link(): Promise<FakeLink> {
    const url = `${this.url}/api/box/v1/link`;
    const signed = signRequest(
      { method: "GET", url, body: new Uint8Array() },
      this.id,
      this.key,
      this.#clock.wallMs(),
    );
    const socket = new WebSocket(url.replace("https", "wss"), {
      headers: signed.headers,
      client: this.#http,
    });
    socket.binaryType = "arraybuffer";
    const link = new FakeLink(socket, this.districtKey, signed.nonce);
    await link.opened;
    return link;
  }

  /** Closes connections. */
  [Symbol.dispose](): void {
    this.#http.close();
  }

  #lane(lane: Lane): LaneLog {
    let log = this.#lanes.get(lane);
    if (log === undefined) {
      log = { events: [], hashes: [genesisHash(this.#epoch, lane)] };
      this.#lanes.set(lane, log);
    }
    return log;
  }
}

/** A box's end of a link. */
export class FakeLink {
  readonly socket: WebSocket;
  readonly nonce: string;
  readonly opened: Promise<void>;
  readonly closed: Promise<CloseEvent>;
  readonly #messages: DownMessage[] = [];
  #wake: () => void = () => {};

  /** Wraps a socket that is being opened. */
  constructor(socket: WebSocket, districtKey: Uint8Array, nonce: string) {
    this.socket = socket;
    this.nonce = nonce;
    this.opened = new Promise((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = (event) => reject(new Error((event as ErrorEvent).message));
    });
    this.closed = new Promise((resolve) => socket.onclose = resolve);
    socket.onmessage = ({ data }) => {
      const bytes = new Uint8Array(data as ArrayBuffer);
      const limit = WIRE_LIMITS.linkMessageBytesMax;
      this.#messages.push(parseDownMessage(openEnvelope(bytes, districtKey, "message", limit)));
      this.#wake();
    };
  }

  /** The next message. */
  async next(): Promise<DownMessage> {
    while (this.#messages.length === 0) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return this.#messages.shift()!;
  }

  /** Sends a status. */
  send(status: BoxStatus): void {
    this.socket.send(encodeCbor(status));
  }

  /** Closes and waits for it. */
  async close(): Promise<void> {
    this.socket.close(1000);
    await this.closed;
  }
}

/** `count` grants, each different. */
export function grants(count: number, from: number = 0): BoxEvent[] {
  return Array.from({ length: count }, (_, index) => ({
    kind: "access.granted",
    door: "main",
    reader: "in",
    credential: from + index + 1,
    cardholder: 1,
  }));
}
