/** The suite's command line, as a process, against repositories of a publisher. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { FolderSource, memoryKey, Publisher } from "../../ota/testing/mod.ts";

const CLIENT = new URL("client", import.meta.url).pathname;
const NAME = "app/1.2.3/gatehouse.tar.zst";
const DAY_MS = 86_400_000;

/** A repository on HTTP, and the suite's folders. */
async function rig(nowMs = Date.now()) {
  const folder = await Deno.makeTempDir({ prefix: "conformance-" });
  const repository = join(folder, "repository");
  const publisher = await Publisher.begin(repository, nowMs);
  const files = new FolderSource(repository);
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      const { status, body } = await files.get(pathname.slice(1), request.signal);
      return new Response(body, { status });
    },
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  const [metadata, targets, root] = ["metadata", "targets", "root.json"].map((name) =>
    join(folder, name)
  ) as [string, string, string];
  for (const path of [metadata, targets]) await Deno.mkdir(path);
  await Deno.writeFile(root, publisher.rootBytes());
  const client = async (...args: string[]) => {
    const { code, stderr } = await new Deno.Command(CLIENT, {
      args: ["--metadata-dir", metadata, ...args],
    }).output();
    return { code, said: new TextDecoder().decode(stderr) };
  };
  const at = ["--metadata-url", `${url}/metadata`];
  return {
    publisher,
    files,
    client,
    init: () => client("init", root),
    refresh: () => client(...at, "refresh"),
    download: (name: string) =>
      client(
        ...[...at, "--target-name", name, "--target-base-url", `${url}/targets`],
        ...["--target-dir", targets, "download"],
      ),
    version: (role: string): number =>
      JSON.parse(Deno.readTextFileSync(join(metadata, `${role}.json`))).signed.version,
    roles: () =>
      [...Deno.readDirSync(metadata)].map(({ name }) => name).filter((name) =>
        name.endsWith(".json")
      ).sort(),
    artifacts: () =>
      [...Deno.readDirSync(targets)].map(({ name }) => Deno.readTextFileSync(join(targets, name))),
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test("init, refresh and download, with the plain names in the metadata folder", async () => {
  await using r = await rig();
  assert.equal((await r.init()).code, 0);
  assert.deepEqual(r.roles(), ["root.json"]);
  assert.equal(r.files.asked.length, 0, "init asks for nothing");
  assert.equal((await r.refresh()).code, 0);
  assert.deepEqual(r.roles(), ["root.json", "snapshot.json", "targets.json", "timestamp.json"]);
  await r.publisher.release("1.2.3", "a release");
  await r.publisher.publish();
  const first = await r.download(NAME);
  assert.equal(first.code, 0, first.said);
  assert.deepEqual(r.artifacts(), ["a release"]);
  // The same again is not fetched again.
  r.files.asked.length = 0;
  assert.equal((await r.download(NAME)).code, 0);
  assert.deepEqual(r.files.asked.filter((path) => path.startsWith("targets/")), []);
  assert.equal((await r.download("app/9.9.9/none")).code, 1);
  assert.equal((await r.client("refresh")).code, 2, "without a repository's address");
});

Deno.test("a root that rotates is followed; what strangers sign is not, and what was trusted stays", async () => {
  await using r = await rig();
  await r.init();
  const { publisher } = r;
  const before = publisher.root;
  publisher.root = [before[0]!, before[1]!, memoryKey()];
  await publisher.newRoot([...before.slice(0, 2), publisher.root[2]!]);
  assert.equal((await r.refresh()).code, 0);
  assert.equal(r.version("root"), 2);
  const forged = JSON.parse(new TextDecoder().decode(publisher.read("metadata/2.root.json")));
  forged.signed.version = 3;
  r.files.put("metadata/3.root.json", new TextEncoder().encode(JSON.stringify(forged)));
  assert.equal((await r.refresh()).code, 1);
  assert.equal(r.version("root"), 2);
});

Deno.test("rollback and freeze are refused", async () => {
  await using r = await rig();
  await r.init();
  const old = r.publisher.read("metadata/timestamp.json");
  await r.publisher.release("1.2.3", "a release");
  await r.publisher.publish();
  assert.equal((await r.refresh()).code, 0);
  const trusted = r.version("timestamp");
  r.files.put("metadata/timestamp.json", old);
  assert.equal((await r.refresh()).code, 1);
  assert.equal(r.version("timestamp"), trusted);

  await using frozen = await rig(Date.now() - 60 * DAY_MS);
  await frozen.init();
  const refused = await frozen.refresh();
  assert.equal(refused.code, 1);
  assert.match(refused.said, /expired/);
});

Deno.test("a target of another content or length is not kept", async () => {
  await using r = await rig();
  await r.init();
  const target = await r.publisher.release("1.2.3", "a release");
  await r.publisher.publish();
  const path = `targets/app/1.2.3/${target.hashes.sha256}.gatehouse.tar.zst`;
  for (const text of ["a relapse", "a", "a release and more"]) {
    r.files.put(path, new TextEncoder().encode(text));
    assert.equal((await r.download(NAME)).code, 1, text);
    assert.ok(!r.artifacts().includes(text));
  }
});
