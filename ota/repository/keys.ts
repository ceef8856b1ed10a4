import { Buffer } from "node:buffer";
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import { canonicalize } from "@tufjs/canonical-json";
import { Key } from "@tufjs/models";
import { writeFileDurably } from "../../hal/mod.ts";
import { RepositoryError } from "./errors.ts";

/** A key that can sign, wherever its secret is. */
export interface RoleKey {
  /** Its public half, as metadata names it. */
  readonly key: Key;
  /** The signature of `bytes`: 64 bytes of Ed25519, or ECDSA's in DER. */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** Shorter ones are guessed. The secret of a root key outlives every other secret of a district. */
export const PASSPHRASE_CHARS_MIN = 12;
/** Of a raw Ed25519 public key. */
const PUBLIC_BYTES = 32;
/** An encrypted PKCS#8 file of one Ed25519 key has some 300 bytes. */
const FILE_BYTES_MAX = 4_096;

/** A public key by its raw 32 bytes; its id is the SHA-256 of its canonical JSON (TUF 1.0 §4.2). */
export function publicKey(raw: Uint8Array): Key {
  if (raw.length !== PUBLIC_BYTES) {
    throw new RepositoryError("key", `an Ed25519 key has ${PUBLIC_BYTES} bytes, not ${raw.length}`);
  }
  const json = { keytype: "ed25519", scheme: "ed25519", keyval: { public: raw.toHex() } };
  const keyId = createHash("sha256").update(canonicalize(json)).digest("hex");
  return Key.fromJSON(keyId, json);
}

/**
 * An ECDSA P-256 key by its uncompressed point, 65 bytes (SEC 1, section 2.3.3): what tokens have.
 *
 * @throws {@link RepositoryError} `key`
 */
export function p256Key(point: Uint8Array): Key {
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((part) =>
    Buffer.from(part).toString("base64url")
  ) as [string, string];
  let pem: string;
  try {
    const key = createPublicKey({ key: { kty: "EC", crv: "P-256", x, y }, format: "jwk" });
    pem = key.export({ type: "spki", format: "pem" }) as string;
  } catch (cause) {
    throw new RepositoryError("key", "that is no point of the curve P-256", { cause });
  }
  const json = { keytype: "ecdsa", scheme: "ecdsa-sha2-nistp256", keyval: { public: pem } };
  const keyId = createHash("sha256").update(canonicalize(json)).digest("hex");
  return Key.fromJSON(keyId, json);
}

/** A public key as `gatehouse ota key show` prints it: 64 hex digits, or 130 of a token's. */
export function publicText({ keyType, keyVal }: Key): string {
  if (keyType === "ed25519") return keyVal.public as string;
  const { x, y } = createPublicKey(keyVal.public as string).export({ format: "jwk" });
  return [x, y].reduce<string>(
    (text, part) => text + Buffer.from(part!, "base64url").toString("hex"),
    "04",
  );
}

/** A public key by what {@link publicText} prints. @throws {@link RepositoryError} `key` */
export function publicKeyFromHex(hex: string): Key {
  if (/^04[0-9a-f]{128}$/.test(hex)) return p256Key(Uint8Array.fromHex(hex));
  if (/^[0-9a-f]{64}$/.test(hex)) return publicKey(Uint8Array.fromHex(hex));
  throw new RepositoryError(
    "key",
    "a public key is 64 hex digits, or 130 of a token's; see gatehouse ota key show",
  );
}

/**
 * Makes a key and writes it to `path`: PKCS#8 in PEM, encrypted by AES-256 under `passphrase`
 * (PBES2), mode 0600. Never overwrites a file.
 *
 * @throws {@link RepositoryError} `key`
 */
export function newKeyFile(path: string, passphrase: string): Key {
  if (passphrase.length < PASSPHRASE_CHARS_MIN) {
    throw new RepositoryError(
      "key",
      `a passphrase has at least ${PASSPHRASE_CHARS_MIN} characters`,
    );
  }
  if (exists(path)) {
    throw new RepositoryError("key", `${path} is there already; a key is never overwritten`);
  }
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({
    type: "pkcs8",
    format: "pem",
    cipher: "aes-256-cbc",
    passphrase,
  });
  writeFileDurably(path, pem as string);
  return publicKey(rawPublic(privateKey));
}

/** Opens a key made by {@link newKeyFile}. @throws {@link RepositoryError} `key` */
export function openKeyFile(path: string, passphrase: string): RoleKey {
  let secret: KeyObject;
  try {
    if (Deno.statSync(path).size > FILE_BYTES_MAX) throw new Error("it is too large for a key");
    const pem = Deno.readTextFileSync(path);
    if (!pem.startsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----")) {
      throw new Error("it is no key protected by a passphrase");
    }
    secret = createPrivateKey({ key: pem, passphrase });
  } catch (cause) {
    throw new RepositoryError(
      "key",
      `${path} cannot be opened: ${(cause as Error).message}; is the passphrase right?`,
      { cause },
    );
  }
  if (secret.asymmetricKeyType !== "ed25519") {
    throw new RepositoryError("key", `${path} holds no Ed25519 key`);
  }
  return {
    key: publicKey(rawPublic(secret)),
    sign: (bytes) => Promise.resolve(new Uint8Array(sign(null, bytes, secret))),
  };
}

function rawPublic(secret: KeyObject): Uint8Array {
  const { x } = createPublicKey(secret).export({ format: "jwk" });
  return new Uint8Array(Buffer.from(x!, "base64url"));
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
