import assert from "node:assert/strict";
import { VirtualClock } from "../../../hal/sim/mod.ts";
import { answerStatus, blink, BLINKS, type BoxFacts, boxState, type PageFacts } from "./mod.ts";
import { languageAsked, statusPage } from "./page.ts";

const NOTHING: BoxFacts = { addresses: [], enrolled: false, configured: false };
const WORKS: BoxFacts = {
  addresses: ["10.1.2.3"],
  enrolled: true,
  configured: true,
  box: { faults: [], connected: true },
};
const PAGE: PageFacts = {
  name: "east-gate",
  version: "0.1.0",
  addresses: ["10.1.2.3"],
  readers: [{ id: "in", online: true }, { id: "out", online: false }],
};

Deno.test("the first thing that a person has to do is what is said", () => {
  const joining = { said: "", refused: false };
  const cases: [Partial<BoxFacts>, string][] = [
    [{ settingsFault: "box.name: expected", addresses: [] }, "settings"],
    [{ addresses: [], enrolled: false }, "no-network"],
    [{ enrolled: false, joining, configured: false }, "joining"],
    [{ enrolled: false, joining: { said: "the token was used", refused: true } }, "refused"],
    // Once it has joined, what came before is of no more use.
    [{ joining: { said: "", refused: true } }, "works"],
    [{ configured: false }, "unconfigured"],
    [{ box: { faults: ["reader in does not answer"], connected: false } }, "fault"],
    [{ box: { faults: [], connected: false } }, "offline"],
    [{ enrolled: false }, "alone"],
    [{}, "works"],
  ];
  for (const [change, kind] of cases) {
    assert.equal(boxState({ ...WORKS, ...change }).kind, kind, JSON.stringify(change));
  }
  const { box: _, ...silent } = WORKS;
  assert.equal(boxState(silent).kind, "starting");
  assert.equal(boxState(NOTHING).kind, "no-network");
});

Deno.test("every state that a person can mend says how, in both languages, with its reason", () => {
  const { what, advice } = boxState({
    ...WORKS,
    enrolled: false,
    joining: { said: "the token was used", refused: true },
  });
  for (const language of ["zh", "en"] as const) {
    assert.match(what[language], /the token was used/);
    assert.match(advice![language], /setup\.yaml/);
  }
  assert.equal(boxState(WORKS).advice, undefined);
});

Deno.test("lights differ where what is to be done differs", () => {
  const needs = ["settings", "no-network", "joining", "unconfigured", "starting"] as const;
  const shown = new Set(needs.map((kind) => BLINKS[kind].join()));
  assert.equal(shown.size, needs.length);
  assert.deepEqual(BLINKS.works, [1]);
});

Deno.test("the page is whole, in the language asked for, and takes nothing for markup", () => {
  const state = boxState({
    ...WORKS,
    box: { faults: ["<script>alert(1)</script>"], connected: true },
  });
  const page = statusPage(state, { ...PAGE, name: `"><img src=x>` }, "en");
  assert.doesNotMatch(page, /<script|<img/);
  assert.match(page, /&#60;script&#62;/);
  assert.match(
    statusPage(boxState(WORKS), PAGE, "zh"),
    /lang="zh-CN"[\s\S]*工作正常[\s\S]*in: 在线/,
  );
  const asked: [string | null, string][] = [
    [null, "en"],
    ["zh-CN,zh;q=0.9,en;q=0.8", "zh"],
    ["en-US,en;q=0.9,zh;q=0.8", "en"],
    ["de", "en"],
    ["x".repeat(100_000) + "zh", "en"],
  ];
  for (const [header, language] of asked) assert.equal(languageAsked(header), language);
});

Deno.test("only the page is answered, and only under the box's own name or address", async () => {
  const status = async (url: string, init?: RequestInit) =>
    (await answerStatus(new Request(url, init), boxState(WORKS), PAGE)).status;
  for (const host of ["east-gate", "east-gate.local", "10.1.2.3", "[fd00::1]", "localhost"]) {
    assert.equal(await status(`http://${host}/`), 200, host);
  }
  assert.equal(await status("http://evil.example/"), 421);
  assert.equal(await status("http://10.1.2.3.evil.example/"), 421);
  assert.equal(await status("http://east-gate/healthz"), 404);
  assert.equal(await status("http://east-gate/" + "a/".repeat(4_000)), 404);
  assert.equal(await status("http://east-gate/", { method: "POST", body: "x" }), 405);
  const head = await answerStatus(
    new Request("http://east-gate/", { method: "HEAD" }),
    boxState(WORKS),
    PAGE,
  );
  assert.equal(await head.text(), "");
  assert.match(head.headers.get("content-security-policy") ?? "", /default-src 'none'/);
});

Deno.test("a light shows its pattern, follows a change, and stays on", async () => {
  const clock = new VirtualClock();
  const shown: string[] = [];
  let pattern: readonly number[] = [100, 200];
  const led = { set: (on: boolean) => void shown.push(`${clock.monotonicMs()} ${on ? 1 : 0}`) };
  const startMs = clock.monotonicMs();
  const stop = new AbortController();
  const blinking = blink(led, () => pattern, clock, stop.signal);
  await clock.advance(350);
  pattern = [1];
  await clock.advance(1_000);
  stop.abort(new Error("over"));
  await blinking;
  const at = (ms: number) => startMs + ms;
  assert.deepEqual(shown.slice(0, 5), [
    `${at(0)} 1`,
    `${at(100)} 0`,
    `${at(300)} 1`,
    `${at(400)} 0`,
    `${at(600)} 1`,
  ]);
  assert.ok(shown.slice(5).every((one) => one.endsWith(" 1")), shown.join());
});
