import assert from "node:assert/strict";
import { DdiClient, DdiError, type DistrictCalls } from "./client.ts";

const never = new AbortController().signal;
const ID = "bx-00000000000000000000";

/** A client whose district answers `body`. */
function client(body: unknown, status = 200) {
  const asked: Parameters<DistrictCalls["call"]>[0][] = [];
  const calls: DistrictCalls = {
    call: (request) => {
      asked.push(request);
      const text = typeof body === "string" ? body : JSON.stringify(body);
      return Promise.resolve({ status, body: new TextEncoder().encode(text) });
    },
    open: () => Promise.resolve({ status: 404, body: null }),
  };
  return { asked, ddi: new DdiClient(calls, ID) };
}

const poll = (links: object, sleep = "00:05:00") => ({
  config: { polling: { sleep } },
  _links: links,
});
const link = (href: string) => ({ href });

Deno.test("a poll says what there is to do, by the numbers of its links alone", async () => {
  const links = {
    deploymentBase: link(`https://d/DEFAULT/controller/v1/${ID}/deploymentBase/17?c=-1`),
    configData: link("x"),
  };
  assert.deepEqual(await client(poll(links)).ddi.poll(never), {
    sleepMs: 300_000,
    install: 17,
    cancel: undefined,
    wantsAttributes: true,
  });
  // A link is a number here, never an address to go to.
  for (const href of ["https://evil.example/", "/x/-1", "/x/1e9", "/x/9999999999999999", ""]) {
    const { install } = await client(poll({ deploymentBase: link(href) })).ddi.poll(never);
    assert.equal(install, undefined, href);
  }
});

Deno.test("answers that make no sense, or are no answers, are told from those that do", async () => {
  const bad: unknown[] = ["", "<html>", "[]", "null", poll({}, "5 minutes"), poll({}, "00:05"), {
    config: {},
  }];
  for (const body of bad) {
    await assert.rejects(client(body).ddi.poll(never), { name: "DdiError", status: 0 });
  }
  await assert.rejects(client("no", 503).ddi.poll(never), { name: "DdiError", status: 503 });
  const chunk = { part: "app", version: "1", name: "app/1/x" };
  const deployment = (chunks: unknown) =>
    client({ deployment: { chunks } }).ddi.deployment(1, never);
  assert.deepEqual(await deployment([chunk]), {
    kind: "app",
    version: "1",
    path: "app/1/x",
    windowOpen: true,
  });
  for (const chunks of [[], [chunk, chunk], [{ ...chunk, name: "x".repeat(300) }], 5]) {
    await assert.rejects(deployment(chunks), DdiError);
  }
});

Deno.test("it asks no faster than each second and not more seldom than each day", async () => {
  const sleep = async (text: string) => (await client(poll({}, text)).ddi.poll(never)).sleepMs;
  assert.equal(await sleep("00:00:00"), 1_000);
  assert.equal(await sleep("99:00:00"), 86_400_000);
});

Deno.test("what it tells is bounded, and names are encoded", async () => {
  const { asked, ddi } = client("");
  const told = { of: "deploymentBase", execution: "closed", finished: "failure" } as const;
  await ddi.feedback("5", { ...told, detail: "x".repeat(10_000) }, never);
  assert.ok(asked[0]!.body!.length < 1_100);
  const paths: string[] = [];
  const calls: DistrictCalls = {
    call: () => Promise.reject(new Error("not called")),
    open: (path) => {
      paths.push(path);
      return Promise.resolve({ status: 404, body: null });
    },
  };
  await new DdiClient(calls, ID).source().get("targets/a b/../c?d", never);
  assert.deepEqual(paths, [`/DEFAULT/controller/v1/${ID}/tuf/targets/a%20b/../c%3Fd`]);
});
