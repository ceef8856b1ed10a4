import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import {
  clientCryptogram,
  decryptData,
  diversifiedKey,
  encryptData,
  frameMac,
  initialReplyMac,
  sameBytes,
  SCBK_D,
  serverCryptogram,
  sessionKeys,
  wireMac,
} from "./secure_crypto.ts";

// SIA OSDP 2.2, annex E: key SCBK-D.
const A = Uint8Array.fromHex("b0b1b2b3b4b5b6b7");
const B = Uint8Array.fromHex("a0a1a2a3a4a5a6a7");
const KEYS = sessionKeys(SCBK_D, A);

Deno.test("the published vectors of a session's keys and cryptograms hold", () => {
  assert.equal(SCBK_D.toHex(), "303132333435363738393a3b3c3d3e3f");
  assert.equal(KEYS.mac1.toHex(), "5e86c676603bdee2d8beafe178637332");
  assert.equal(KEYS.mac2.toHex(), "6fda86e857777e81132035758239172e");
  assert.equal(KEYS.enc.toHex(), "bf8dc2a8329acb8c67c6d0cd9a451682");
  const server = serverCryptogram(KEYS, A, B);
  assert.equal(server.toHex(), "26d3356e07762d262801fc8e6665a891");
  assert.equal(clientCryptogram(KEYS, A, B).toHex(), "fde5d2f428ec16312471ea3c02bd7796");
  assert.equal(initialReplyMac(KEYS, server).toHex(), "b2a30057eb98ba2229ec1f875662b524");
});

/** One block, without any chaining of its own, to check chains with. */
function block(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false);
  return Uint8Array.from([...cipher.update(bytes), ...cipher.final()]);
}
const xor = (a: Uint8Array, b: Uint8Array) => a.map((byte, i) => byte ^ b[i]!);

Deno.test("a MAC chains with the first key, ends with the second, and pads only what is cut", () => {
  const iv = initialReplyMac(KEYS, serverCryptogram(KEYS, A, B));
  const aligned = Uint8Array.from({ length: 32 }, (_, i) => i * 7);
  const first = block(KEYS.mac1, xor(iv, aligned.slice(0, 16)));
  const wanted = block(KEYS.mac2, xor(first, aligned.slice(16)));
  assert.equal(frameMac(KEYS, iv, aligned).toHex(), wanted.toHex());
  assert.equal(wireMac(wanted).toHex(), wanted.slice(0, 4).toHex());
  const short = Uint8Array.of(1, 2, 3);
  const filled = new Uint8Array(16);
  filled.set([1, 2, 3, 0x80]);
  assert.equal(
    frameMac(KEYS, iv, short).toHex(),
    block(KEYS.mac2, xor(iv, filled)).toHex(),
  );
});

Deno.test("data of every length come back, always padded, chained to the inverted MAC", () => {
  const iv = Uint8Array.from({ length: 16 }, (_, i) => i);
  for (let length = 0; length <= 48; length++) {
    const data = Uint8Array.from({ length }, (_, i) => i === length - 1 ? 0 : 0x80);
    const cipher = encryptData(KEYS, iv, data);
    assert.equal(cipher.length, (Math.floor(length / 16) + 1) * 16);
    assert.equal(decryptData(KEYS, iv, cipher)?.toHex(), data.toHex());
  }
  const one = Uint8Array.of(0x42);
  const filled = new Uint8Array(16);
  filled.set([0x42, 0x80]);
  assert.equal(
    encryptData(KEYS, iv, one).toHex(),
    block(KEYS.enc, xor(iv.map((byte) => ~byte), filled)).toHex(),
  );
});

Deno.test("data without padding, or of a cut block, are none", () => {
  const iv = new Uint8Array(16);
  const bare = block(KEYS.enc, xor(new Uint8Array(16).fill(0xff), new Uint8Array(16)));
  assert.equal(decryptData(KEYS, iv, bare), undefined);
  assert.equal(decryptData(KEYS, iv, bare.slice(1)), undefined);
  assert.equal(decryptData(KEYS, iv, new Uint8Array()), undefined);
});

Deno.test("a reader's own key is made of the master key and its number, upright and inverted", () => {
  const cuid = Uint8Array.fromHex("0a00170101000000");
  assert.equal(
    diversifiedKey(SCBK_D, cuid).toHex(),
    block(SCBK_D, Uint8Array.fromHex("0a00170101000000f5ffe8fefeffffff")).toHex(),
  );
});

Deno.test("bytes of different length are unequal, not a fault", () => {
  assert.equal(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2)), true);
  assert.equal(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)), false);
  assert.equal(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1)), false);
});
