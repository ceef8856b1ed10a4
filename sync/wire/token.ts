/**
 * Enrolment tokens: `gh1.<secret>.<fingerprint>`, both base64url. The secret works once; the
 * fingerprint is the SHA-256 of the district's CA certificate, so that a box can tell its district
 * from somebody in between before it says anything.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash, randomBytes, X509Certificate } from "node:crypto";
import { WireError } from "./codec.ts";

/** A token's parts. */
export interface Token {
  /** 24 random bytes in base64url. */
  readonly secret: string;
  /** SHA-256 of the CA certificate in DER, 32 bytes. */
  readonly caFingerprint: Uint8Array;
}

const SECRET_BYTES = 24;
const TOKEN = /^gh1\.([A-Za-z0-9_-]{32})\.([A-Za-z0-9_-]{43})$/;

/**
 * SHA-256 of a PEM certificate's DER.
 *
 * @throws {@link WireError} when it is no certificate.
 */
export function caFingerprint(caPem: string): Uint8Array<ArrayBuffer> {
  let der: Uint8Array;
  try {
    der = new X509Certificate(caPem).raw;
  } catch (cause) {
    throw new WireError("CA certificate: not a certificate in PEM", { cause });
  }
  return new Uint8Array(createHash("sha256").update(der).digest());
}

/** A new secret for a token. Only its SHA-256 needs to be stored. */
export function newTokenSecret(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}

/** The token with `secret` for the district whose CA certificate is `caPem`. */
export function makeToken(secret: string, caPem: string): string {
  return `gh1.${secret}.${Buffer.from(caFingerprint(caPem)).toString("base64url")}`;
}

/**
 * Reads a token as a person pasted it.
 *
 * @throws {@link WireError} that says what to do.
 */
export function parseToken(text: string): Token {
  const match = TOKEN.exec(text.trim());
  if (match === null) {
    throw new WireError(
      "token: expected gh1.<32 characters>.<43 characters>; copy the whole token from the district's console",
    );
  }
  return {
    secret: match[1]!,
    caFingerprint: new Uint8Array(Buffer.from(match[2]!, "base64url")),
  };
}
