/**
 * Arithmetic of the OSDP secure channel (IEC 60839-11-5 annex D; SIA OSDP 2.2 annexes D and E):
 * keys of a session, cryptograms, message authentication and encryption, all on AES-128. Nothing
 * here remembers anything.
 *
 * @module
 */
import { createCipheriv, createDecipheriv, timingSafeEqual } from "node:crypto";

/** AES-128 works on blocks of 16 bytes, and its keys have as many. */
export const BLOCK_BYTES = 16;
/** Random numbers of either side. */
export const RANDOM_BYTES = 8;
/** How much of a MAC goes over the wire. */
const MAC_WIRE_BYTES = 4;
const PAD = 0x80;

/** The default key, which everybody knows. It protects nothing. */
export const SCBK_D: Uint8Array = Uint8Array.from({ length: BLOCK_BYTES }, (_, i) => 0x30 + i);

/** Keys of one session, 16 bytes each. */
export interface SessionKeys {
  /** Encrypts data and makes cryptograms. */
  readonly enc: Uint8Array;
  /** Authenticates every block of a message but the last. */
  readonly mac1: Uint8Array;
  /** Authenticates the last block. */
  readonly mac2: Uint8Array;
}

/** Keys of a session from the base key and the controller's random number (annex D.4.1). */
export function sessionKeys(baseKey: Uint8Array, controllerRandom: Uint8Array): SessionKeys {
  const derive = (which: number) => {
    const block = new Uint8Array(BLOCK_BYTES);
    block.set([0x01, which]);
    block.set(controllerRandom.subarray(0, 6), 2);
    return ecb(baseKey, block);
  };
  return { enc: derive(0x82), mac1: derive(0x01), mac2: derive(0x02) };
}

/** What a reader proves itself with (CCRYPT, annex D.4.3). */
export function clientCryptogram(
  keys: SessionKeys,
  controllerRandom: Uint8Array,
  readerRandom: Uint8Array,
): Uint8Array {
  return ecb(keys.enc, joined(controllerRandom, readerRandom));
}

/** What the controller proves itself with (SCRYPT, annex D.4.4). */
export function serverCryptogram(
  keys: SessionKeys,
  controllerRandom: Uint8Array,
  readerRandom: Uint8Array,
): Uint8Array {
  return ecb(keys.enc, joined(readerRandom, controllerRandom));
}

/** The MAC that the first command of a session is chained to (RMAC_I, annex D.4.5). */
export function initialReplyMac(keys: SessionKeys, server: Uint8Array): Uint8Array {
  return ecb(keys.mac2, ecb(keys.mac1, server));
}

/**
 * The whole MAC, 16 bytes, of a frame from SOM through its data (annex D.5.1).
 *
 * @param chained the whole MAC of the other side's last frame.
 */
export function frameMac(
  keys: SessionKeys,
  chained: Uint8Array,
  covered: Uint8Array,
): Uint8Array {
  const message = covered.length % BLOCK_BYTES === 0 ? covered : padded(covered);
  const lastAt = message.length - BLOCK_BYTES;
  let iv = chained;
  if (lastAt > 0) iv = cbc(keys.mac1, chained, message.subarray(0, lastAt)).subarray(-BLOCK_BYTES);
  return cbc(keys.mac2, iv, message.subarray(lastAt));
}

/** What of a MAC goes over the wire. */
export function wireMac(mac: Uint8Array): Uint8Array {
  return mac.subarray(0, MAC_WIRE_BYTES);
}

/** Encrypts data, padding it always (annex D.5.2). `chained` is as for {@link frameMac}. */
export function encryptData(
  keys: SessionKeys,
  chained: Uint8Array,
  data: Uint8Array,
): Uint8Array {
  return cbc(keys.enc, inverted(chained), padded(data));
}

/** Decrypts data and takes the padding off; `undefined` when there is none or a block is cut. */
export function decryptData(
  keys: SessionKeys,
  chained: Uint8Array,
  data: Uint8Array,
): Uint8Array | undefined {
  if (data.length === 0 || data.length % BLOCK_BYTES !== 0) return undefined;
  const decipher = createDecipheriv("aes-128-cbc", keys.enc, inverted(chained));
  decipher.setAutoPadding(false);
  const clear = joined(decipher.update(data), decipher.final());
  const end = clear.findLastIndex((byte) => byte !== 0);
  if (end < clear.length - BLOCK_BYTES || clear[end] !== PAD) return undefined;
  return clear.slice(0, end);
}

/** A reader's own key from a site's master key (annex D.3). `cuid` has 8 bytes. */
export function diversifiedKey(masterKey: Uint8Array, cuid: Uint8Array): Uint8Array {
  return ecb(masterKey, joined(cuid, inverted(cuid)));
}

/** Compares in constant time; different lengths are unequal. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function ecb(key: Uint8Array, block: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-128-ecb", key, null);
  cipher.setAutoPadding(false);
  return joined(cipher.update(block), cipher.final());
}

function cbc(key: Uint8Array, iv: Uint8Array, blocks: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-128-cbc", key, iv);
  cipher.setAutoPadding(false);
  return joined(cipher.update(blocks), cipher.final());
}

function padded(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array((Math.floor(data.length / BLOCK_BYTES) + 1) * BLOCK_BYTES);
  bytes.set(data);
  bytes[data.length] = PAD;
  return bytes;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}

function inverted(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte) => ~byte);
}
