/**
 * Messages between a box and its district. Requests and responses are CBOR, compressed with zstd
 * where said; each is signed (RFC 9421, `http_signature.ts`). What comes down by WebSocket is a
 * {@link SignedEnvelope}.
 *
 * | call | request | response |
 * | --- | --- | --- |
 * | `GET /api/box/v1/ca.pem` | – | the district's CA certificate; verified by the token's fingerprint |
 * | `POST /api/box/v1/enrol` | {@link EnrolRequest}, signed with the key in it | {@link EnrolResponse}, signed with the key in it |
 * | `POST /api/box/v1/events` | {@link UploadRequest}, zstd; without batches it is a probe | {@link UploadResponse} |
 * | `GET /api/box/v1/policy` | – | {@link SignedEnvelope} of a {@link PolicyMessage}, or 304 for `If-None-Match: "version"` |
 * | `GET /api/box/v1/link` | WebSocket upgrade | {@link DownMessage}s down, {@link BoxStatus}es up |
 *
 * Bodies are `application/cbor`; one in zstd says `content-encoding: zstd`, and its digest covers the
 * compressed bytes. Every answer of 400 and above is a {@link Refusal}, signed like any other, bound
 * to the request's signature even where that did not verify. A box believes signed answers only: an
 * unsigned one comes from something in between.
 *
 * A district makes its certificates valid from 1970 to 9999: the pin by fingerprint is what is
 * trusted, and a box without a battery clock must get through TLS before it can learn the time.
 *
 * @module
 */
import type { DoorMode, Lane } from "./events.ts";

/** Bounds of the wire, with the reason for each. */
export const WIRE_LIMITS: {
  readonly uploadBytesMax: number;
  readonly uploadDecodedBytesMax: number;
  readonly batchEventsMax: number;
  readonly eventBytesMax: number;
  readonly linkMessageBytesMax: number;
  readonly policyBytesMax: number;
  readonly policyDecodedBytesMax: number;
  readonly commandLifeMsMax: number;
  readonly signatureSkewMsMax: number;
  readonly helloIntervalMs: number;
  readonly helloMissedMsMax: number;
} = {
  /** A compressed upload: 4,096 events at 25 bytes are 100 KiB; ten times that is hostile. */
  uploadBytesMax: 1 << 20,
  /** The same upload after zstd; stops a bomb. */
  uploadDecodedBytesMax: 8 << 20,
  /** Events of one lane in one upload: one fsync each side carries this many. */
  batchEventsMax: 4096,
  /** One event's CBOR: the largest kind has two ids of 64 characters and a detail of 500. */
  eventBytesMax: 2048,
  /** A status or a command; no list in it grows with the school. */
  linkMessageBytesMax: 64 << 10,
  /** 200,000 credentials compress to about 4 MB. */
  policyBytesMax: 32 << 20,
  /** The same after zstd. */
  policyDecodedBytesMax: 256 << 20,
  /** A command older than this is never carried out; bounds the memory of ids that were seen. */
  commandLifeMsMax: 24 * 3600 * 1000,
  /** A request whose `created` is further off is refused with the district's signed time. */
  signatureSkewMsMax: 5 * 60 * 1000,
  /** A district says hello again this often on each link: a box sees no pings, and must notice a dead peer. */
  helloIntervalMs: 20_000,
  /** A box gives a link up that was silent for this long: three hellos, less one's delay. */
  helloMissedMsMax: 55_000,
};

/** CBOR bytes and the district's Ed25519 signature (64 bytes) over `gatehouse-envelope/1\n` and them. */
export interface SignedEnvelope {
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

/** What a box says of itself when it enrols. Sent once, over a connection pinned by the token. */
export interface EnrolRequest {
  /** The secret part of the token; works once, but gives the same answer again to the same key: the first may have been lost. */
  readonly secret: string;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** `box.name` of `box.yaml`, or the host's name. */
  readonly name: string;
}

/** The district's answer: who it is, and who the box is to it. */
export interface EnrolResponse {
  /** `boxIdOf(publicKey)`. */
  readonly boxId: string;
  /** The district's raw Ed25519 public key, 32 bytes: everything that comes down is signed with it. */
  readonly districtKey: Uint8Array;
  readonly districtName: string;
}

/** Consecutive events of one lane. */
export interface LaneBatch {
  readonly lane: Lane;
  readonly epoch: number;
  readonly firstSeq: number;
  /** Chain hash before the first event, 32 bytes. */
  readonly prevHash: Uint8Array;
  /** Each the CBOR of one recorded event, exactly as hashed. */
  readonly events: readonly Uint8Array[];
  /** Chain hash after the last event, 32 bytes. */
  readonly headHash: Uint8Array;
  /** Ed25519 over `headStatement(...)`: the box vouches for everything up to the head. */
  readonly headSignature: Uint8Array;
  /**
   * The events between the last one that the district has and `firstSeq` exist no more: the lane's
   * declared policy gave them up (a `journal.dropped` says which). The district notes the gap and
   * takes up the chain again at `prevHash`, instead of answering `gap`.
   */
  readonly afterDrop?: true;
}

/** An upload: at most one batch a lane, alarm first. */
export interface UploadRequest {
  readonly batches: readonly LaneBatch[];
}

/** Sent after the commit: how far each lane of the upload is stored. */
export interface UploadResponse {
  readonly acks: readonly LaneAck[];
}

/** How far a lane is stored at the district, or why its batch was refused. */
export interface LaneAck {
  readonly lane: Lane;
  readonly epoch: number;
  /** Highest seq stored; the next expected is one more. 0 when none. */
  readonly seq: number;
  /** Set when the batch was not taken: it starts past the next seq, or its chain does not join. */
  readonly refused?: "gap" | "chain-broken" | "malformed";
}

/** Why a district refuses a call, with the status it comes with. */
export const REFUSAL_CODES = [
  /** 400: no schema fits; 413 when it is too large. Sending it again will not help. */
  "malformed",
  /** 401: `created` is off by more than {@link WIRE_LIMITS.signatureSkewMsMax}; `serverWallMs` is right. */
  "clock-skew",
  /** 401: no such box. */
  "unknown-box",
  /** 401: the signature does not verify. */
  "wrong-signature",
  /** 401: this very request was made before. */
  "replayed",
  /** 403: an operator withdrew this box. It stops until it is enrolled again. */
  "revoked",
  /** 403: no such enrolment token. */
  "token-unknown",
  /** 410: the enrolment token was used before. */
  "token-used",
  /** 410: the enrolment token is too old. */
  "token-expired",
  /** 404: not there, for instance no policy yet. */
  "not-found",
  /** 429 or 503, with `Retry-After`. */
  "busy",
  /** 500. */
  "internal",
] as const;

/** One of {@link REFUSAL_CODES}. */
export type RefusalCode = typeof REFUSAL_CODES[number];

/** The body of every answer of 400 and above to a box. */
export interface Refusal {
  readonly error: RefusalCode;
  /** For a person. */
  readonly detail: string;
  /** The district's time. */
  readonly serverWallMs: number;
}

/** What a district can ask of a box. */
export type BoxCommand =
  | { readonly name: "door.open"; readonly door: string }
  | { readonly name: "door.mode"; readonly door: string; readonly mode: DoorMode }
  /** Ends an emergency that the button of `input` raised. */
  | { readonly name: "emergency.reset"; readonly input: string }
  /** Silences a siren or beacon until the next alarm. */
  | { readonly name: "signal.silence"; readonly signal: string };

/** What a command is for: the id of a door, an input or a signal. */
export function commandTarget(command: BoxCommand): string {
  switch (command.name) {
    case "door.open":
    case "door.mode":
      return command.door;
    case "emergency.reset":
      return command.input;
    case "signal.silence":
      return command.signal;
    default:
      return command satisfies never;
  }
}

/** First message on a link, and then every {@link WIRE_LIMITS.helloIntervalMs}. */
export interface HelloMessage {
  readonly kind: "hello";
  readonly boxId: string;
  /** The nonce of the upgrade request's signature: an old hello cannot be replayed. */
  readonly nonce: string;
  /** The district's time; the box judges expiry on this scale, whatever its own clock says. */
  readonly serverWallMs: number;
  /** 0 when the district has no policy yet. */
  readonly policyVersion: number;
}

/** There is a newer policy; fetch it. */
export interface PolicyAvailableMessage {
  readonly kind: "policy.available";
  readonly boxId: string;
  readonly version: number;
}

/** Do this, unless it has expired or was done before. */
export interface CommandMessage {
  readonly kind: "command";
  readonly boxId: string;
  /** Unique at the district; 1 to 64 characters. */
  readonly id: string;
  readonly issuedWallMs: number;
  readonly expiresWallMs: number;
  readonly command: BoxCommand;
}

/** What comes down a link, each in a {@link SignedEnvelope}. */
export type DownMessage = HelloMessage | PolicyAvailableMessage | CommandMessage;

/** A policy on its way to boxes, in a {@link SignedEnvelope}. */
export interface PolicyMessage {
  readonly kind: "policy";
  readonly version: number;
  /** zstd of the CBOR of a {@link import("./policy.ts").Policy}. */
  readonly document: Uint8Array;
}

/** What a box says of itself on its link: at once after a change, and every 10 s. */
export interface BoxStatus {
  readonly kind: "status";
  readonly name: string;
  readonly version: string;
  readonly policyVersion: number;
  readonly doors: readonly {
    readonly id: string;
    readonly mode: DoorMode;
    readonly unlocked: boolean;
    /** `undefined` without a door contact. */
    readonly open?: boolean;
    readonly alarm?: "forced" | "held";
  }[];
  readonly readers: readonly {
    readonly id: string;
    /** `undefined` for a reader of patrol tags. */
    readonly door?: string;
    readonly online: boolean;
  }[];
  /** Events not yet acknowledged by the district, over all lanes. */
  readonly backlogEvents: number;
  readonly rssBytes: number;
  readonly uptimeMs: number;
}
