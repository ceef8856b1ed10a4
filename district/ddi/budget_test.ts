import assert from "node:assert/strict";
import { linuxClock } from "../../hal/linux/mod.ts";
import { TestDistrict } from "../testing/district.ts";
import { layOut, UpdateDesk } from "../testing/updates.ts";

const clock = linuxClock();
const RELEASE = "app/1.2.3/gatehouse.tar.zst";
const RATE = 400_000;

/** The artifact's path for a client, once it is offered. */
async function offered(desk: UpdateDesk, id: string) {
  const client = await desk.client(id);
  return async () => {
    const { deploymentBase } = await client.poll();
    const { json } = await client.request("GET", deploymentBase!);
    const { href } = json.deployment.chunks[0].artifacts[0]._links.download;
    return { client, href: href as string };
  };
}

Deno.test("all downloads together keep to the budget, and share it; metadata does not wait", async () => {
  await using test = await TestDistrict.open(clock, { updateBytesPerSecond: RATE });
  const content = "x".repeat(600_000);
  layOut(test.dataDir, RELEASE, content, "1.2.3");
  const desk = new UpdateDesk(test);
  await desk.ok("li", "POST", "releases", { path: RELEASE });
  const [first, second] = [await offered(desk, "gate-1"), await offered(desk, "gate-2")];
  await desk.rollout(RELEASE);
  const begunMs = clock.monotonicMs();
  const endMs: number[] = [];
  const take = async (of: typeof first) => {
    const { client, href } = await of();
    const { status, text } = await client.request("GET", href);
    assert.equal(status, 200);
    assert.equal(text.length, content.length);
    endMs.push(clock.monotonicMs() - begunMs);
    return client;
  };
  const both = Promise.all([take(first), take(second)]);
  await clock.sleep(300, new AbortController().signal);
  const askedMs = clock.monotonicMs();
  const [client] = [await desk.client("gate-3")];
  assert.equal((await client.request("GET", "/tuf/metadata/timestamp.json")).status, 200);
  const metadataMs = clock.monotonicMs() - askedMs;
  await both;
  // The first chunk is free; a busy machine is only slower.
  const leastMs = (2 * content.length - (1 << 17)) / RATE * 1_000;
  assert.ok(endMs[1]! > leastMs, `${endMs} ms, at least ${leastMs}`);
  assert.ok(endMs[0]! > endMs[1]! / 2 * 1.4, `not shared: ${endMs}`);
  assert.ok(metadataMs < endMs[0]! / 2, `metadata waited for ${metadataMs} ms`);
});

Deno.test("where the budget has no room a client is told to come back, and finds room later", async () => {
  // One chunk a second: room for ten.
  await using test = await TestDistrict.open(clock, { updateBytesPerSecond: 1 << 16 });
  layOut(test.dataDir, RELEASE, "x".repeat(300_000), "1.2.3");
  const desk = new UpdateDesk(test);
  await desk.ok("li", "POST", "releases", { path: RELEASE });
  const of = await offered(desk, "gate-1");
  await desk.rollout(RELEASE);
  const { client, href } = await of();
  const stop = new AbortController();
  const url = new URL(href).pathname;
  const open = () =>
    test.fetch(url, {
      headers: { authorization: `TargetToken ${client.token}` },
      signal: stop.signal,
    });
  const held = await Promise.all(Array.from({ length: 10 }, open));
  assert.deepEqual(held.map(({ status }) => status), Array(10).fill(200));
  const refused = await open();
  assert.equal(refused.status, 503);
  assert.equal(refused.headers.get("retry-after"), "60");
  await refused.body?.cancel();
  for (const { body } of held) await body!.cancel();
  const endMs = clock.monotonicMs() + 20_000;
  for (;;) {
    const again = await open();
    await again.body?.cancel();
    if (again.status === 200) break;
    assert.ok(clock.monotonicMs() < endMs, "no room is given back");
    await clock.sleep(200, stop.signal);
  }
});
