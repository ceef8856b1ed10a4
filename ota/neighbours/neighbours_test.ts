import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { join } from "node:path";
import { linuxClock } from "../../hal/linux/mod.ts";
import { download, pathOf } from "../fetch/mod.ts";
import { FolderSource } from "../testing/mod.ts";
import { isNear } from "./address.ts";
import { Finder } from "./finder.ts";
import { Neighbours } from "./mod.ts";
import { Share } from "./share.ts";

const clock = linuxClock();
const never = new AbortController().signal;
/** Tests do not speak to the network that they run on. */
const NETWORK = "127.0.0.1";

function finder(port: number): Finder {
  const onFault = (why: string) => assert.fail(why);
  return new Finder(port, { clock, random: Math.random, network: NETWORK, onFault });
}

/** A district with one file, and boxes beside each other. */
async function rig(lengthBytes = 1_000_000) {
  const folder = await Deno.makeTempDir({ prefix: "gatehouse-neighbours-" });
  const content = new Uint8Array(lengthBytes).map((_, i) => (i * 2_654_435_761) >>> 13);
  const sha256 = createHash("sha256").update(content).digest("hex");
  const target = { path: "app/1.0.0/a.zst", lengthBytes, sha256, custom: {} };
  const district = new FolderSource(join(folder, "repository"));
  await Deno.mkdir(join(folder, "repository/targets/app/1.0.0"), { recursive: true });
  await Deno.writeFile(join(folder, "repository", pathOf(target)), content);
  const stack = new AsyncDisposableStack();
  const said: { readonly message: string; readonly address?: unknown }[] = [];
  return {
    folder,
    content,
    sha256,
    target,
    said,
    /** How often the district gave the file. */
    given: () => district.asked.length,
    /** A box that shares and asks; `bring` is one update of it. */
    box(name: string, random = () => 0.01) {
      const neighbours = stack.use(Neighbours.open({
        dir: join(folder, name, "shared"),
        port: 0,
        clock,
        random,
        network: NETWORK,
        log: (message, fields) => said.push({ message, ...fields }),
      }));
      const file = join(folder, name, "fetched/a.zst");
      const fetch = () => download(target, { source: district, clock, file }, never);
      return {
        neighbours,
        file,
        async bring() {
          await Deno.mkdir(join(folder, name, "fetched"), { recursive: true });
          await neighbours.bring(target, file, fetch, never);
          assert.deepEqual(await Deno.readFile(file), content);
        },
      };
    },
    /** Somebody who answers to the name of a neighbour, and does as `serve` says. */
    stranger(serve: (request: Request) => Response | Promise<Response>) {
      const server = Deno.serve({ port: 0, hostname: NETWORK, onListen: () => {} }, serve);
      stack.defer(() => server.shutdown());
      stack.use(finder(server.addr.port));
    },
    async [Symbol.asyncDispose]() {
      await stack.disposeAsync();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test("what one box has fetched, the next one gets from it", async () => {
  await using r = await rig();
  const [first, second] = [r.box("first"), r.box("second")];
  await first.bring();
  assert.equal(r.given(), 1);
  await second.bring();
  assert.equal(r.given(), 1, "it asked the district");
  assert.equal(r.said.at(-1)?.message, "fetched from a neighbour");
});

Deno.test("boxes that begin at once wait for the one that takes the line", async () => {
  await using r = await rig();
  const boxes = Array.from({ length: 6 }, (_, i) => r.box(`box-${i}`, Math.random));
  await Promise.all(boxes.map((box) => box.bring()));
  assert.ok(r.given() <= 2, `the district gave it ${r.given()} times to 6 boxes`);
});

Deno.test("a box alone asks the district at once, and of small files nobody else", async () => {
  await using r = await rig();
  const begunMs = clock.monotonicMs();
  await r.box("alone").bring();
  assert.ok(clock.monotonicMs() - begunMs < 5_000, "it waited for nobody");
  await using small = await rig(1_000);
  const asked: string[] = [];
  small.stranger((request) => {
    asked.push(request.url);
    return new Response(null, { status: 404 });
  });
  await small.box("box").bring();
  assert.deepEqual(asked, []);
});

Deno.test("who gives a wrong file is named, left alone, and the district gives the right one", async () => {
  await using r = await rig();
  const wrong = r.content.slice();
  wrong[999_999]! ^= 1;
  let asked = 0;
  r.stranger(({ method }) => {
    asked++;
    return new Response(method === "HEAD" ? null : wrong);
  });
  const box = r.box("box");
  await box.bring();
  assert.equal(r.given(), 1);
  const lie = r.said.find(({ message }) => message === "a neighbour gave a wrong file");
  assert.equal(lie?.address, NETWORK);
  const before = asked;
  await Deno.remove(box.file);
  await box.bring();
  assert.equal(asked, before, "it asked the liar again");
});

Deno.test("who sends for ever, vanishes, refuses or leads elsewhere costs a while and nothing else", async () => {
  const ways: Record<string, (content: Uint8Array<ArrayBuffer>) => Response> = {
    "sends for ever": () =>
      new Response(
        new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(65_536)) }),
      ),
    vanishes: (content) =>
      new Response(
        new ReadableStream({
          start: (to) => to.enqueue(content.slice(0, 1_000)),
          pull: (to) => to.error(new Error("gone")),
        }),
      ),
    refuses: () => new Response(null, { status: 500 }),
    "leads elsewhere": () => Response.redirect("http://192.0.2.1/"),
  };
  for (const [name, get] of Object.entries(ways)) {
    await using r = await rig();
    r.stranger(({ method }) => method === "HEAD" ? new Response() : get(r.content));
    await r.box("box").bring();
    assert.equal(r.given(), 1, name);
  }
});

Deno.test("a share gives verified files by their hash, and nothing else", async () => {
  await using r = await rig();
  const dir = join(r.folder, "shared");
  await using share = Share.open(dir, 0, clock);
  const url = (path: string) => `http://127.0.0.1:${share.port}/${path}`;
  const status = async (path: string, init?: RequestInit) => {
    const response = await fetch(url(path), init);
    await response.body?.cancel();
    return response.status;
  };
  const file = join(r.folder, "file");
  await Deno.writeFile(file, r.content);
  assert.equal(await status(r.sha256), 404);
  {
    using _coming = share.coming(r.sha256);
    assert.equal(await status(r.sha256), 503);
  }
  assert.equal(await status(r.sha256), 404);
  await share.offer(file, r.sha256);
  await Deno.remove(file);
  assert.deepEqual(await (await fetch(url(r.sha256))).bytes(), r.content);
  const rest = await fetch(url(r.sha256), { headers: { range: "bytes=999000-" } });
  assert.equal(rest.status, 206);
  assert.deepEqual(await rest.bytes(), r.content.slice(999_000));
  assert.equal(await status(r.sha256, { headers: { range: "bytes=1000000-" } }), 416);
  assert.equal(await status(r.sha256, { method: "POST", body: "x" }), 405);
  for (const path of ["", "../file", `${r.sha256}/`, r.sha256.toUpperCase(), "%2e%2e%2ffile"]) {
    assert.equal(await status(path), 404, path);
  }
});

Deno.test("a share has so many readers, and one that is done makes room", async () => {
  await using r = await rig(4_000_000);
  await using share = Share.open(join(r.folder, "shared"), 0, clock);
  const file = join(r.folder, "file");
  await Deno.writeFile(file, r.content);
  await share.offer(file, r.sha256);
  const get = () => fetch(`http://127.0.0.1:${share.port}/${r.sha256}`);
  const readers = await Promise.all([get(), get(), get(), get()]);
  const fifth = await get();
  assert.equal(fifth.status, 503);
  assert.equal(fifth.headers.get("retry-after"), "2");
  await readers[0]!.body!.cancel();
  for (;;) {
    const again = await get();
    await again.body?.cancel();
    if (again.status === 200) break;
    await clock.sleep(20, never);
  }
  assert.equal((await readers[1]!.bytes()).length, r.content.length);
  for (const one of readers.slice(2)) await one.body!.cancel();
});

Deno.test("what cannot be shared is fetched all the same", async () => {
  await using r = await rig();
  const box = r.box("box");
  await Deno.remove(join(r.folder, "box/shared"), { recursive: true });
  await box.bring();
  assert.equal(r.said.at(-1)?.message, "not shared with neighbours");
});

Deno.test("it keeps the newest files only", async () => {
  await using r = await rig(1_000);
  const dir = join(r.folder, "shared");
  await using share = Share.open(dir, 0, clock);
  const names = Array.from({ length: 6 }, (_, i) => String(i).repeat(64));
  for (const name of names) {
    const file = join(r.folder, name);
    await Deno.writeFile(file, r.content);
    await share.offer(file, name);
    await clock.sleep(20, never);
  }
  assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name).sort(), names.slice(4));
});

Deno.test("packets that are none, lie or flood are survived, and who is there is found", async () => {
  using seeker = finder(1_111);
  using _found = finder(2_222);
  const socket = createSocket("udp4");
  const send = (bytes: Uint8Array) =>
    new Promise((resolve) => socket.send(bytes, 5_353, "224.0.0.251", resolve));
  await new Promise<void>((resolve) => socket.bind(0, NETWORK, () => resolve()));
  socket.setMulticastInterface(NETWORK);
  const looking = seeker.look(never);
  for (let i = 0; i < 300; i++) {
    await send(crypto.getRandomValues(new Uint8Array(i)));
  }
  // A name that points to itself, and one whose length leads out of the packet.
  await send(Uint8Array.from([0, 0, 132, 0, 0, 0, 0, 1, 0, 0, 0, 0, 192, 12, 0, 33, 0, 1]));
  await send(Uint8Array.from([0, 0, 132, 0, 0, 0, 0, 1, 0, 0, 0, 0, 63, 1]));
  const { default: multicastDns } = await import("multicast-dns");
  const liar = multicastDns({ interface: NETWORK, bind: "0.0.0.0" });
  for (let i = 0; i < 100; i++) {
    const name = `liar-${i}._gatehouse-update._tcp.local`;
    const data = { port: i % 2 === 0 ? 0 : 10_000 + i, target: "liar.local" };
    liar.respond({ answers: [{ name, type: "SRV", ttl: 1, data }] });
    liar.respond({ answers: [{ name, type: "TXT", ttl: 1, data: "port=1" }] });
  }
  const found = await looking;
  assert.ok(found.length <= 32, `${found.length} neighbours`);
  assert.ok(!found.some(({ port }) => port === 0 || port === 1_111), JSON.stringify(found));
  liar.destroy();
  socket.close();
  // When it is quiet again.
  await clock.sleep(1_000, never);
  assert.deepEqual((await seeker.look(never)).map(({ port }) => port), [2_222]);
});

Deno.test("only a private network's addresses are near", () => {
  for (const address of ["10.1.2.3", "192.168.0.1", "172.16.0.1", "172.31.9.9", "169.254.1.1"]) {
    assert.ok(isNear(address), address);
    assert.ok(isNear(`::ffff:${address}`), address);
  }
  for (const address of ["fe80::1", "fd12:3456::1", "::1", "127.0.0.1"]) {
    assert.ok(isNear(address), address);
  }
  for (
    const address of [
      "8.8.8.8",
      "172.32.0.1",
      "172.15.0.1",
      "100.64.0.1",
      "2001:db8::1",
      "1.10.0.1",
    ]
  ) {
    assert.ok(!isNear(address), address);
  }
});
