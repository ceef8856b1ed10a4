import assert from "node:assert/strict";
import { join } from "node:path";
import { processClock } from "../../hal/linux/clock.ts";
import { Publisher } from "../../ota/testing/mod.ts";
import { publicKey } from "../../ota/repository/mod.ts";
import { TimeFloor, UpdateTrust } from "../../ota/trust/mod.ts";
import { SigningKey, signRequest } from "../../sync/wire/mod.ts";
import { keyOfDistrict } from "../../district/district.ts";
import { TestDistrict } from "../../district/testing/district.ts";
import { UpdateDesk } from "../../district/testing/updates.ts";

const clock = processClock();
const never = new AbortController().signal;
const PATH = "app/1.2.3/gatehouse.tar.zst";

async function opened() {
  const test = await TestDistrict.open(clock);
  const key = keyOfDistrict(test.dataDir, "assign");
  const folder = join(test.dataDir, "updates");
  const publisher = await Publisher.begin(folder, clock.wallMs(), {
    key: publicKey(key.publicKey),
    sign: (bytes) => Promise.resolve(key.sign(bytes)),
  });
  await publisher.release("1.2.3", "a release");
  await publisher.publish();
  const desk = new UpdateDesk(test);
  await desk.ok("li", "POST", "releases", { path: PATH });
  const box = await test.box();
  /** A signed call as `id`, by `by`. */
  const call = async (
    path: string,
    { method = "GET", body, id = box.id, by = { id: box.id, key: box.key }, headers = {} }: {
      method?: string;
      body?: string;
      id?: string;
      by?: { id: string; key: SigningKey };
      headers?: Readonly<Record<string, string>>;
    } = {},
  ) => {
    const at = `/DEFAULT/controller/v1/${id}${path}`;
    const bytes = new TextEncoder().encode(body ?? "");
    const url = test.district.url + at;
    const signed = signRequest({ method, url, body: bytes }, by.id, by.key, clock.wallMs());
    const all = { "content-type": "application/json", ...signed.headers, ...headers };
    const send = () =>
      test.fetch(at, { method, headers: all, ...body === undefined ? {} : { body: bytes } });
    const response = await send();
    return { status: response.status, bytes: await response.bytes(), send };
  };
  return {
    test,
    desk,
    box,
    call,
    publisher,
    async [Symbol.asyncDispose]() {
      box[Symbol.dispose]();
      await test[Symbol.asyncDispose]();
    },
  };
}

Deno.test("an enrolled box is known by its signature, and becomes a controller with its first call", async () => {
  await using at = await opened();
  assert.equal((await at.desk.ok("li", "GET", "controllers")).length, 0);
  const first = await at.call("");
  assert.equal(first.status, 200);
  assert.equal((await at.desk.ok("li", "GET", "controllers"))[0].id, at.box.id);
  const data = JSON.stringify({ mode: "replace", data: { version: "0.1.0" } });
  assert.equal((await at.call("/configData", { method: "PUT", body: data })).status, 200);
  const [{ attributes }] = await at.desk.ok("li", "GET", "controllers");
  assert.deepEqual(attributes, { version: "0.1.0" });
  // The very request again, another box's name, another key, a body that nobody signed.
  const replayed = await first.send();
  await replayed.body?.cancel();
  assert.equal(replayed.status, 401);
  using other = await at.test.box("other");
  assert.equal((await at.call("", { id: other.id })).status, 401);
  const by = { id: at.box.id, key: SigningKey.generate() };
  assert.equal((await at.call("", { by })).status, 401);
  const digest = { "content-digest": "sha-256=:AAAA:" };
  assert.equal(
    (await at.call("/configData", { method: "PUT", body: data, headers: digest })).status,
    401,
  );
  await at.test.district.revoke(at.box.id);
  assert.equal((await at.call("")).status, 403);
});

Deno.test("a box that operators withdraw from updates does not come back by itself", async () => {
  await using at = await opened();
  await at.call("");
  await at.desk.ok("li", "DELETE", `controllers/${at.box.id}`);
  assert.equal((await at.call("")).status, 403);
});

Deno.test("what a box is to install is assigned to it alone, and believed by what runs on it", async () => {
  await using at = await opened();
  await at.call("");
  await at.desk.rollout(PATH);
  const { _links } = JSON.parse(new TextDecoder().decode((await at.call("")).bytes));
  const action = Number(/\d+$/.exec(_links.deploymentBase.href)![0]);
  const ask = async () => (await at.call(`/deploymentBase/${action}/assignment`)).bytes;
  const first = await ask();
  assert.deepEqual(await ask(), first, "the same word again");
  const folder = await Deno.makeTempDir({ prefix: "box-assignment-" });
  try {
    const trust = new UpdateTrust({
      dir: join(folder, "trust"),
      root: at.publisher.rootBytes(),
      source: {
        get: async (path) => {
          const { status, bytes } = await at.call(`/tuf/${path}`);
          return { status, body: status === 200 ? new Blob([bytes]).stream() : null };
        },
      },
      clock,
      floor: new TimeFloor(join(folder, "floor"), 0, clock),
    });
    const check = (boxId: string) =>
      trust.look(never, (view) => view.assignment("assign-north", boxId, first));
    const { targets, version } = await check(at.box.id);
    assert.deepEqual([targets.map(({ path }) => path), version], [[PATH], 1]);
    await assert.rejects(check("bx-11111111111111111111"), { kind: "refused" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  assert.equal((await at.call(`/deploymentBase/${action + 1}/assignment`)).status, 404);
});
