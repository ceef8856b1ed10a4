import assert from "node:assert/strict";
import { processClock } from "../../hal/linux/clock.ts";
import { TestDistrict } from "../testing/district.ts";
import { grants } from "../testing/fake_box.ts";

const clock = processClock();

Deno.test("nothing is shown without a session, and a session ends", async () => {
  await using test = await TestDistrict.open(clock);
  const paths = ["session", "boxes", "events", "live", "cardholders", "policy", "commands/x"];
  for (const path of paths) {
    const { status, body, headers } = await test.call("GET", path);
    assert.deepEqual([status, body.error.code], [401, "unauthenticated"], path);
    assert.equal(headers.get("x-frame-options"), "DENY");
    assert.match(headers.get("content-security-policy")!, /frame-ancestors 'none'/);
  }
  assert.equal((await test.call("POST", "enrolment-tokens", {})).status, 401);
  await test.login();
  const { body } = await test.call("GET", "session");
  assert.deepEqual(body, { username: "admin", districtName: "测试区" });
  const kept = test.cookie;
  assert.equal((await test.call("DELETE", "session")).status, 204);
  test.cookie = kept;
  assert.equal((await test.call("GET", "session")).status, 401);
  test.cookie = "__Host-gatehouse=' OR 1=1; --";
  assert.equal((await test.call("GET", "session")).status, 401);
});

Deno.test("the cookie is for this host, over TLS, and out of reach of scripts", async () => {
  await using test = await TestDistrict.open(clock);
  const { headers } = await test.call("POST", "session", test.district.firstOperator);
  const cookie = headers.get("set-cookie")!;
  for (const part of ["__Host-gatehouse=", "Path=/", "HttpOnly", "Secure", "SameSite=Strict"]) {
    assert.ok(cookie.includes(part), part);
  }
  assert.ok(!/domain/i.test(cookie));
});

Deno.test("guessing is slowed down by name; the right password counts for nothing meanwhile", async () => {
  await using test = await TestDistrict.open(clock);
  await test.district.setOperator("other", "correct horse");
  const login = (username: string, password: string) =>
    test.call("POST", "session", { username, password });
  const answers = await Promise.all(
    Array.from({ length: 14 }, () => login("admin", "wrong")),
  );
  const count = (status: number) => answers.filter((each) => each.status === status).length;
  assert.deepEqual([count(401), count(429)], [10, 4]);
  const { username, password } = test.district.firstOperator!;
  const limited = await login(username, password);
  assert.equal(limited.status, 429);
  assert.ok(Number(limited.headers.get("retry-after")) > 200);
  assert.equal((await login("ADMIN", password)).status, 429);
  assert.equal((await login("other", "correct horse")).status, 200);
  assert.equal((await login("nobody", "x")).status, 401);
});

Deno.test("a foreign page can change nothing", async () => {
  await using test = await TestDistrict.open(clock);
  await test.login();
  const post = (headers: Record<string, string>) =>
    test.call("POST", "enrolment-tokens", {}, headers);
  assert.equal((await post({ "x-gatehouse-request": "0" })).status, 403);
  assert.equal((await post({ origin: "https://evil.example" })).status, 403);
  assert.equal((await post({ "sec-fetch-site": "cross-site" })).status, 403);
  assert.equal((await post({ "sec-fetch-site": "same-site" })).status, 403);
  assert.equal((await post({ origin: test.district.url })).status, 200);
  const options = await test.fetch("/api/enrolment-tokens", {
    method: "OPTIONS",
    headers: { origin: "https://evil.example", "access-control-request-method": "POST" },
  });
  assert.equal(options.headers.get("access-control-allow-origin"), null);
  await options.body?.cancel();
  const evil = { origin: "https://evil.example" };
  assert.equal((await test.call("POST", "session", test.district.firstOperator, evil)).status, 403);
});

Deno.test("hostile requests get a reason, not a stack", async () => {
  await using test = await TestDistrict.open(clock);
  await test.login();
  const expect = async (status: number, ...call: Parameters<TestDistrict["call"]>) => {
    const answer = await test.call(...call);
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    assert.equal(typeof answer.body.error.message, "string");
    assert.ok(!/at file:|node_modules/.test(JSON.stringify(answer.body)));
  };
  await expect(400, "POST", "session", "{");
  await expect(400, "POST", "session", { username: "admin", password: "x", admin: true });
  await expect(400, "POST", "session", { username: "admin", password: "x".repeat(300) });
  await expect(413, "POST", "session", "x".repeat(2 << 20));
  await expect(415, "POST", "session", "username=admin", { "content-type": "text/plain" });
  await expect(400, "GET", "events?limit=-1");
  await expect(400, "GET", "events?lane=all");
  await expect(400, "GET", "events?beforeId=1e9");
  await expect(404, "GET", "commands/..%2f..%2fetc");
  await expect(404, "POST", "boxes/bx-0/commands", { command: { name: "door.open", door: "a" } });
  await expect(400, "POST", "boxes/bx-0/commands", { command: { name: "door.blow", door: "a" } });
  await expect(422, "PUT", "policy", { holidays: [], schedules: [] });
  await expect(422, "PUT", "policy", { holidays: [], schedules: [], accessLevels: [{}] });
  await expect(404, "GET", "nothing");
  assert.deepEqual(test.log.lines.filter((line) => line.startsWith("error")), []);
});

Deno.test("settings are taken whole, when they fit together", async () => {
  await using test = await TestDistrict.open(clock);
  await test.login();
  const csv = "number,name,access levels\n1,Li,all-doors\n";
  const imported = await test.call("POST", "cardholders/import", csv, {
    "content-type": "text/csv",
  });
  assert.equal(imported.status, 200);
  const before = (await test.call("GET", "policy")).body;
  const grant = { doors: ["main"], schedule: "lessons" };
  const teacher = { id: "teacher", name: "教师", grants: [grant] };
  const missing = { ...before, accessLevels: [...before.accessLevels, teacher] };
  const refused = await test.call("PUT", "policy", missing);
  assert.match(refused.body.error.message, /lessons, which does not exist/);
  const gone = await test.call("PUT", "policy", { ...before, accessLevels: [] });
  assert.match(gone.body.error.message, /all-doors is missing, but cardholders have it/);
  const days = ["mon"];
  const weekly = [{ days, intervals: [{ from: "08:00", to: "16:00" }] }];
  const settings = {
    ...missing,
    schedules: [{ id: "lessons", name: "上课", weekly, onHolidays: [] }],
  };
  assert.deepEqual((await test.call("PUT", "policy", settings)).body, settings);
  assert.deepEqual((await test.call("GET", "policy")).body, settings);
  assert.equal(await test.district.published(), 2);
});

Deno.test("an import with faults changes nothing and names them all", async () => {
  await using test = await TestDistrict.open(clock);
  await test.login();
  const send = (csv: string, query = "") =>
    test.call("POST", `cardholders/import${query}`, csv, { "content-type": "text/csv" });
  const bad = await send("学号,姓名,权限\n1,张三,nothing\n2,,all-doors\n1,李四,all-doors\n");
  assert.equal(bad.status, 422);
  assert.deepEqual(
    bad.body.faults.map((fault: { line: number; field: string }) => [fault.line, fault.field]),
    [[2, "accessLevels"], [3, "name"], [4, "number"]],
  );
  assert.equal((await test.call("GET", "cardholders")).body.total, 0);
  const good = "学号,姓名,权限\n1,张三,all-doors\n";
  assert.deepEqual((await send(good, "?dryRun=true")).body, {
    added: 1,
    changed: 0,
    unchanged: 0,
    faults: [],
  });
  assert.equal((await test.call("GET", "cardholders")).body.total, 0);
  assert.equal((await send(good)).body.policyVersion, 1);
  assert.equal((await test.call("GET", "cardholders?search=张")).body.items[0].number, "1");
});

/** Messages of `/api/live` as they come. */
async function* live(test: TestDistrict, signal: AbortSignal) {
  const response = await test.fetch("/api/live", { headers: { cookie: test.cookie }, signal });
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  let text = "";
  try {
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (;;) {
        const end = text.indexOf("\n\n");
        if (end < 0) break;
        const message = text.slice(0, end);
        text = text.slice(end + 2);
        if (message.startsWith("data: ")) yield JSON.parse(message.slice(6));
        else yield { kind: "comment" };
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

Deno.test("events and boxes are seen within a second, and a log-out ends the stream", async () => {
  await using test = await TestDistrict.open(clock);
  await test.login();
  using box = await test.box();
  const abort = new AbortController();
  const messages = live(test, abort.signal);
  assert.equal((await messages.next()).value.kind, "comment");
  const sentMs = clock.monotonicMs();
  box.record(grants(2));
  await box.upload([box.batch("access", 0, 2)]);
  const first = (await messages.next()).value;
  assert.ok(clock.monotonicMs() - sentMs < 1000);
  assert.deepEqual(
    [first.kind, first.event.boxName, first.event.seq, first.event.event.kind],
    ["event", "east-gate", 1, "access.granted"],
  );
  assert.equal((await messages.next()).value.event.seq, 2);
  assert.equal((await test.call("DELETE", "session")).status, 204);
  let rest = 0;
  for await (const message of messages) if (message.kind !== "comment") rest++;
  assert.equal(rest, 0);
});

Deno.test("the OpenAPI document is made from what checks", async () => {
  await using test = await TestDistrict.open(clock);
  const { status, body } = await test.call("GET", "openapi.json");
  assert.equal(status, 200);
  assert.equal(body.openapi, "3.1.0");
  const calls = Object.entries(body.paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
  );
  const types = await Deno.readTextFile(new URL("../api/types.ts", import.meta.url));
  const promised = [...types.matchAll(/^ \* \| `([A-Z]+) ([^?`]+)/gm)].map(([, method, path]) =>
    `${method} ${path!.replaceAll(/:(\w+)/g, "{$1}")}`
  );
  assert.ok(promised.length >= 13);
  assert.deepEqual(promised.filter((call) => !calls.includes(call)), []);
  const login = body.paths["/api/session"].post.requestBody.content["application/json"].schema;
  assert.equal(login.properties.password.maxLength, 256);
});

Deno.test("the console's files come with their headers, and nothing beside them", async () => {
  await using test = await TestDistrict.open(clock);
  const get = async (path: string) => {
    const response = await test.fetch(path);
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const missing = await get("/");
  assert.equal(missing.status, 404);
  assert.match(missing.text, /web:build/);
  await Deno.mkdir(`${test.dataDir}/web/assets`, { recursive: true });
  await Deno.writeTextFile(`${test.dataDir}/web/index.html`, "<!doctype html>page");
  await Deno.writeTextFile(`${test.dataDir}/web/assets/a-1.js`, "1");
  for (const path of ["/", "/boxes/bx-1", "/index.html"]) {
    const page = await get(path);
    assert.deepEqual([page.status, page.text], [200, "<!doctype html>page"], path);
    assert.equal(page.headers.get("cache-control"), "no-cache");
    assert.match(page.headers.get("content-security-policy")!, /script-src 'self'/);
  }
  const script = await get("/assets/a-1.js");
  assert.match(script.headers.get("cache-control")!, /immutable/);
  assert.equal(script.headers.get("content-type"), "text/javascript; charset=utf-8");
  assert.equal((await get("/assets/none.js")).status, 404);
  for (
    const path of ["/..%2fca.pem", "/%2e%2e/district.key", "/..%5cca.pem", "/.%2e/tls.pem", "/%00"]
  ) {
    const answer = await get(path);
    assert.ok(!answer.text.includes("BEGIN"), path);
  }
});

Deno.test("what operators do is written down", async () => {
  await using test = await TestDistrict.open(clock);
  await test.call("POST", "session", { username: "admin", password: "wrong" });
  await test.login();
  using box = await test.box();
  await test.call("POST", "enrolment-tokens", {});
  await test.call("POST", `boxes/${box.id}/commands`, {
    command: { name: "door.open", door: "main" },
  });
  const { DatabaseSync } = await import("node:sqlite");
  const db = new DatabaseSync(`${test.dataDir}/district.sqlite`, { readOnly: true });
  const rows = db.prepare("SELECT operator, action FROM audit ORDER BY id").all()
    .map((row) => `${row.operator} ${row.action}`);
  db.close();
  assert.deepEqual(rows, [
    " login.refused",
    "admin login",
    "(program) token.created",
    " box.enrolled",
    "admin token.created",
    "admin command.door.open",
  ]);
  assert.ok(!test.log.lines.join().includes(test.district.firstOperator!.password));
});
