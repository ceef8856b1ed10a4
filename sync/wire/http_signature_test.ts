import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPrivateKey, sign } from "node:crypto";
import { httpbis } from "http-message-signatures";
import {
  boxIdOf,
  contentDigest,
  HttpSignatureError,
  type HttpSignatureErrorKind,
  NonceMemory,
  signatureBase,
  SigningKey,
  signRequest,
  signResponse,
  verifyRequest,
  verifyResponse,
  verifySignature,
  WIRE_LIMITS,
} from "./mod.ts";

const NOW = Date.UTC(2026, 8, 1, 7, 30);
const key = SigningKey.generate();
const districtKey = SigningKey.generate();
const boxId = boxIdOf(key.publicKey);
const body = new TextEncoder().encode("events");
const request = { method: "POST", url: "https://district:8443/api/box/v1/events?x=1", body };
const keyOf = (id: string) => id === boxId ? key.publicKey : undefined;

function refusedAs(kind: HttpSignatureErrorKind) {
  return (error: unknown) => {
    assert.ok(error instanceof HttpSignatureError, String(error));
    assert.equal(error.kind, kind, error.message);
    return true;
  };
}

Deno.test("signature base and Ed25519 agree with RFC 9421, appendix B.2.6", () => {
  const privateKey = createPrivateKey({
    key: Buffer.from(
      "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF",
      "base64",
    ),
    format: "der",
    type: "pkcs8",
  });
  const params =
    `("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`;
  const base = signatureBase([
    [`"date"`, "Tue, 20 Apr 2021 02:07:55 GMT"],
    [`"@method"`, "POST"],
    [`"@path"`, "/foo"],
    [`"@authority"`, "example.com"],
    [`"content-type"`, "application/json"],
    [`"content-length"`, "18"],
  ], params);
  const expected =
    "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
  assert.equal(sign(null, base, privateKey).toString("base64"), expected);
  const rfcKey = SigningKey.fromPkcs8(privateKey.export({ format: "der", type: "pkcs8" }));
  assert.ok(verifySignature(rfcKey.publicKey, base, Buffer.from(expected, "base64")));
});

Deno.test("content digest agrees with RFC 9530's examples", () => {
  assert.equal(
    contentDigest(new TextEncoder().encode(`{"hello": "world"}`)),
    "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
  );
});

Deno.test("another implementation of RFC 9421 verifies our requests and answers", async () => {
  const signed = signRequest(request, boxId, key, NOW);
  const lookup = (raw: Uint8Array) => () =>
    Promise.resolve({
      algs: ["ed25519"],
      verify: (data: Buffer, signature: Buffer) =>
        Promise.resolve(verifySignature(raw, data, signature)),
    });
  const options = { notAfter: new Date(NOW + 1000), maxAge: 1e9 };
  const theirs = { method: request.method, url: request.url, headers: { ...signed.headers } };
  assert.equal(
    await httpbis.verifyMessage({ ...options, keyLookup: lookup(key.publicKey) }, theirs),
    true,
  );
  const answer = { status: 200, body: new Uint8Array([1, 2, 3]) };
  const headers = { ...signResponse(answer, signed.signature, districtKey, NOW) };
  const check = (req: typeof theirs) =>
    httpbis.verifyMessage(
      { ...options, keyLookup: lookup(districtKey.publicKey) },
      { status: 200, headers },
      req,
    );
  assert.equal(await check(theirs), true);
  const other = signRequest(request, boxId, key, NOW);
  assert.equal(await check({ ...theirs, headers: { ...other.headers } }), false);
});

Deno.test("a request that was changed anywhere is refused", async () => {
  const { headers } = signRequest(request, boxId, key, NOW);
  const verify = (changes: Partial<typeof request>, changed: Record<string, string> = {}) =>
    verifyRequest(
      { ...request, ...changes, headers: new Headers({ ...headers, ...changed }) },
      keyOf,
      NOW,
    );
  const verified = await verify({});
  assert.equal(verified.boxId, boxId);
  assert.equal(verified.createdMs, NOW);
  const input = headers["signature-input"]!;
  const cases: [HttpSignatureErrorKind, Partial<typeof request>, Record<string, string>][] = [
    ["wrong-signature", { method: "PUT" }, {}],
    ["wrong-signature", { url: request.url.replace("events", "enrol") }, {}],
    ["wrong-signature", { url: request.url.replace("x=1", "x=2") }, {}],
    ["wrong-digest", { body: new Uint8Array(6) }, {}],
    ["wrong-signature", { body: new Uint8Array(6) }, {
      "content-digest": contentDigest(new Uint8Array(6)),
    }],
    ["wrong-signature", {}, { "signature-input": input.replace(/created=\d/, "created=2") }],
    ["wrong-signature", {}, {
      "signature-input": input.replace(/nonce="[^"]+/, `nonce="${"A".repeat(22)}`),
    }],
    ["unknown-key", {}, { "signature-input": input.replace(boxId, `bx-${"0".repeat(20)}`) }],
    ["malformed", {}, { "signature-input": input.replace(boxId, "district") }],
    ["malformed", {}, { "signature-input": input.replace(` "content-digest"`, "") }],
    ["malformed", {}, { "signature-input": input.replace("ed25519", "hmac-sha256") }],
    ["malformed", {}, { "signature-input": "" }],
    ["malformed", {}, { signature: "gatehouse=:AAAA:" }],
    ["wrong-signature", {}, { signature: `gatehouse=:${"A".repeat(86)}==:` }],
  ];
  for (const [kind, changes, changed] of cases) {
    await assert.rejects(verify(changes, changed), refusedAs(kind), JSON.stringify(changed));
  }
  await assert.rejects(
    verifyRequest({ ...request, headers: new Headers() }, keyOf, NOW),
    refusedAs("missing"),
  );
});

Deno.test("a wrong clock is told only after the signature was found right", async () => {
  const at = (createdMs: number, by = key) => {
    const { headers } = signRequest(request, boxId, by, createdMs);
    return verifyRequest({ ...request, headers: new Headers(headers) }, keyOf, NOW);
  };
  const skewMs = WIRE_LIMITS.signatureSkewMsMax;
  await at(NOW - skewMs);
  await at(NOW + skewMs);
  await assert.rejects(at(NOW - skewMs - 1000), refusedAs("clock-skew"));
  await assert.rejects(at(NOW + skewMs + 1000), refusedAs("clock-skew"));
  await assert.rejects(at(0), refusedAs("clock-skew"));
  await assert.rejects(at(0, SigningKey.generate()), refusedAs("wrong-signature"));
});

Deno.test("an answer holds for its request, status and body only", () => {
  const signed = signRequest(request, boxId, key, NOW);
  const answer = { status: 200, body };
  const headers = new Headers(signResponse(answer, signed.signature, districtKey, NOW));
  const verify = (status: number, bytes: Uint8Array, signature: string, by: SigningKey) => () =>
    verifyResponse({ status, headers, body: bytes }, signature, by.publicKey);
  assert.deepEqual(verify(200, body, signed.signature, districtKey)(), { districtMs: NOW });
  const replayed = signRequest(request, boxId, key, NOW).signature;
  assert.throws(verify(200, body, replayed, districtKey), refusedAs("wrong-signature"));
  assert.throws(verify(201, body, signed.signature, districtKey), refusedAs("wrong-signature"));
  assert.throws(
    verify(200, new Uint8Array(1), signed.signature, districtKey),
    refusedAs("wrong-digest"),
  );
  assert.throws(verify(200, body, signed.signature, key), refusedAs("wrong-signature"));
  assert.throws(
    () =>
      verifyResponse(
        { status: 200, headers: new Headers(), body },
        signed.signature,
        districtKey.publicKey,
      ),
    refusedAs("missing"),
  );
  // A box's own request, sent back to it as an answer, is none.
  assert.throws(
    () =>
      verifyResponse(
        { status: 200, headers: new Headers(signed.headers), body },
        signed.signature,
        key.publicKey,
      ),
    refusedAs("malformed"),
  );
});

Deno.test("a nonce is fresh once, within as long as its signature holds, in bounded memory", () => {
  const memory = new NonceMemory(100);
  const nonce = (nonce: string, id = boxId) => ({ boxId: id, nonce });
  assert.ok(memory.fresh(nonce("a"), NOW));
  assert.ok(!memory.fresh(nonce("a"), NOW));
  assert.ok(memory.fresh(nonce("a", "bx-other"), NOW));
  assert.ok(!memory.fresh(nonce("a"), NOW + 2 * WIRE_LIMITS.signatureSkewMsMax));
  const late = NOW + 2 * WIRE_LIMITS.signatureSkewMsMax + 1;
  assert.ok(memory.fresh(nonce("b"), late));
  assert.ok(!memory.fresh(nonce("a"), late), "swapped out too early");
});
