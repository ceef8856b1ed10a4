/**
 * Where a reader's key comes from, and what may be one. No message in here ever shows a key.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { BLOCK_BYTES, sameBytes, SCBK_D } from "./secure_crypto.ts";
import type { KeySource } from "./secure_link.ts";

const KEY_TEXT = /^[0-9a-f]{32}$/i;

/** Why a key was not installed. */
export class OsdpKeyError extends Error {
  /** The reader `refused` it, or the time or the bus was over before it was there. */
  readonly kind: "refused" | "timeout" | "closed";

  /** Makes an error of `kind`. */
  constructor(kind: "refused" | "timeout" | "closed", message: string) {
    super(message);
    this.name = "OsdpKeyError";
    this.kind = kind;
  }
}

/** Why `text` is no key, without showing it; `undefined` when it is one. */
export function keyFault(text: string): string | undefined {
  if (!KEY_TEXT.test(text)) return "expected a key of 32 hex digits";
  if (sameBytes(Uint8Array.fromHex(text), SCBK_D)) {
    return "expected the reader's own key: this one is the default, which everybody knows";
  }
  return undefined;
}

/** Checks a key that is to be installed. @throws RangeError without the key in it. */
export function checkKey(key: Uint8Array): void {
  const fault = key.length === BLOCK_BYTES ? keyFault(key.toHex()) : "expected a key of 16 bytes";
  if (fault !== undefined) throw new RangeError(fault);
}

/**
 * The key of a reader's options, `undefined` without one. A key file is read for each handshake, so
 * that it can be put there or replaced while the box runs.
 */
export function keySource(
  { key, keyFile }: { readonly key?: string; readonly keyFile?: string },
): KeySource | undefined {
  if (key !== undefined) return () => Uint8Array.fromHex(key);
  if (keyFile === undefined) return undefined;
  return () => {
    const text = readFileSync(keyFile, "utf8").trim();
    const fault = keyFault(text);
    if (fault !== undefined) throw new RangeError(fault);
    return Uint8Array.fromHex(text);
  };
}
