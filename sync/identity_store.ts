/**
 * Where a box keeps who it is: `DATA/identity/key.pk8` (its private key, mode 0600) and
 * `DATA/identity/district.json` (whom it belongs to). Each file is whole or not there at all, also
 * after a power cut.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { writeFileDurably } from "../hal/mod.ts";
import { boxIdOf, caFingerprint, SigningKey } from "./wire/mod.ts";
import { SyncError } from "./errors.ts";

/** Which district a box belongs to. */
export interface DistrictIdentity {
  /** `https://host:port`, without a path. */
  readonly url: string;
  readonly districtName: string;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly districtKey: Uint8Array;
  /** The CA certificate that enrolment pinned. */
  readonly caPem: string;
}

/** Who a box is, and whom it belongs to. */
export interface BoxIdentity extends DistrictIdentity {
  readonly boxId: string;
  readonly key: SigningKey;
}

/** A file of ours has a few hundred bytes; a CA certificate has a few thousand. */
const FILE_BYTES_MAX = 256 << 10;

const DistrictSchema = v.strictObject({
  schema: v.literal(1),
  boxId: v.string(),
  url: v.pipe(v.string(), v.url(), v.regex(/^https?:\/\/[^/]+$/)),
  districtName: v.string(),
  districtKey: v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]{43}=$/)),
  caPem: v.pipe(v.string(), v.check((pem) => caFingerprint(pem).length > 0)),
});

const keyPath = (dataDir: string) => join(dataDir, "identity", "key.pk8");
const districtPath = (dataDir: string) => join(dataDir, "identity", "district.json");

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    const bytes = await readFile(path);
    if (bytes.length > FILE_BYTES_MAX) throw new SyncError("identity", `${path} is too large`);
    return bytes;
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    if (error instanceof SyncError) throw error;
    throw new SyncError(
      "identity",
      `${path} cannot be read; check the owner of the data folder: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  writeFileDurably(path, content);
}

/** The box's key in `dataDir`; makes one, durably, when there is none. @throws {@link SyncError} `identity` */
export async function loadOrMakeKey(dataDir: string): Promise<SigningKey> {
  const path = keyPath(dataDir);
  const bytes = await readIfThere(path);
  if (bytes === undefined) {
    const key = SigningKey.generate();
    await writeDurably(path, key.pkcs8());
    return key;
  }
  try {
    return SigningKey.fromPkcs8(bytes);
  } catch (cause) {
    throw new SyncError(
      "identity",
      `${path} is damaged; move it away and enrol this box again`,
      { cause },
    );
  }
}

/** Stores which district the box with `key` belongs to. */
export async function saveDistrict(
  dataDir: string,
  key: SigningKey,
  district: DistrictIdentity,
): Promise<void> {
  const json = JSON.stringify({
    schema: 1,
    boxId: boxIdOf(key.publicKey),
    url: district.url,
    districtName: district.districtName,
    districtKey: Buffer.from(district.districtKey).toString("base64"),
    caPem: district.caPem,
  });
  await writeDurably(districtPath(dataDir), `${json}\n`);
}

/**
 * Who this box is, or `undefined` when it was never enrolled.
 *
 * @throws {@link SyncError} `identity` when a file is damaged; it says what to do.
 */
export async function loadIdentity(dataDir: string): Promise<BoxIdentity | undefined> {
  const path = districtPath(dataDir);
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  const damaged = (cause: unknown) =>
    new SyncError("identity", `${path} is damaged; enrol this box again`, { cause });
  let stored: v.InferOutput<typeof DistrictSchema>;
  try {
    stored = v.parse(DistrictSchema, JSON.parse(new TextDecoder().decode(bytes)));
  } catch (cause) {
    throw damaged(cause);
  }
  const key = await loadOrMakeKey(dataDir);
  if (boxIdOf(key.publicKey) !== stored.boxId) {
    throw damaged(new Error("it belongs to another key"));
  }
  return {
    boxId: stored.boxId,
    key,
    url: stored.url,
    districtName: stored.districtName,
    districtKey: new Uint8Array(Buffer.from(stored.districtKey, "base64")),
    caPem: stored.caPem,
  };
}
