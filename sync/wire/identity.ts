/**
 * Ed25519 identities (RFC 8032). A box is a key made on the box that never leaves it; a district is
 * a key that the box learns when it enrols. Public keys travel raw, 32 bytes.
 *
 * @module
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { Buffer } from "node:buffer";
import * as v from "valibot";
import { decodeCbor, encodeCbor, WireError } from "./codec.ts";

/** Length of a raw Ed25519 public key, in bytes. */
export const PUBLIC_KEY_BYTES = 32;
/** Length of an Ed25519 signature, in bytes. */
export const SIGNATURE_BYTES = 64;

/** DER of a SubjectPublicKeyInfo up to the raw key (RFC 8410, section 4). */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

/** What a signed envelope's signature covers before the payload: keeps it from passing as anything else. */
const ENVELOPE_CONTEXT = Buffer.from("gatehouse-envelope/1\n");

/** The id of the box with this raw public key: `bx-` and the first 20 hex digits of its SHA-256. */
export function boxIdOf(publicKey: Uint8Array): string {
  return `bx-${createHash("sha256").update(publicKey).digest("hex").slice(0, 20)}`;
}

/** What a box id looks like. */
export const BOX_ID_PATTERN = /^bx-[0-9a-f]{20}$/;

/** A private key. It shows its secret only to {@link SigningKey.pkcs8}. */
export class SigningKey {
  readonly #key: KeyObject;
  /** The raw public key, 32 bytes. */
  readonly publicKey: Uint8Array<ArrayBuffer>;

  private constructor(key: KeyObject) {
    this.#key = key;
    const spki = createPublicKey(key).export({ format: "der", type: "spki" });
    this.publicKey = new Uint8Array(spki.subarray(SPKI_PREFIX.length));
  }

  /** Makes a new key. */
  static generate(): SigningKey {
    const { privateKey } = generateKeyPairSync("ed25519");
    // Through PKCS #8 on purpose: what is stored later is what was used from the start.
    return SigningKey.fromPkcs8(privateKey.export({ format: "der", type: "pkcs8" }));
  }

  /**
   * Reads what {@link SigningKey.pkcs8} wrote.
   *
   * @throws {@link WireError} when the bytes are no Ed25519 key.
   */
  static fromPkcs8(der: Uint8Array): SigningKey {
    let key: KeyObject;
    try {
      key = createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" });
    } catch (cause) {
      throw new WireError("private key: not PKCS #8 in DER", { cause });
    }
    if (key.asymmetricKeyType !== "ed25519") throw new WireError("private key: not Ed25519");
    return new SigningKey(key);
  }

  /** The private key as PKCS #8 in DER (RFC 8410, section 7). Keep it in a file of mode 0600. */
  pkcs8(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#key.export({ format: "der", type: "pkcs8" }));
  }

  /** The signature over `bytes`, 64 bytes. */
  sign(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    return new Uint8Array(sign(null, bytes, this.#key));
  }
}

/** Whether `signature` is that of the raw key `publicKey` over `bytes`. False too for a malformed key or signature. */
export function verifySignature(
  publicKey: Uint8Array,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  try {
    const key = createPublicKey({
      key: Buffer.concat([SPKI_PREFIX, publicKey]),
      format: "der",
      type: "spki",
    });
    return verify(null, bytes, key, signature);
  } catch {
    return false;
  }
}

const EnvelopeSchema = v.strictObject({
  payload: v.instance(Uint8Array),
  signature: v.pipe(v.instance(Uint8Array), v.check((s) => s.length === SIGNATURE_BYTES)),
});

/** CBOR of a {@link import("./messages.ts").SignedEnvelope} around `payload`, signed with `key`. */
export function signEnvelope(key: SigningKey, payload: unknown): Uint8Array<ArrayBuffer> {
  const bytes = encodeCbor(payload);
  const signature = key.sign(Buffer.concat([ENVELOPE_CONTEXT, bytes]));
  return encodeCbor({ payload: bytes, signature });
}

/**
 * The payload of what {@link signEnvelope} made, verified but still to be parsed.
 *
 * @throws {@link WireError} when it is malformed, over `bytesMax`, or not signed by `publicKey`; `what` names it.
 */
export function openEnvelope(
  bytes: Uint8Array,
  publicKey: Uint8Array,
  what: string,
  bytesMax: number,
): unknown {
  const envelope = v.safeParse(EnvelopeSchema, decodeCbor(bytes, what, bytesMax));
  if (!envelope.success) throw new WireError(`${what}: not a signed envelope`);
  const { payload, signature } = envelope.output;
  if (!verifySignature(publicKey, Buffer.concat([ENVELOPE_CONTEXT, payload]), signature)) {
    throw new WireError(`${what}: not signed by the district that this box is enrolled with`);
  }
  return decodeCbor(payload, what, bytesMax);
}
