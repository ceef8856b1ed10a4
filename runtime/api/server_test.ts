import assert from "node:assert/strict";
import type { BoxStatus } from "../../sync/wire/mod.ts";
import { answerLocal, type LocalApi, type Vitals } from "./server.ts";

const status: BoxStatus = {
  kind: "status",
  name: "east-gate",
  version: "0.1.0",
  policyVersion: 3,
  doors: [],
  readers: [],
  backlogEvents: 0,
  rssBytes: 1,
  uptimeMs: 1,
};
const vitals: Vitals = {
  slot: "",
  alive: true,
  journalWritable: true,
  journalEpoch: 1,
  districtConnected: false,
  config: { bundle: "" },
  policy: { settings: "", bundle: "" },
};
const taps: string[] = [];
const api: LocalApi = {
  status: () => status,
  vitals: () => vitals,
  faults: () => [],
  metrics: () => Promise.resolve("gatehouse_taps_total 1\n"),
  tap: (reader, bits, hex) => {
    if (reader !== "in") return false;
    taps.push(`${reader} ${bits} ${hex}`);
    return true;
  },
};

function ask(path: string, init: RequestInit = {}, of: LocalApi = api): Promise<Response> {
  return answerLocal(of, new Request(`http://127.0.0.1${path}`, init));
}

function tap(body: string, headers: Record<string, string> = {}): Promise<Response> {
  return ask("/simulated/readers/in/card", {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "content-length": String(body.length),
      ...headers,
    },
  });
}

Deno.test("health is 200 with the status, or 503 with what is wrong", async () => {
  const well = await ask("/healthz");
  assert.equal(well.status, 200);
  assert.deepEqual(await well.json(), { ok: true, faults: [], status, vitals });
  const ill = await ask("/healthz", {}, {
    ...api,
    faults: () => ["the journal cannot be written"],
  });
  assert.equal(ill.status, 503);
  assert.deepEqual((await ill.json()).faults, ["the journal cannot be written"]);
});

Deno.test("metrics are Prometheus text", async () => {
  const answer = await ask("/metrics");
  assert.match(answer.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  assert.equal(await answer.text(), "gatehouse_taps_total 1\n");
});

Deno.test("a simulated reader is tapped, and only with a well-formed card", async () => {
  assert.equal((await tap('{"bits":32,"hex":"04a1b2c3"}')).status, 204);
  assert.deepEqual(taps, ["in 32 04a1b2c3"]);
  const refused: [Promise<Response>, number][] = [
    [tap("{"), 400],
    [tap('{"bits":32,"hex":"04A1B2C3"}'), 400],
    [tap('{"bits":32,"hex":"04a1"}'), 400],
    [tap('{"bits":0,"hex":""}'), 400],
    [tap('{"bits":32,"hex":"04a1b2c3","x":1}'), 400],
    [tap('{"bits":32,"hex":"04a1b2c3"}', { "content-type": "text/plain" }), 415],
    [tap(`{"bits":32,"hex":"${"0".repeat(2000)}"}`), 413],
    [
      ask("/simulated/readers/out/card", {
        method: "POST",
        body: '{"bits":8,"hex":"01"}',
        headers: { "content-type": "application/json", "content-length": "21" },
      }),
      404,
    ],
    [ask("/simulated/readers/in/card"), 404],
    [ask("/"), 404],
    [ask("/healthz", { method: "DELETE" }), 404],
  ];
  for (const [answer, code] of refused) {
    const got = await answer;
    assert.equal(got.status, code);
    assert.ok((await got.json()).error.length > 0);
  }
  assert.equal(taps.length, 1);
});

Deno.test("with real readers there is nothing to tap", async () => {
  const { tap: _tap, ...real } = api;
  const answer = await ask("/simulated/readers/in/card", { method: "POST" }, real);
  assert.equal(answer.status, 404);
  await answer.body?.cancel();
});
