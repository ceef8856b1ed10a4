import assert from "node:assert/strict";
import { Api, ApiFault } from "./mod.ts";

function apiAnswering(answer: () => Response, seen: Request[] = []): Api {
  return new Api((input, init) => {
    seen.push(new Request(new URL(String(input), "https://district.test"), init));
    return Promise.resolve(answer());
  });
}

async function faultOf(call: Promise<unknown>): Promise<ApiFault> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ApiFault) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

const refused = (status: number, headers: HeadersInit = {}) =>
  Response.json({ error: { code: "x", message: "why" } }, { status, headers });

Deno.test("faults are told apart by what an operator can do", async () => {
  const kinds = [[401, "unauthenticated"], [429, "rate-limited"], [422, "invalid"], [
    404,
    "refused",
  ], [503, "server"]] as const;
  for (const [status, kind] of kinds) {
    const fault = await faultOf(apiAnswering(() => refused(status)).boxes());
    assert.equal(fault.kind, kind, String(status));
    assert.equal(fault.message, "why");
  }
  const limited = await faultOf(apiAnswering(() => refused(429, { "retry-after": "7" })).boxes());
  assert.equal(limited.retryAfterSeconds, 7);
});

Deno.test("no network and a page in place of JSON are faults too", async () => {
  const none = await faultOf(new Api(() => Promise.reject(new TypeError("offline"))).boxes());
  assert.equal(none.kind, "unreachable");
  const html = await faultOf(apiAnswering(() => new Response("<html>")).boxes());
  assert.equal(html.kind, "server");
});

Deno.test("what changes something carries the header that a foreign page cannot send", async () => {
  const seen: Request[] = [];
  const api = apiAnswering(() => Response.json([]), seen);
  await api.boxes();
  await api.enrolmentToken();
  assert.equal(seen[0]?.headers.get("x-gatehouse-request"), null);
  assert.equal(seen[1]?.headers.get("x-gatehouse-request"), "1");
});

Deno.test("a refused import is a report with its faults", async () => {
  const report = {
    added: 0,
    changed: 0,
    unchanged: 0,
    faults: [{ line: 3, field: "hex", message: "odd" }],
  };
  const api = apiAnswering(() => Response.json(report, { status: 422 }));
  assert.deepEqual(await api.importCardholders(new Blob(["x"]), true), report);
});
