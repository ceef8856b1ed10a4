import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Clock } from "../../hal/mod.ts";
import { processClock } from "../../hal/linux/clock.ts";
import { TestDistrict } from "../testing/district.ts";
import { ALL, type DdiClient, feedback, layOut, UpdateDesk } from "../testing/updates.ts";

const clock = processClock();
const PATH = "os/1.2.3/gate.swu";
const CONTENT = "0123456789".repeat(20_000);

async function opened() {
  const test = await TestDistrict.open(clock);
  layOut(test.dataDir, PATH, CONTENT, "1.2.3");
  const desk = new UpdateDesk(test);
  await desk.ok("li", "POST", "releases", { path: PATH });
  return { test, desk, [Symbol.asyncDispose]: () => test[Symbol.asyncDispose]() };
}

Deno.test("a client is told of its deployment, fetches it in parts, and tells how it ended", async () => {
  await using at = await opened();
  const client = await at.desk.client("gate-1");
  assert.deepEqual(Object.keys(await client.poll()), ["configData"]);
  const put = await client.request("PUT", "/configData", { data: { hw: "pi4" } });
  assert.deepEqual([put.status, await client.poll()], [200, {}]);
  const { id } = await at.desk.rollout(PATH);
  const links = await client.poll();
  const { json } = await client.request("GET", links.deploymentBase!);
  const { deployment: { chunks: [chunk] } } = json;
  const [artifact] = chunk.artifacts;
  assert.deepEqual(
    [chunk.part, chunk.version, artifact.filename, artifact.size, artifact.hashes],
    ["os", "1.2.3", "gate.swu", 200_000, {
      sha1: createHash("sha1").update(CONTENT).digest("hex"),
      sha256: createHash("sha256").update(CONTENT).digest("hex"),
    }],
  );
  const href = artifact._links.download.href as string;
  const whole = await client.request("GET", href);
  assert.deepEqual([whole.status, whole.text === CONTENT], [200, true]);
  const get = (range: string, more = {}) =>
    client.request("GET", href, undefined, { range, ...more });
  const part = await get("bytes=199990-");
  assert.deepEqual([part.status, part.text], [206, "0123456789"]);
  assert.equal(part.headers.get("content-range"), "bytes 199990-199999/200000");
  assert.equal((await get("bytes=5-8")).text, "5678");
  assert.equal((await get("bytes=200000-")).status, 416);
  assert.equal((await get("bytes=0-0", { "if-range": '"other"' })).status, 200);
  const head = await client.request("HEAD", href);
  assert.deepEqual([head.status, head.headers.get("content-length")], [200, "200000"]);
  const tell = `${links.deploymentBase}/feedback`;
  assert.equal((await client.request("POST", tell, feedback("proceeding", "none"))).status, 200);
  assert.equal((await client.request("POST", tell, feedback("closed", "success"))).status, 200);
  // An answer that was lost makes a client tell it again; what differs is too late.
  assert.equal((await client.request("POST", tell, feedback("closed", "success"))).status, 200);
  assert.equal((await client.request("POST", tell, feedback("closed", "failure"))).status, 410);
  assert.deepEqual(await client.poll(), {});
  assert.equal((await client.request("GET", href)).status, 404);
  const view = await at.desk.ok("li", "GET", `rollouts/${id}`);
  assert.deepEqual([view.status, view.groups[0].installed], ["finished", 1]);
});

Deno.test("a failure's reason is shown, and an aborted rollout is called off", async () => {
  await using at = await opened();
  const clients = [];
  for (const id of ["gate-1", "gate-2", "gate-3"]) clients.push(await at.desk.client(id));
  const [first, second, third] = clients as [DdiClient, DdiClient, DdiClient];
  const { id } = await at.desk.rollout(PATH);
  const links = await Promise.all(clients.map((client) => client.poll()));
  const reason = feedback("closed", "failure", "checksum\u0000 wrong", "gave up");
  await first.request("POST", `${links[0]!.deploymentBase}/feedback`, reason);
  await at.desk.ok("wang", "POST", `rollouts/${id}/abort`);
  const { cancelAction } = await second.poll();
  const { json } = await second.request("GET", cancelAction!);
  assert.equal(json.cancelAction.stopId, json.id);
  assert.equal((await second.request("GET", links[1]!.deploymentBase!)).status, 404);
  await second.request("POST", `${cancelAction}/feedback`, feedback("closed", "success"));
  assert.equal((await second.poll()).cancelAction, undefined);
  await third.request("POST", `${(await third.poll()).cancelAction}/feedback`, {
    ...feedback("rejected", "none"),
    id: links[2]!.deploymentBase!.split("/").at(-1),
  });
  const { deploymentBase } = await third.poll();
  await third.request("POST", `${deploymentBase}/feedback`, feedback("closed", "success"));
  const targets = await at.desk.ok("li", "GET", `rollouts/${id}/targets`);
  const byId = Object.fromEntries(
    targets.map((each: Record<string, string>) => [each.controllerId, [each.state, each.reason]]),
  );
  assert.deepEqual(byId, {
    "gate-1": ["failed", "checksum  wrong; gave up"],
    "gate-2": ["cancelled", ""],
    "gate-3": ["installed", ""],
  });
  const failed = await at.desk.ok("li", "GET", `rollouts/${id}/targets?state=failed`);
  assert.equal(failed.length, 1);
});

Deno.test("a stranger and a wrong token learn nothing, and guessing is slowed down", async () => {
  await using at = await opened();
  const client = await at.desk.client("gate-1");
  const other = await at.desk.client("gate-2");
  await at.desk.rollout(PATH);
  const { deploymentBase } = await client.poll();
  const wrong = async (id: string, authorization: string | undefined) => {
    const response = await at.test.fetch(`/DEFAULT/controller/v1/${id}`, {
      headers: authorization === undefined ? {} : { authorization },
    });
    return [response.status, await response.text()] as const;
  };
  const right = `TargetToken ${client.token}`;
  const answers = [
    await wrong("gate-1", undefined),
    await wrong("gate-1", `TargetToken ${other.token}`),
    await wrong("gate-1", `Bearer ${client.token}`),
    await wrong("gate-9", right),
    await wrong("__proto__", right),
    await wrong("gate-1%2f..%2fgate-2", right),
    await wrong(`${"x".repeat(200)}`, right),
  ];
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  assert.equal(answers[0]![0], 401);
  // One client's token opens nothing of another's.
  const path = deploymentBase!.replace("gate-1", "gate-2");
  assert.equal((await other.request("GET", path)).status, 404);
  const tell = await other.request("POST", `${path}/feedback`, feedback("closed", "failure"));
  assert.equal(tell.status, 404);
  const more = await Promise.all(
    Array.from({ length: 80 }, () => wrong("gate-1", "TargetToken x")),
  );
  assert.ok(more.some(([status]) => status === 429));
  // Whoever has the right token is not kept out by who has not.
  assert.equal((await client.request("GET", "")).status, 200);
  // A new token ends the old one, and a withdrawal every one.
  const renewed = await at.desk.client("gate-1");
  assert.equal((await renewed.request("GET", "")).status, 200);
  const refused = async () => [401, 429].includes((await client.request("GET", "")).status);
  assert.ok(await refused());
  assert.equal((await at.desk.call("li", "DELETE", "controllers/gate-2")).status, 204);
  assert.equal((await at.desk.call("li", "DELETE", "controllers/gate-2")).status, 404);
  const { status } = await other.request("GET", "");
  assert.ok([401, 429].includes(status), String(status));
});

Deno.test("hostile requests get a reason, not a stack", async () => {
  await using at = await opened();
  const client = await at.desk.client("gate-1");
  await at.desk.rollout(PATH);
  const { deploymentBase } = await client.poll();
  const tell = `${deploymentBase}/feedback`;
  const expect = async (status: number, method: string, path: string, body?: unknown) => {
    const { status: got, json } = await client.request(method, path, body);
    assert.equal(got, status, `${method} ${path} ${JSON.stringify(json)}`);
    assert.equal(typeof json.message, "string");
    assert.ok(!/at file:|node_modules|updates\//.test(JSON.stringify(json)));
  };
  await expect(400, "POST", tell, "{");
  await expect(400, "POST", tell, "null");
  await expect(400, "POST", tell, { status: {} });
  await expect(400, "POST", tell, feedback("closed", "none"));
  await expect(400, "POST", tell, feedback("exploded", "success"));
  await expect(400, "POST", tell, { ...feedback("closed", "success"), id: "999" });
  await expect(400, "POST", tell, feedback("closed", "failure", ...Array(2_000).fill("x")));
  await expect(413, "POST", tell, feedback("closed", "failure", "x".repeat(300_000)));
  await expect(404, "POST", "/deploymentBase/99999/feedback", feedback("closed", "success"));
  await expect(404, "POST", "/deploymentBase/1e3/feedback", feedback("closed", "success"));
  await expect(404, "GET", `/cancelAction/${deploymentBase!.split("/").at(-1)}`);
  const file = `/actions/${deploymentBase!.split("/").at(-1)}/artifacts`;
  await expect(404, "GET", `${file}/..%2f..%2f..%2fdistrict.key`);
  await expect(400, "GET", `${file}/%E0%A4%A`);
  await expect(404, "DELETE", "");
  await expect(404, "GET", "/installedBase/1");
  await expect(400, "PUT", "/configData", { data: { a: 1 } });
  await expect(400, "PUT", "/configData", { data: { a: "x".repeat(2_000) } });
  const many = (from: number) =>
    Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`k${from + index}`, "v"]));
  assert.equal((await client.request("PUT", "/configData", { data: many(0) })).status, 200);
  await expect(400, "PUT", "/configData", { data: many(60) });
  const text = await client.request("POST", tell, "x", { "content-type": "text/plain" });
  assert.equal(text.status, 415);
  // After all this the action is as open as before.
  assert.equal((await client.poll()).deploymentBase, deploymentBase);
});

Deno.test("a file that is not what was signed becomes no release, and is not served", async () => {
  await using at = await opened();
  const { dataDir } = at.test;
  const add = async (path: string) => {
    const { status, body } = await at.desk.call("li", "POST", "releases", { path });
    return `${status} ${body.error.message}`;
  };
  assert.match(await add("os/9.9.9/none.swu"), /404 .*not published/);
  const client = await at.desk.client("gate-1");
  await at.desk.rollout(PATH);
  const { deploymentBase } = await client.poll();
  const { json } = await client.request("GET", deploymentBase!);
  const folder = `${dataDir}/updates/targets/os/1.2.3`;
  const [{ name }] = [...Deno.readDirSync(folder)] as [Deno.DirEntry];
  Deno.truncateSync(`${folder}/${name}`, 1_000);
  const artifact = await client.request(
    "GET",
    json.deployment.chunks[0].artifacts[0]._links.download.href,
  );
  assert.equal(artifact.status, 503);
  Deno.writeTextFileSync(`${folder}/${name}`, CONTENT.replace("0", "x"));
  assert.match(await add(PATH), /422 .*not what its metadata says/);
  layOut(dataDir, PATH, "other");
  assert.match(await add(PATH), /422 .*with other content before/);
  Deno.writeTextFileSync(`${dataDir}/updates/metadata/5.app.json`, "{}");
  assert.match(await add(PATH), /422 .*not the metadata/);
  Deno.removeSync(`${dataDir}/updates/metadata/timestamp.json`);
  assert.match(await add(PATH), /404 .*copy what gatehouse ota published/);
});

Deno.test("of the repository only what is published is served, and to those with a token", async () => {
  await using at = await opened();
  const { dataDir } = at.test;
  const client = await at.desk.client("gate-1");
  const get = async (path: string) => (await client.request("GET", `/tuf/${path}`)).status;
  const timestamp = await client.request("GET", "/tuf/metadata/timestamp.json");
  assert.deepEqual([timestamp.status, JSON.parse(timestamp.text).signed.meta["snapshot.json"]], [
    200,
    { version: 3 },
  ]);
  const [{ name }] = [...Deno.readDirSync(`${dataDir}/updates/targets/os/1.2.3`)] as [
    Deno.DirEntry,
  ];
  const target = `targets/os/1.2.3/${name}`;
  const part = await client.request("GET", `/tuf/${target}`, undefined, { range: "bytes=199995-" });
  assert.deepEqual([part.status, part.text], [206, "56789"]);
  Deno.mkdirSync(`${dataDir}/updates/metadata/folder.json`);
  Deno.mkdirSync(`${dataDir}/updates/drafts`);
  Deno.writeTextFileSync(`${dataDir}/updates/drafts/app.1.json`, "{}");
  Deno.writeTextFileSync(`${dataDir}/updates/targets/os/1.2.3/.x.new`, "half");
  const never = [
    "",
    "metadata",
    "metadata/",
    "metadata/9.root.json",
    "metadata/folder.json",
    "metadata/..%2f..%2fdistrict.sqlite",
    "metadata/..%2f..%2fdistrict.key%00.json",
    "drafts/app.1.json",
    "targets/os/1.2.3/.x.new",
    "targets/os/1.2.3",
    "targets/%2e%2e%2fmetadata/timestamp.json",
    `targets/${"a/".repeat(40)}x`,
    `metadata/${"a".repeat(300)}.json`,
  ];
  for (const path of never) assert.equal(await get(path), 404, path);
  const strange = await at.test.fetch("/DEFAULT/controller/v1/gate-1/tuf/metadata/timestamp.json");
  assert.equal(strange.status, 401);
  await strange.body?.cancel();
});

Deno.test("a device that has run wild is slowed down, and no other one", async () => {
  await using at = await opened();
  const wild = await at.desk.client("gate-1");
  const calm = await at.desk.client("gate-2");
  const count = { ok: 0, limited: 0 };
  for (let round = 0; round < 7; round++) {
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => wild.request("GET", "")),
    );
    for (const { status, headers } of answers) {
      if (status === 200) count.ok++;
      else if (status === 429 && Number(headers.get("retry-after")) > 30) count.limited++;
    }
  }
  assert.deepEqual(count, { ok: 600, limited: 100 });
  // Parts of files are counted apart: a system is read in thousands of them.
  assert.notEqual((await wild.request("GET", "/tuf/targets/none")).status, 429);
  assert.equal((await calm.request("GET", "")).status, 200);
});

Deno.test("a rollout taken back gives a client what it had before", async () => {
  await using at = await opened();
  const [one, other] = [await at.desk.client("gate-1"), await at.desk.client("gate-2")];
  const installs = async (client: DdiClient) => {
    const { deploymentBase } = await client.poll();
    const { json } = await client.request("GET", deploymentBase!);
    await client.request("POST", `${deploymentBase}/feedback`, feedback("closed", "success"));
    return json.deployment.chunks[0].name;
  };
  await at.desk.rollout(PATH);
  await installs(one);
  await installs(other);
  const next = "os/1.3.0/gate.swu";
  layOut(at.test.dataDir, next, "another", "1.3.0", true);
  await at.desk.ok("li", "POST", "releases", { path: next });
  const { id } = await at.desk.rollout(next);
  const back = () => at.desk.call("wang", "POST", `rollouts/${id}/roll-back`);
  assert.deepEqual([
    (await back()).status,
    (await at.desk.call("li", "POST", "rollouts/99/roll-back")).status,
  ], [409, 404]);
  assert.equal(await installs(one), next);
  const { status, body } = await back();
  assert.equal(status, 200);
  assert.deepEqual([body.rollouts.length, body.rollouts[0].status, body.left], [1, "running", []]);
  assert.deepEqual([body.rollouts[0].release, body.rollouts[0].groups[0].boxes], [PATH, 1]);
  assert.equal(await installs(one), PATH);
  assert.equal((await other.poll()).deploymentBase, undefined);
  const view = await at.desk.ok("li", "GET", `rollouts/${body.rollouts[0].id}`);
  assert.equal(view.status, "finished");
  at.test.cookie = "";
  assert.equal((await at.test.call("POST", `rollouts/${id}/roll-back`, {})).status, 401);
});

Deno.test("the console says why a rollout cannot be made or moved", async () => {
  await using at = await opened();
  await at.desk.client("gate-1", { school: "north" });
  const draft = async (change: object) => {
    const body = { name: "winter", release: PATH, groups: ALL, ...change };
    const { status, body: answer } = await at.desk.call("li", "POST", "rollouts", body);
    return `${status} ${answer.error?.message}`;
  };
  assert.match(await draft({ release: "os/1/x" }), /404 .*add it first/);
  assert.match(await draft({ filter: { labels: { school: "south" } } }), /422 .*no target is left/);
  assert.match(await draft({ groups: [] }), /^400 groups/);
  assert.match(await draft({ groups: [{ ...ALL[0], percent: 0 }] }), /^400 groups\.0\.percent/);
  assert.match(await draft({ groups: [{ ...ALL[0], percent: 1e-9 }] }), /^400/);
  assert.match(await draft({ admin: true }), /^400/);
  assert.match(await draft({ name: "x".repeat(101) }), /^400 name/);
  const { id } = await at.desk.ok("li", "POST", "rollouts", {
    name: "winter",
    release: PATH,
    groups: ALL,
  });
  await at.desk.ok("li", "POST", `rollouts/${id}/submit`);
  const approve = await at.desk.call("li", "POST", `rollouts/${id}/approve`);
  assert.deepEqual([approve.status, approve.body.error.code], [409, "conflict"]);
  assert.equal((await at.desk.call("li", "POST", `rollouts/${id}9/pause`)).status, 404);
  assert.equal((await at.desk.call("li", "POST", "rollouts/x/pause")).status, 404);
  assert.equal((await at.desk.call("li", "POST", `rollouts/${id}/explode`)).status, 404);
  await at.desk.ok("wang", "POST", `rollouts/${id}/reject`);
  await at.desk.ok("wang", "POST", `rollouts/${id}/abort`);
  const [view] = await at.desk.ok("li", "GET", "rollouts");
  assert.deepEqual([view.status, view.groups[0].boxes], ["aborted", 1]);
  const { audit } = await at.desk.ok("li", "GET", `rollouts/${id}`);
  assert.deepEqual(audit.map((line: { what: { kind: string } }) => line.what.kind), [
    ...["made", "submitted", "rejected", "aborted"],
  ]);
  at.test.cookie = "";
  for (const path of ["releases", "controllers", "rollouts", `rollouts/${id}/targets`]) {
    assert.equal((await at.test.call("GET", path)).status, 401, path);
  }
});

Deno.test("outside a rollout's window a deployment is to be fetched, and not installed", async () => {
  const wallMs = Temporal.PlainDateTime.from("2026-06-05T12:00")
    .toZonedDateTime("Asia/Shanghai").epochMilliseconds;
  const at = { wallMs };
  await using test = await TestDistrict.open({ ...clockOf(clock), wallMs: () => at.wallMs });
  layOut(test.dataDir, PATH, CONTENT, "1.2.3");
  const desk = new UpdateDesk(test);
  await desk.ok("li", "POST", "releases", { path: PATH });
  const client = await desk.client("gate-1");
  const window = {
    timezone: "Asia/Shanghai",
    weekly: [{ days: [1, 2, 3, 4, 5], from: "19:00", to: "05:30" }],
    notOn: ["2026-06-08"],
  };
  const draft = { name: "winter", release: PATH, groups: ALL };
  const wrong = { ...draft, window: { ...window, timezone: "Asia/Nowhere" } };
  assert.equal((await desk.call("li", "POST", "rollouts", wrong)).status, 422);
  const late = { ...draft, window: { ...window, weekly: [{ days: [8], from: "19", to: "5" }] } };
  assert.equal((await desk.call("li", "POST", "rollouts", late)).status, 400);
  const { id, window: kept } = await desk.ok("li", "POST", "rollouts", { ...draft, window });
  assert.deepEqual(kept, window);
  await desk.ok("li", "POST", `rollouts/${id}/submit`);
  await desk.ok("wang", "POST", `rollouts/${id}/approve`);
  const ask = async () => {
    const { deploymentBase } = await client.poll();
    const { json: { deployment } } = await client.request("GET", deploymentBase!);
    return [deployment.download, deployment.update, deployment.maintenanceWindow];
  };
  assert.deepEqual(await ask(), ["forced", "skip", "unavailable"]);
  at.wallMs += 8 * 3_600_000;
  assert.deepEqual(await ask(), ["forced", "forced", "available"]);
});

/** A clock's methods, to put another one in the place of one of them. */
function clockOf(of: Clock): Clock {
  return {
    monotonicMs: () => of.monotonicMs(),
    wallMs: () => of.wallMs(),
    wallQuality: () => of.wallQuality(),
    sleep: (ms, signal) => of.sleep(ms, signal),
    schedule: (ms, callback) => of.schedule(ms, callback),
  };
}
