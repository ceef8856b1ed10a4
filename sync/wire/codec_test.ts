import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type BoxEvent,
  type BoxEventKind,
  compress,
  decodeCbor,
  decodeEvent,
  decompress,
  decompressSync,
  encodeCbor,
  encodeEvent,
  EVENT_FIELDS,
  LANE_OF,
  LANES,
  openEnvelope,
  parseToken,
  signEnvelope,
  SigningKey,
  verifySignature,
  WireError,
} from "./mod.ts";
import { cborFault } from "./well_formed.ts";

const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 6 },
    fc.integer(),
    fc.maxSafeNat(),
    fc.double({ noNaN: true }),
    fc.string(),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie("value"), { maxLength: 30 }),
    fc.dictionary(fc.string().filter((name) => name !== "__proto__"), tie("value")),
  ),
})).value;

Deno.test("what is written is well formed and reads back the same", () => {
  fc.assert(
    fc.property(value, (written) => {
      const bytes = encodeCbor(written);
      assert.equal(cborFault(bytes), undefined);
      // Both sides as the codec gives them: -0 and prototypes are not its business.
      assert.deepEqual(plain(decodeCbor(bytes, "value", 1 << 20)), plain(written));
    }),
    { numRuns: 500 },
  );
});

function plain(x: unknown): unknown {
  if (x instanceof Uint8Array) return [...x].join();
  if (Array.isArray(x)) return x.map(plain);
  if (typeof x === "object" && x !== null) {
    return Object.entries(x).map(([k, v]) => [k, plain(v)]).sort(([a], [b]) => a! < b! ? -1 : 1);
  }
  return x === 0 ? 0 : x;
}

Deno.test("each fault of form is named before anything is built", () => {
  const cases: [string, string][] = [
    ["", "truncated"],
    ["82 01", "truncated"],
    ["62 61", "truncated"],
    ["19 01", "truncated"],
    ["9b 00 1f ff ff ff ff ff ff", "truncated"],
    ["9a 00 10 00 00 00", "truncated"],
    ["01 02", "something follows it"],
    ["9f 01 ff", "indefinite length"],
    ["5f 41 00 ff", "indefinite length"],
    ["ff", "indefinite length"],
    ["1c", "reserved head"],
    ["c0 60", "tagged"],
    ["d8 1c 80", "tagged"],
    ["a1 01 02", "a map's key is not text"],
    ["a1 61 61 c1 00", "tagged"],
    ["f8 20", "unassigned simple value"],
    ["e0", "unassigned simple value"],
    ["81".repeat(17) + "80", "more than 16 levels"],
  ];
  for (const [hex, fault] of cases) {
    const bytes = new Uint8Array(hex.match(/[0-9a-f]{2}/g)?.map((b) => parseInt(b, 16)) ?? []);
    assert.equal(cborFault(bytes), fault, hex);
    assert.throws(() => decodeCbor(bytes, "x", 100), WireError);
  }
  assert.equal(cborFault(new Uint8Array([...new Array(16).fill(0x81), 0x80])), undefined);
});

Deno.test("five bytes cannot ask for megabytes: announced items are held against what is left", () => {
  // [[[… each of 2^20 items: cbor-x alone would allot 8 MiB a level.
  const bytes = new Uint8Array(1 << 20);
  for (let at = 0; at < 50; at += 5) bytes.set([0x9a, 0, 0x0f, 0xf0, 0], at);
  assert.equal(cborFault(bytes), "truncated");
});

const SAMPLES: { readonly [K in BoxEventKind]: BoxEvent & { kind: K } } = {
  "access.granted": {
    kind: "access.granted",
    door: "d",
    reader: "r",
    credential: 1,
    cardholder: 2,
  },
  "access.denied": {
    kind: "access.denied",
    door: "d",
    reader: "r",
    reason: "unknown-card",
    card: { bits: 26, hex: "01020304" },
  },
  "door.unlocked": { kind: "door.unlocked", door: "d", cause: "command" },
  "door.relocked": { kind: "door.relocked", door: "d" },
  "door.opened": { kind: "door.opened", door: "d" },
  "door.closed": { kind: "door.closed", door: "d" },
  "door.passed": { kind: "door.passed", door: "d", direction: "in" },
  "door.tailgated": { kind: "door.tailgated", door: "d", count: 1 },
  "access.unused": {
    kind: "access.unused",
    door: "d",
    direction: "out",
    credential: 1,
    cardholder: 2,
  },
  "patrol.read": {
    kind: "patrol.read",
    source: "cradle",
    tag: "0a0b",
    readAtMs: 1_790_000_000_000,
    baton: "B1",
    record: 17,
  },
  "emergency.raised": { kind: "emergency.raised", input: "panic" },
  "emergency.cleared": { kind: "emergency.cleared", input: "panic", by: "key" },
  "input.fault": { kind: "input.fault", input: "fire", fault: "open" },
  "expander.offline": { kind: "expander.offline", expander: "x" },
  "expander.online": { kind: "expander.online", expander: "x" },
  "device.attached": { kind: "device.attached", device: "/dev/x", description: "FTDI" },
  "device.detached": { kind: "device.detached", device: "/dev/x", description: "FTDI" },
  "sensor.reading": { kind: "sensor.reading", sensor: "s", value: 21.5, unit: "Cel" },
  "door.forced": { kind: "door.forced", door: "d" },
  "door.held": { kind: "door.held", door: "d" },
  "door.secured": { kind: "door.secured", door: "d" },
  "release.activated": { kind: "release.activated", input: "fire" },
  "release.cleared": { kind: "release.cleared", input: "fire" },
  "reader.offline": { kind: "reader.offline", reader: "r", reason: "no-reply" },
  "reader.tamper": { kind: "reader.tamper", reader: "r", active: true },
  "reader.power": { kind: "reader.power", reader: "r", failed: false },
  "reader.firmware": { kind: "reader.firmware", reader: "r", firmware: "1.5.0" },
  "journal.replaced": { kind: "journal.replaced", file: "f", detail: "" },
  "journal.dropped": { kind: "journal.dropped", lane: "telemetry", firstSeq: 1, lastSeq: 2 },
  "command.result": { kind: "command.result", id: "c", outcome: "done" },
  "door.mode": { kind: "door.mode", door: "d", mode: "free" },
  "signal.silenced": { kind: "signal.silenced", signal: "siren", by: "input" },
  "policy.applied": { kind: "policy.applied", version: 7 },
  "policy.refused": { kind: "policy.refused", version: 7, detail: "older" },
  "box.stalled": { kind: "box.stalled", deadMs: 61_250 },
  "box.started": { kind: "box.started", version: "0.1.0" },
  "box.stopped": { kind: "box.stopped" },
  "reader.online": { kind: "reader.online", reader: "r" },
  "reader.keys": { kind: "reader.keys", reader: "r", count: 4 },
  "output.changed": { kind: "output.changed", output: "o", active: true },
  "input.changed": { kind: "input.changed", input: "i", active: false },
};

Deno.test("every kind of event reads back the same, and has a lane", () => {
  for (const kind of Object.keys(EVENT_FIELDS) as BoxEventKind[]) {
    const recorded = {
      wallMs: Date.UTC(2026, 8, 1),
      monotonicMs: 12_345,
      boot: 3,
      clock: "unsynchronised",
      event: SAMPLES[kind],
    } as const;
    assert.deepEqual(decodeEvent(encodeEvent(recorded)), recorded);
    assert.ok(LANES.includes(LANE_OF[kind]));
  }
});

Deno.test("an event of an unknown kind or shape is refused by name", () => {
  const stamp = [1, 0, 0, 1, 0];
  const cases: [unknown, RegExp][] = [
    [[...stamp, "door.vanished", "d"], /door\.vanished.*not known/],
    [[...stamp, "constructor"], /not known/],
    [[...stamp, "door.opened"], /door\.opened: door/],
    [[...stamp, "door.opened", "d", "more"], /too many fields/],
    [[...stamp, "door.unlocked", "d", "magic"], /cause/],
    [[2, 0, 0, 1, 0, "box.stopped"], /stamp/],
    [[1, -1, 0, 1, 0, "box.stopped"], /stamp/],
    [{ kind: "box.stopped" }, /stamp/],
  ];
  for (const [row, expected] of cases) {
    assert.throws(() => decodeEvent(encodeCbor(row)), (error) => {
      assert.ok(error instanceof WireError);
      assert.match(error.message, expected);
      return true;
    });
  }
});

Deno.test("zstd: back and forth, bounded, and typed errors", async () => {
  for (const length of [0, 10, 100_000]) {
    const bytes = new Uint8Array(length).map((_, i) => i);
    assert.deepEqual(
      new Uint8Array(await decompress(await compress(bytes), "x", 100_000)),
      bytes,
    );
  }
  const bomb = await compress(new Uint8Array(64 << 20));
  assert.ok(bomb.length < 10_000);
  await assert.rejects(decompress(bomb, "x", 1 << 20), /x: more than 1048576 bytes after zstd/);
  assert.throws(() => decompressSync(bomb, "x", 1 << 20), WireError);
  await assert.rejects(decompress(new Uint8Array(100), "x", 1 << 20), /x: not valid zstd/);
});

Deno.test("envelopes open with the right key only, and pass for nothing else", () => {
  const key = SigningKey.generate();
  const bytes = signEnvelope(key, { kind: "x" });
  assert.deepEqual(openEnvelope(bytes, key.publicKey, "x", 1000), { kind: "x" });
  const other = SigningKey.generate();
  assert.throws(() => openEnvelope(bytes, other.publicKey, "x", 1000), /not signed/);
  assert.throws(() => openEnvelope(bytes, key.publicKey, "x", 10), /at most 10/);
  const forged = {
    payload: encodeCbor({ kind: "y" }),
    signature: key.sign(encodeCbor({ kind: "y" })),
  };
  assert.throws(
    () => openEnvelope(encodeCbor(forged), key.publicKey, "x", 1000),
    /not signed/,
    "a bare signature over the same bytes must not do",
  );
});

Deno.test("a private key keeps its identity through PKCS #8", () => {
  const key = SigningKey.generate();
  const again = SigningKey.fromPkcs8(key.pkcs8());
  assert.deepEqual(again.publicKey, key.publicKey);
  const message = new Uint8Array([1, 2, 3]);
  assert.ok(verifySignature(key.publicKey, message, again.sign(message)));
  assert.ok(!verifySignature(key.publicKey, new Uint8Array([1, 2]), again.sign(message)));
  assert.ok(!verifySignature(key.publicKey, message, new Uint8Array(64)));
  assert.ok(!verifySignature(new Uint8Array(3), message, again.sign(message)));
  assert.throws(() => SigningKey.fromPkcs8(new Uint8Array(48)), WireError);
});

Deno.test("a token survives being pasted, and nothing else passes for one", () => {
  const text = `gh1.${"a".repeat(32)}.${"b".repeat(42)}A`;
  assert.deepEqual(parseToken(` ${text}\n`), parseToken(text));
  for (const bad of ["", "gh1", text.slice(0, -1), text + "x", text.replace("gh1", "gh2")]) {
    assert.throws(() => parseToken(bad), /copy the whole token/);
  }
});

Deno.test("no native add-on of the codec is loaded: it would kill Deno", async () => {
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import ${
        JSON.stringify(new URL("./codec.ts", import.meta.url).href)
      }; console.log(Object.keys(require?.cache ?? {}).filter((f) => f.includes("cbor-extract")).length)`
        .replace("require?.cache", "(await import('node:module')).default._cache"),
    ],
    cwd: new URL("../../", import.meta.url),
  });
  const { code, stdout, stderr } = await command.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.equal(new TextDecoder().decode(stdout).trim(), "0");
});
