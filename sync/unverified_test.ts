import assert from "node:assert/strict";
import { processClock } from "../hal/linux/mod.ts";
import { SyncError } from "./errors.ts";
import { FakeDistrict } from "./testing/mod.ts";
import { fetchUnverified } from "./unverified.ts";

const clock = processClock();
const forever = new AbortController().signal;
const get = { clock, method: "GET", headers: {}, body: new Uint8Array(), timeoutMs: 2_000 };

Deno.test("asks for no permission but the network: a box and an enrolment have no other", async () => {
  await using district = new FakeDistrict(clock);
  const module = new URL("./unverified.ts", import.meta.url).href;
  const script = `
    import { fetchUnverified } from ${JSON.stringify(module)};
    const clock = { schedule: () => () => {} };
    const answer = await fetchUnverified({
      clock, method: "GET", headers: {}, body: new Uint8Array(), timeoutMs: 2000, bytesMax: 10_000,
      url: "${district.url}/api/box/v1/ca.pem",
    }, new AbortController().signal);
    console.log(answer.status);
  `;
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, script);
    const config = new URL("../deno.json", import.meta.url).pathname;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", "--allow-net", `--config=${config}`, file],
    }).output();
    const text = new TextDecoder();
    assert.equal(text.decode(stdout).trim(), "200", text.decode(stderr));
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("bounds what it reads and how long it waits, and ends with its signal", async () => {
  await using district = new FakeDistrict(clock);
  const url = `${district.url}/api/box/v1/ca.pem`;
  const kind = (expected: string) => (error: unknown) =>
    error instanceof SyncError && error.kind === expected;
  await assert.rejects(
    fetchUnverified({ ...get, url, bytesMax: 10 }, forever),
    kind("malformed"),
  );
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const mute = `https://127.0.0.1:${silent.addr.port}/`;
  await assert.rejects(
    fetchUnverified({ ...get, url: mute, bytesMax: 10, timeoutMs: 50 }, forever),
    kind("timeout"),
  );
  const stop = new AbortController();
  const aborted = fetchUnverified({ ...get, url: mute, bytesMax: 10 }, stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(aborted, /enough/);
  silent.close();
});
