import assert from "node:assert/strict";
import { processClock } from "../../hal/linux/clock.ts";
import type { BoxStatus, DownMessage } from "../../sync/wire/mod.ts";
import type { LiveMessage } from "../api/types.ts";
import { TestDistrict } from "../testing/district.ts";

const clock = processClock();

const STATUS: BoxStatus = {
  kind: "status",
  name: "西门",
  version: "0.1.0",
  policyVersion: 0,
  doors: [{ id: "main", mode: "normal", unlocked: false }],
  readers: [{ id: "in", door: "main", online: true }],
  backlogEvents: 0,
  rssBytes: 1,
  uptimeMs: 1,
};

async function until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
  const endMs = clock.monotonicMs() + 5_000;
  while (!await condition()) {
    assert.ok(clock.monotonicMs() < endMs, `${what} did not come about`);
    await clock.sleep(10, new AbortController().signal);
  }
}

async function next<K extends DownMessage["kind"]>(
  link: { next(): Promise<DownMessage> },
  kind: K,
): Promise<DownMessage & { kind: K }> {
  const message = await link.next();
  assert.equal(message.kind, kind);
  return message as DownMessage & { kind: K };
}

Deno.test("a box is greeted, shows its state, and is missed when it goes", async () => {
  await using test = await TestDistrict.open(clock);
  using box = await test.box();
  const seen: LiveMessage[] = [];
  test.district.onLive((message) => seen.push(message));
  assert.equal((await test.district.boxes())[0]!.online, false);
  const link = await box.link();
  const hello = await next(link, "hello");
  assert.deepEqual([hello.boxId, hello.nonce, hello.policyVersion], [box.id, link.nonce, 0]);
  assert.ok(Math.abs(hello.serverWallMs - clock.wallMs()) < 5_000);
  link.send(STATUS);
  await until("status", async () => (await test.district.boxes())[0]!.status !== undefined);
  const [view] = await test.district.boxes();
  assert.deepEqual([view!.name, view!.online, view!.status!.doors], ["西门", true, STATUS.doors]);
  await link.close();
  await until("offline", async () => !(await test.district.boxes())[0]!.online);
  const after = (await test.district.boxes())[0]!;
  assert.deepEqual(after.status!.readers, STATUS.readers);
  await until(
    "live offline",
    () => seen.some((message) => message.kind === "box" && !message.box.online),
  );
});

Deno.test("commands go down as they are issued, and pending ones at the next link, in order", async () => {
  await using test = await TestDistrict.open(clock);
  using box = await test.box();
  const { district } = test;
  const command = { name: "door.open", door: "main" } as const;
  const first = await district.command(box.id, command);
  const second = await district.command(box.id, { name: "door.mode", door: "main", mode: "free" });
  await district.command(box.id, command, 1_000);
  await clock.sleep(1_050, new AbortController().signal);
  const link = await box.link();
  await next(link, "hello");
  assert.equal((await next(link, "command")).id, first.id);
  assert.equal((await next(link, "command")).id, second.id);
  const third = await district.command(box.id, command);
  const message = await next(link, "command");
  assert.deepEqual(
    [message.id, message.expiresWallMs, message.command],
    [third.id, third.expiresMs, command],
  );
  box.record([
    { kind: "command.result", id: third.id, outcome: "done" },
    { kind: "command.result", id: first.id, outcome: "refused", detail: "locked" },
  ]);
  await box.upload([box.batch("command", 0, 2)]);
  assert.equal((await district.commandState(third.id)).state, "done");
  const refused = await district.commandState(first.id);
  assert.deepEqual([refused.state, refused.detail], ["refused", "locked"]);
  assert.equal((await district.commandState(second.id)).state, "pending");
  await link.close();
});

Deno.test("an expired command says so by itself", async () => {
  await using test = await TestDistrict.open(clock);
  using box = await test.box();
  const states: string[] = [];
  test.district.onLive((message) => {
    if (message.kind === "command") states.push(message.command.state);
  });
  await test.district.command(box.id, { name: "door.open", door: "main" }, 1_000);
  await until("expiry", () => states.length === 2);
  assert.deepEqual(states, ["pending", "expired"]);
});

Deno.test("a newer link takes the place of the older one; policy is announced", async () => {
  await using test = await TestDistrict.open(clock);
  using box = await test.box();
  const older = await box.link();
  await next(older, "hello");
  const newer = await box.link();
  await next(newer, "hello");
  await older.closed;
  assert.equal((await test.district.boxes())[0]!.online, true);
  await test.district.importCardholders(
    new TextEncoder().encode("number,name\n1,Li\n"),
  );
  assert.equal((await next(newer, "policy.available")).version, 1);
  await test.district.revoke(box.id);
  assert.equal((await newer.closed).code, 1008);
});

Deno.test("a link that is not answered is given up within seconds", async () => {
  await using test = await TestDistrict.open(clock, { linkIdleTimeoutS: 1 });
  using box = await test.box();
  // A socket that was upgraded rightly, and then says nothing more: as a pulled plug looks.
  const { signRequest } = await import("../../sync/wire/mod.ts");
  const url = `${box.url}/api/box/v1/link`;
  const { headers } = signRequest(
    { method: "GET", url, body: new Uint8Array() },
    box.id,
    box.key,
    clock.wallMs(),
  );
  const connection = await Deno.connectTls({
    hostname: "localhost",
    port: test.district.port,
    caCerts: [test.district.caPem],
  });
  const lines = Object.entries({
    host: new URL(url).host,
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  await connection.write(
    new TextEncoder().encode(`GET /api/box/v1/link HTTP/1.1\r\n${lines.join("")}\r\n`),
  );
  await until("online", async () => (await test.district.boxes())[0]!.online);
  const onlineMs = clock.monotonicMs();
  await until("offline", async () => !(await test.district.boxes())[0]!.online);
  assert.ok(clock.monotonicMs() - onlineMs < 4_000);
  connection.close();
});
