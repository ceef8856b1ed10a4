import assert from "node:assert/strict";
import { processClock } from "../../hal/linux/clock.ts";
import {
  compress,
  decodeCbor,
  decompressSync,
  encodeCbor,
  openEnvelope,
  parsePolicyMessage,
  SigningKey,
  WIRE_LIMITS,
} from "../../sync/wire/mod.ts";
import { TestDistrict } from "../testing/district.ts";
import { grants } from "../testing/fake_box.ts";

const clock = processClock();

Deno.test("a box enrols with a token, once; the same box may ask again", async () => {
  await using test = await TestDistrict.open(clock);
  using box = test.stranger();
  using other = test.stranger();
  const { token } = await test.district.createToken();
  const forged = token.replace(/^gh1\..{4}/, "gh1.AAAA");
  assert.equal((await box.enrol(forged)).refusal!.error, "token-unknown");
  assert.equal((await box.enrol(token)).status, 200);
  assert.equal((await box.enrol(token)).status, 200);
  assert.equal((await other.enrol(token)).refusal!.error, "token-used");
  assert.deepEqual((await test.district.boxes()).map(({ id, name }) => [id, name]), [
    [box.id, "east-gate"],
  ]);
});

Deno.test("bad signatures, replays, skew, strangers and the withdrawn are refused, signed", async () => {
  await using test = await TestDistrict.open(clock);
  using box = await test.box();
  using stranger = test.stranger();
  box.record(grants(3));
  const batch = () => [box.batch("access", 0, 3)];
  const refusal = async (promise: Promise<unknown>) => {
    try {
      await promise;
    } catch (error) {
      return (error as Error).message;
    }
    return "taken";
  };
  assert.equal(
    await refusal(box.upload(batch(), { key: SigningKey.generate() })),
    "wrong-signature",
  );
  assert.equal(
    await refusal(box.upload(batch(), { createdMs: clock.wallMs() - 10 * 60_000 })),
    "clock-skew",
  );
  assert.equal(
    await refusal(box.upload(batch(), { sendBody: await compress(encodeCbor({ batches: [] })) })),
    "wrong-signature",
  );
  assert.equal(await refusal(stranger.upload([])), "unknown-box");
  assert.equal(await refusal(box.upload(batch())), "taken");
  const signed = box.lastSigned!;
  assert.equal(await refusal(box.upload(batch(), { signed })), "replayed");
  const unsigned = await test.fetch("/api/box/v1/events", { method: "POST", body: "x" });
  assert.equal(unsigned.status, 400);
  assert.ok(unsigned.headers.has("signature"), "a refusal must be signed");
  await unsigned.body?.cancel();
  await test.district.revoke(box.id);
  assert.equal(await refusal(box.upload([])), "revoked");
  assert.equal((await test.district.events({ limit: 9 })).length, 3);
});

Deno.test("events come in once, whatever order and overlap they are sent in", async () => {
  await using test = await TestDistrict.open(clock);
  using box = await test.box();
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
  const total = 400;
  box.record(grants(total));
  let seq = 0;
  const sends = [];
  for (let round = 0; round < 60; round++) {
    const after = Math.max(0, seq - random(40) + random(10));
    const batch = box.batch("access", Math.min(after, total - 1), 1 + random(40));
    // In parallel as well: two uploads of one box may overtake each other.
    sends.push(
      box.upload([batch]).then(([ack]) => {
        assert.ok(
          ack!.refused === undefined || ack!.refused === "gap",
          `${ack!.refused}, seed ${seed}`,
        );
        seq = Math.max(seq, ack!.seq);
      }),
    );
    if (sends.length >= 3) await Promise.all(sends.splice(0));
  }
  await Promise.all(sends);
  await box.upload([box.batch("access", seq, total)].filter((batch) => batch.events.length > 0));
  const events = [];
  for (let beforeId = Number.MAX_SAFE_INTEGER;;) {
    const page = await test.district.events({ boxId: box.id, beforeId, limit: 200 });
    if (page.length === 0) break;
    events.push(...page);
    beforeId = page.at(-1)!.id;
  }
  assert.deepEqual(
    events.map((event) => event.seq),
    Array.from({ length: total }, (_, index) => total - index),
    `seed ${seed}`,
  );
  assert.deepEqual((await test.district.verifyChains(box.id)).map(({ fault }) => fault), [
    undefined,
  ]);
});

Deno.test("a batch that does not hold together is refused by its ack alone", async () => {
  await using test = await TestDistrict.open(clock);
  using box = await test.box();
  box.record([...grants(5), { kind: "door.forced", door: "main" }]);
  const good = box.batch("access", 0, 5);
  const upload = async (change: object) =>
    (await box.upload([box.batch("alarm", 0, 9), { ...good, ...change }]))
      .map(({ lane, seq, refused }) => [lane, seq, refused]);
  const alarm = ["alarm", 1, undefined];
  assert.deepEqual(
    await upload({ events: good.events.slice(1) }),
    [alarm, ["access", 0, "chain-broken"]],
  );
  assert.deepEqual(
    await upload({ headSignature: new Uint8Array(64) }),
    [alarm, ["access", 0, "chain-broken"]],
  );
  // A lane's events in another lane, rightly chained and signed, are still wrong.
  using liar = await test.box("liar");
  liar.record(grants(1));
  const forged = liar.batch("access", 0, 1);
  assert.deepEqual(
    (await liar.upload([{ ...forged, lane: "command" }])).map(({ refused }) => refused),
    ["chain-broken"],
  );
  assert.deepEqual(await upload({}), [alarm, ["access", 5, undefined]]);
});

Deno.test("hostile bodies are refused with a reason and cost nothing", async () => {
  await using test = await TestDistrict.open(clock);
  using box = await test.box();
  const post = async (body: Uint8Array<ArrayBuffer>, path = "events") => {
    const { status, refusal } = await box.call("POST", path, body);
    return `${status} ${refusal?.error}`;
  };
  assert.equal(await post(new Uint8Array(WIRE_LIMITS.uploadBytesMax + 1)), "413 malformed");
  assert.equal(await post(new Uint8Array(8192), "enrol"), "413 malformed");
  assert.equal(await post(new Uint8Array([1, 2, 3])), "400 malformed");
  const bomb = await compress(new Uint8Array(WIRE_LIMITS.uploadDecodedBytesMax * 4));
  assert.ok(bomb.length < 100_000);
  assert.equal(await post(bomb), "400 malformed");
  assert.equal(await post(await compress(encodeCbor({ batches: 5 }))), "400 malformed");
  const claims = new Uint8Array([
    0xa1,
    0x67,
    ...new TextEncoder().encode("batches"),
    0x9a,
    0,
    0x0f,
    0xff,
    0xff,
  ]);
  assert.equal(await post(await compress(claims)), "400 malformed");
  assert.equal(await post(new Uint8Array([0x9f, 0xff]), "enrol"), "400 malformed");
  assert.equal((await box.call("GET", "nothing")).status, 404);
  assert.equal((await box.call("GET", "link")).refusal!.error, "malformed");
  assert.deepEqual(await box.upload([]), []);
});

Deno.test("policy comes signed, by version, and not again", async () => {
  await using test = await TestDistrict.open(clock);
  using box = await test.box();
  assert.equal((await box.call("GET", "policy")).refusal!.error, "not-found");
  await test.district.importCardholders(
    new TextEncoder().encode("number,name,bits,hex,access levels\n1,Li,32,0a0b0c0d,all-doors\n"),
  );
  const version = await test.district.published();
  assert.equal(version, 1);
  const answer = await box.call("GET", "policy");
  const message = parsePolicyMessage(
    openEnvelope(answer.body, box.districtKey, "policy", WIRE_LIMITS.policyBytesMax),
  );
  assert.equal(message.version, 1);
  const policy = decodeCbor(
    decompressSync(message.document, "policy", 1 << 20),
    "policy",
    1 << 20,
  ) as { credentials: unknown[] };
  assert.deepEqual(policy.credentials, [
    { id: 1, cardholder: 1, bits: 32, hex: "0a0b0c0d", active: true },
  ]);
  const unchanged = await box.call("GET", "policy", undefined, {
    headers: { "if-none-match": `"1"` },
  });
  assert.deepEqual([unchanged.status, unchanged.body.length], [304, 0]);
});
