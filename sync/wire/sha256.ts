/**
 * SHA-256 (FIPS 180-4) of short messages.
 *
 * The chain hashes every event twice, at the box and at the district, over some 80 bytes: there a
 * call of `node:crypto` costs several times the hash itself. Anything longer goes to `node:crypto`.
 *
 * @module
 */
import { createHash } from "node:crypto";

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
/** Longest message that is hashed here; beyond it, the call's cost no longer matters. */
const SHORT_BYTES_MAX = 1024;
/** A one bit and the length in bits, after the message (section 5.1.1). */
const PADDING_BYTES_MIN = 9;

/** Section 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const K = Int32Array.of(
  0x428a2f98,
  0x71374491,
  0xb5c0fbcf,
  0xe9b5dba5,
  0x3956c25b,
  0x59f111f1,
  0x923f82a4,
  0xab1c5ed5,
  0xd807aa98,
  0x12835b01,
  0x243185be,
  0x550c7dc3,
  0x72be5d74,
  0x80deb1fe,
  0x9bdc06a7,
  0xc19bf174,
  0xe49b69c1,
  0xefbe4786,
  0x0fc19dc6,
  0x240ca1cc,
  0x2de92c6f,
  0x4a7484aa,
  0x5cb0a9dc,
  0x76f988da,
  0x983e5152,
  0xa831c66d,
  0xb00327c8,
  0xbf597fc7,
  0xc6e00bf3,
  0xd5a79147,
  0x06ca6351,
  0x14292967,
  0x27b70a85,
  0x2e1b2138,
  0x4d2c6dfc,
  0x53380d13,
  0x650a7354,
  0x766a0abb,
  0x81c2c92e,
  0x92722c85,
  0xa2bfe8a1,
  0xa81a664b,
  0xc24b8b70,
  0xc76c51a3,
  0xd192e819,
  0xd6990624,
  0xf40e3585,
  0x106aa070,
  0x19a4c116,
  0x1e376c08,
  0x2748774c,
  0x34b0bcb5,
  0x391c0cb3,
  0x4ed8aa4a,
  0x5b9cca4f,
  0x682e6ff3,
  0x748f82ee,
  0x78a5636f,
  0x84c87814,
  0x8cc70208,
  0x90befffa,
  0xa4506ceb,
  0xbef9a3f7,
  0xc67178f2,
);

/** Section 5.3.3: the same of the square roots of the first eight. */
const INITIAL = Int32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
);

// Scratch space, made once: hashing never waits, so that nobody else can come between.
const buffer = new Uint8Array(SHORT_BYTES_MAX + BLOCK_BYTES + PADDING_BYTES_MIN);
const view = new DataView(buffer.buffer);
const schedule = new Int32Array(64);
const state = new Int32Array(8);

/** Section 6.2.2, over the block at `at`. */
function compressBlock(at: number): void {
  const w = schedule;
  for (let t = 0; t < 16; t++) w[t] = view.getInt32(at + t * 4);
  for (let t = 16; t < 64; t++) {
    const x = w[t - 15]!;
    const y = w[t - 2]!;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[t] = (w[t - 16]! + s0 + w[t - 7]! + s1) | 0;
  }
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  let e = state[4]!;
  let f = state[5]!;
  let g = state[6]!;
  let h = state[7]!;
  for (let t = 0; t < 64; t++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[t]! + w[t]!) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
  state[4]! += e;
  state[5]! += f;
  state[6]! += g;
  state[7]! += h;
}

/**
 * Hashes a chain: from `previous` (32 bytes), each message's hash covers the hash before it and the
 * message. Returns the last hash. The hash in between never leaves the words it is made of.
 */
export function sha256Chain(
  previous: Uint8Array,
  messages: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  let hash = previous;
  // Whether the last hash is in `state`, and not yet in `hash`.
  let isInState = false;
  for (const message of messages) {
    const length = DIGEST_BYTES + message.length;
    if (length > SHORT_BYTES_MAX) {
      hash = sha256Of(isInState ? digestOf(state) : hash, message);
      isInState = false;
      continue;
    }
    if (isInState) { for (let i = 0; i < 8; i++) view.setInt32(i * 4, state[i]!); }
    else buffer.set(hash, 0);
    buffer.set(message, DIGEST_BYTES);
    compressPadded(length);
    isInState = true;
  }
  return isInState ? digestOf(state) : new Uint8Array(hash);
}

/** SHA-256 of `first` and then `second`. */
export function sha256Of(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const length = first.length + second.length;
  if (length > SHORT_BYTES_MAX) {
    return new Uint8Array(createHash("sha256").update(first).update(second).digest());
  }
  buffer.set(first, 0);
  buffer.set(second, first.length);
  compressPadded(length);
  return digestOf(state);
}

/** Pads the first `length` bytes of the buffer and hashes them into the state (section 6.2). */
function compressPadded(length: number): void {
  const end = Math.ceil((length + PADDING_BYTES_MIN) / BLOCK_BYTES) * BLOCK_BYTES;
  buffer.fill(0, length, end);
  buffer[length] = 0x80;
  view.setUint32(end - 4, length * 8);
  state.set(INITIAL);
  for (let at = 0; at < end; at += BLOCK_BYTES) compressBlock(at);
}

function digestOf(words: Int32Array): Uint8Array<ArrayBuffer> {
  const digest = new Uint8Array(DIGEST_BYTES);
  for (let i = 0; i < 8; i++) {
    const word = words[i]!;
    digest[i * 4] = word >>> 24;
    digest[i * 4 + 1] = word >>> 16;
    digest[i * 4 + 2] = word >>> 8;
    digest[i * 4 + 3] = word;
  }
  return digest;
}
