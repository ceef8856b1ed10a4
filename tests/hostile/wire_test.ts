/**
 * Whoever sits between a box and its district, or pretends to be either, may send anything. All of
 * it ends in a typed error, in bounded memory, and changes nothing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { zstdCompressSync } from "node:zlib";
import {
  boxIdOf,
  decodeCbor,
  decodeEvent,
  decompress,
  encodeCbor,
  encodeEvent,
  genesisHash,
  headStatement,
  HttpSignatureError,
  openEnvelope,
  parseBoxStatus,
  parseDownMessage,
  parseEnrolRequest,
  parseEnrolResponse,
  parsePolicy,
  parsePolicyMessage,
  parseRefusal,
  parseUploadRequest,
  parseUploadResponse,
  signEnvelope,
  SigningKey,
  signRequest,
  signResponse,
  verifyRequest,
  verifyResponse,
  WIRE_LIMITS,
  WireError,
} from "../../sync/wire/mod.ts";

/** Overrun by a test: more than the whole suite needs, less than one unbounded allocation. */
const GROWTH_BYTES_MAX = 200 << 20;

/** xorshift32; the seed is printed, so that a failure can be had again: `SEED=… deno test …`. */
function seeded(name: string): () => number {
  const seed = Number(Deno.env.get("SEED") ?? 0) ||
    crypto.getRandomValues(new Uint32Array(1))[0]! >>> 1;
  console.log(`${name}: SEED=${seed}`);
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

const key = SigningKey.generate();
const districtKey = SigningKey.generate();
const boxId = boxIdOf(key.publicKey);

const event = encodeEvent({
  wallMs: 1_790_000_000_000,
  monotonicMs: 1_000_000,
  boot: 7,
  clock: "synchronised",
  event: { kind: "access.granted", door: "main", reader: "in", credential: 9, cardholder: 8 },
});

const hash = genesisHash(1, "access");
const upload = {
  batches: [{
    lane: "access",
    epoch: 1,
    firstSeq: 1,
    prevHash: hash,
    events: [event, event],
    headHash: hash,
    headSignature: key.sign(headStatement(boxId, { lane: "access", epoch: 1, seq: 2, hash })),
  }],
};

const status = {
  kind: "status",
  name: "east-gate",
  version: "0.1.0",
  policyVersion: 1,
  doors: [{ id: "main", mode: "normal", unlocked: false, open: false }],
  readers: [{ id: "in", door: "main", online: true }],
  backlogEvents: 0,
  rssBytes: 1,
  uptimeMs: 1.5,
};

const policy = {
  schema: 1,
  schedules: [{
    id: "lessons",
    name: "Lessons",
    weekly: [{ days: ["mon"], intervals: [{ from: "07:00", to: "18:00" }] }],
  }],
  accessLevels: [{ id: "a", name: "A", grants: [{ doors: ["*"], schedule: "lessons" }] }],
  cardholders: [{ id: 1, name: "张三", accessLevels: ["a"] }],
  credentials: [{ id: 1, cardholder: 1, bits: 26, hex: "00000001" }],
};

const parsers: readonly { what: string; parse: (raw: unknown) => unknown; sample: unknown }[] = [
  { what: "upload", parse: parseUploadRequest, sample: upload },
  {
    what: "ack",
    parse: parseUploadResponse,
    sample: { acks: [{ lane: "alarm", epoch: 1, seq: 3, refused: "gap" }] },
  },
  {
    what: "enrol",
    parse: parseEnrolRequest,
    sample: { secret: "s", publicKey: key.publicKey, name: "east-gate" },
  },
  {
    what: "enrolled",
    parse: parseEnrolResponse,
    sample: { boxId, districtKey: districtKey.publicKey, districtName: "D" },
  },
  {
    what: "command",
    parse: parseDownMessage,
    sample: {
      kind: "command",
      boxId,
      id: "c1",
      issuedWallMs: 1,
      expiresWallMs: 2,
      command: { name: "door.mode", door: "main", mode: "free" },
    },
  },
  {
    what: "hello",
    parse: parseDownMessage,
    sample: { kind: "hello", boxId, nonce: "n", serverWallMs: 1, policyVersion: 0 },
  },
  {
    what: "policy message",
    parse: parsePolicyMessage,
    sample: { kind: "policy", version: 1, document: new Uint8Array(5) },
  },
  {
    what: "refusal",
    parse: parseRefusal,
    sample: { error: "busy", detail: "later", serverWallMs: 1 },
  },
  { what: "status", parse: parseBoxStatus, sample: status },
  { what: "policy", parse: parsePolicy, sample: policy },
];

function isTyped(error: unknown): boolean {
  return error instanceof WireError || error instanceof HttpSignatureError ||
    (error as Error).name === "ValiError";
}

/** Runs it; anything but a result or a typed error fails. Returns whether it was taken. */
function taken(what: string, run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (!isTyped(error)) throw new Error(`${what}: not a typed error`, { cause: error });
    return false;
  }
}

function mutate(bytes: Uint8Array, random: () => number): Uint8Array {
  const out = new Uint8Array(bytes);
  const pick = (n: number) => Math.floor(random() * n);
  switch (pick(5)) {
    case 0:
      out[pick(out.length)] = pick(256);
      return out;
    case 1:
      out[pick(out.length)]! ^= 1 << pick(8);
      return out;
    case 2:
      return out.subarray(0, pick(out.length));
    case 3: {
      const at = pick(out.length);
      const extra = new Uint8Array(1 + pick(8)).map(() => pick(256));
      return Buffer.concat([out.subarray(0, at), extra, out.subarray(at)]);
    }
    default: {
      const [from, to] = [pick(out.length), pick(out.length)];
      out.copyWithin(to, from, from + pick(16));
      return out;
    }
  }
}

Deno.test("samples are taken as they are: the mutations below start from something right", () => {
  for (const { what, parse, sample } of parsers) {
    assert.ok(taken(what, () => parse(decodeCbor(encodeCbor(sample), what, 1 << 20))), what);
  }
  decodeEvent(event);
});

Deno.test("mutated, truncated and random messages: typed errors, bounded memory", () => {
  const random = seeded("mutations");
  const samples = parsers.map((parser) => ({ ...parser, bytes: encodeCbor(parser.sample) }));
  const before = Deno.memoryUsage().rss;
  let refused = 0;
  const ROUNDS = 200_000;
  for (let round = 0; round < ROUNDS; round++) {
    const { what, parse, bytes } = samples[round % samples.length]!;
    const hostile = round % 10 === 9
      ? new Uint8Array(Math.floor(random() * 200)).map(() => random() * 256)
      : mutate(bytes, random);
    if (!taken(what, () => parse(decodeCbor(hostile, what, 1 << 20)))) refused++;
    if (!taken("event", () => decodeEvent(mutate(event, random)))) refused++;
  }
  // A changed name or number may still be right; most changes are not.
  assert.ok(refused > ROUNDS / 2, `${refused} refused`);
  const grown = Deno.memoryUsage().rss - before;
  assert.ok(grown < GROWTH_BYTES_MAX, `grew by ${grown} bytes`);
});

Deno.test("every truncation of every message is refused", () => {
  for (const { what, parse, sample } of parsers) {
    const bytes = encodeCbor(sample);
    for (let length = 0; length < bytes.length; length++) {
      const part = bytes.subarray(0, length);
      assert.ok(!taken(what, () => parse(decodeCbor(part, what, 1 << 20))), `${what}, ${length}`);
    }
  }
  for (let length = 0; length < event.length; length++) {
    assert.throws(() => decodeEvent(event.subarray(0, length)), WireError);
  }
});

Deno.test("deep nesting and great promises cost neither stack nor memory", () => {
  const before = Deno.memoryUsage().rss;
  const deep = new Uint8Array(8 << 20).fill(0x81);
  deep[deep.length - 1] = 0;
  assert.throws(() => decodeCbor(deep, "deep", 16 << 20), WireError);
  const maps = new Uint8Array(3 << 20);
  for (let at = 0; at + 3 <= maps.length; at += 3) maps.set([0xa1, 0x61, 0x61], at);
  assert.throws(() => decodeCbor(maps, "maps", 16 << 20), WireError);
  for (let n = 0; n < 1_000; n++) {
    // Arrays of 2^20, of 2^32 and of 2^53 items, each within the other.
    const promise = Buffer.concat([
      ...Array.from({ length: 10 }, () => Buffer.from("9a000fffff", "hex")),
      Buffer.from(n % 2 === 0 ? "9affffffff" : "9b001fffffffffffff", "hex"),
      Buffer.alloc(100),
    ]);
    assert.throws(() => decodeCbor(promise, "promise", 1 << 20), WireError);
  }
  const grown = Deno.memoryUsage().rss - before;
  assert.ok(grown < GROWTH_BYTES_MAX, `grew by ${grown} bytes`);
});

Deno.test("a name out of JavaScript's own depths does no harm", () => {
  // { "__proto__": { "polluted": true }, … } written by hand, as no encoder of ours would.
  const proto = Buffer.concat([
    Buffer.from("a1", "hex"),
    Buffer.from("69", "hex"),
    Buffer.from("__proto__"),
    encodeCbor({ polluted: true }),
  ]);
  taken("proto", () => parseBoxStatus(decodeCbor(proto, "proto", 1000)));
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  assert.throws(
    () => decodeEvent(encodeCbor([1, 0, 0, 1, 0, "__proto__"])),
    WireError,
  );
});

Deno.test("zstd bombs stop at the bound", async () => {
  const before = Deno.memoryUsage().rss;
  const bomb = new Uint8Array(zstdCompressSync(new Uint8Array(1 << 30)));
  assert.ok(bomb.length < WIRE_LIMITS.uploadBytesMax, "it would pass as an upload");
  for (let n = 0; n < 10; n++) {
    await assert.rejects(
      decompress(bomb, "upload", WIRE_LIMITS.uploadDecodedBytesMax),
      (error) => error instanceof WireError && /more than/.test(error.message),
    );
  }
  const grown = Deno.memoryUsage().rss - before;
  // The bomb itself was made here: a gigabyte that may not have been given back yet.
  assert.ok(grown < GROWTH_BYTES_MAX + (1 << 30), `grew by ${grown} bytes`);
});

Deno.test("mutated zstd: a typed error, or bytes that are no message", async () => {
  const random = seeded("zstd");
  const cbor = encodeCbor(upload);
  const whole = new Uint8Array(zstdCompressSync(cbor));
  for (let round = 0; round < 5_000; round++) {
    const hostile = mutate(whole, random);
    try {
      const bytes = await decompress(hostile, "upload", WIRE_LIMITS.uploadDecodedBytesMax);
      parseUploadRequest(decodeCbor(bytes, "upload", WIRE_LIMITS.uploadDecodedBytesMax));
    } catch (error) {
      assert.ok(isTyped(error), String(error));
    }
  }
});

Deno.test("no mutation of a signed envelope opens", () => {
  const random = seeded("envelopes");
  const whole = signEnvelope(districtKey, parsers[4]!.sample);
  const original = JSON.stringify(openEnvelope(whole, districtKey.publicKey, "x", 1000));
  for (let round = 0; round < 20_000; round++) {
    const hostile = mutate(whole, random);
    if (Buffer.compare(hostile, whole) === 0) continue;
    let opened: unknown;
    const wasOpened = taken("envelope", () => {
      opened = openEnvelope(hostile, districtKey.publicKey, "x", 1000);
    });
    // CBOR has more than one way to write the same map; what it says must be what was signed.
    if (wasOpened) assert.equal(JSON.stringify(opened), original);
  }
  assert.throws(() => openEnvelope(whole, key.publicKey, "x", 1000), WireError);
});

Deno.test("no mutation of a signed request or answer verifies", async () => {
  const random = seeded("signatures");
  const request = { method: "POST", url: "https://d/api/box/v1/events", body: encodeCbor(upload) };
  const nowMs = 1_790_000_000_000;
  const signed = signRequest(request, boxId, key, nowMs);
  const answer = { status: 200, body: encodeCbor({ acks: [] }) };
  const answered = signResponse(answer, signed.signature, districtKey, nowMs);
  const text = (value: string) => {
    const bytes = mutate(new TextEncoder().encode(value), random);
    // Only what a header can hold.
    return String.fromCharCode(...bytes.map((byte) => 0x20 + byte % 0x5f)).trim();
  };
  const names = ["content-digest", "signature-input", "signature"] as const;
  let changed = 0;
  for (let round = 0; round < 5_000; round++) {
    const name = names[round % names.length]!;
    const headers = new Headers(signed.headers);
    headers.set(name, text(signed.headers[name]!));
    const responseHeaders = new Headers(answered);
    responseHeaders.set(name, text(answered[name]!));
    const body = round % 4 === 3 ? mutate(request.body, random) : request.body;
    const sameBody = Buffer.compare(body, request.body) === 0;
    if (headers.get(name) !== signed.headers[name] || !sameBody) {
      changed++;
      await assert.rejects(
        verifyRequest({ ...request, body, headers }, () => key.publicKey, nowMs),
        HttpSignatureError,
      );
    }
    if (responseHeaders.get(name) !== answered[name]) {
      assert.throws(
        () =>
          verifyResponse(
            { ...answer, headers: responseHeaders },
            signed.signature,
            districtKey.publicKey,
          ),
        HttpSignatureError,
      );
    }
  }
  assert.ok(changed > 4_000);
});
