import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { canonicalize } from "@tufjs/canonical-json";
import {
  Metadata,
  type Root,
  Signature,
  type Snapshot,
  type Targets,
  type Timestamp,
} from "@tufjs/models";
import type { RoleKey } from "./keys.ts";

/** The signed part of any role's metadata. */
export type Signed = Root | Targets | Snapshot | Timestamp;

/** The TUF specification that is written. */
export const SPEC_VERSION = "1.0.31";

/** A role's metadata with the signatures of `keys`. */
export async function signed<T extends Signed>(
  part: T,
  keys: readonly RoleKey[],
): Promise<Metadata<T>> {
  const metadata = new Metadata(part) as Metadata<T>;
  for (const key of keys) await addSignature(metadata as Metadata<Signed>, key);
  return metadata;
}

/** Adds the signature of `key`, or replaces it. */
export async function addSignature(metadata: Metadata<Signed>, key: RoleKey): Promise<void> {
  const bytes = Buffer.from(canonicalize(metadata.signed.toJSON()));
  const sig = (await key.sign(bytes)).toHex();
  const { keyID } = key.key;
  metadata.signatures[keyID] = new Signature({ keyID, sig });
}

/** Its bytes as they are stored and served. */
export function bytesOf(metadata: Metadata<Signed>): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(metadata.toJSON(), null, 1) + "\n");
}

/** Lower-case hex of the SHA-256 of `bytes`. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** `ms` since 1970 as TUF writes times: ISO 8601, UTC, whole seconds. */
export function tufTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}
