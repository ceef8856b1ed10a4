/**
 * A rollout to 1,000 clients, 3 % of which fail, against a real district process that is killed with
 * SIGKILL in every stage. It must stop where its thresholds say, go on when a second operator says so,
 * and know in the end of each client exactly what that client told.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { ROOT } from "../../demo/program.ts";
import type { RolloutView, TargetView } from "../../district/mod.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { Publisher } from "../../ota/testing/mod.ts";

const CLIENTS = 1_000;
const CANARIES = 20;
/** A box asks every five minutes; here time is short. */
const POLL_MS = 2_000;
const STAGE_LIMIT_MS = 180_000;
const RELEASE = "app/1.2.3/gatehouse.tar.zst";
const CONTENT = "a release of the application\n".repeat(500);
const clock = linuxClock();
const never = new AbortController().signal;

/** Mulberry32, seeded. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The district's program on one folder and port, started again whenever it is killed. */
class Server implements AsyncDisposable {
  readonly dataDir: string;
  url = "";
  kills = 0;
  #child: Deno.ChildProcess | undefined;
  #http: Deno.HttpClient | undefined;

  constructor(dataDir: string) {
    this.dataDir = dataDir;
  }

  run(...args: string[]): Deno.Command {
    return new Deno.Command(Deno.execPath(), {
      // With the permissions that the launcher gives, for a new folder to read is soon forgotten.
      args: [
        ...["run", "--quiet", "--no-check", "--no-prompt", `--config=${ROOT}/deno.json`],
        ...["--permission-set=district", `--allow-read=${ROOT},${this.dataDir}`],
        ...[`--allow-write=${this.dataDir}`, `${ROOT}/district/main.ts`, ...args],
      ],
      stdout: "piped",
      stderr: "null",
    });
  }

  async start(): Promise<void> {
    const listen = this.url === "" ? "127.0.0.1:0" : new URL(this.url).host;
    const child = this.run("--data", this.dataDir, "--listen", listen, "--json").spawn();
    this.#child = child;
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("\n")) {
      const { done, value } = await reader.read();
      assert.ok(!done, "the district did not start");
      text += value;
    }
    void (async () => {
      while (!(await reader.read()).done);
    })().catch(() => {});
    this.url = JSON.parse(text.split("\n")[0]!).url;
    const caPem = (await Deno.readTextFile(`${this.dataDir}/ca.pem`)).split("-----BEGIN PRIV")[0]!;
    this.#http ??= Deno.createHttpClient({ caCerts: [caPem] });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    this.kills++;
    child.kill("SIGKILL");
    await child.status;
  }

  fetch(path: string, init: RequestInit): Promise<Response> {
    const url = path.startsWith("https:") ? path : this.url + path;
    return fetch(url, { ...init, client: this.#http!, signal: AbortSignal.timeout(20_000) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#http?.close();
    await Deno.remove(this.dataDir, { recursive: true });
  }
}

/** An operator at the console's API. */
class Operator {
  readonly #server: Server;
  readonly #cookie: string;

  private constructor(server: Server, cookie: string) {
    this.#server = server;
    this.#cookie = cookie;
  }

  static async add(server: Server, username: string): Promise<Operator> {
    const { stdout } = await server.run("operator", "--data", server.dataDir, "--json", username)
      .output();
    const { password } = JSON.parse(new TextDecoder().decode(stdout));
    const response = await server.fetch("/api/session", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ username, password }),
    });
    assert.equal(response.status, 200, await response.text());
    return new Operator(server, response.headers.get("set-cookie")!.split(";")[0]!);
  }

  // deno-lint-ignore no-explicit-any -- an answer of any call
  async call(method: string, path: string, body?: object): Promise<any> {
    const response = await this.#server.fetch(`/api/${path}`, {
      method,
      headers: {
        cookie: this.#cookie,
        "x-gatehouse-request": "1",
        "content-type": "application/json",
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = await response.json();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }

  rollout(id: number): Promise<RolloutView> {
    return this.call("GET", `rollouts/${id}`);
  }

  async targets(id: number): Promise<TargetView[]> {
    const all: TargetView[] = [];
    for (;;) {
      const after = all.at(-1)?.actionId ?? 0;
      const page = await this.call("GET", `rollouts/${id}/targets?limit=1000&after=${after}`);
      if (page.length === 0) return all;
      all.push(...page);
    }
  }
}

/** What the clients saw, all together. */
interface Seen {
  polls: number;
  cut: number;
  repeated: number;
}

/** One device: asks, fetches, and tells until it is told that it was heard. */
class Client {
  readonly id: string;
  readonly #server: Server;
  readonly #token: string;
  readonly #seen: Seen;
  fails = false;
  /** Action ids it was ever sent to. */
  readonly actions = new Set<string>();
  told: "installed" | "failed" | undefined;
  heard = false;

  constructor(server: Server, id: string, token: string, seen: Seen) {
    this.#server = server;
    this.id = id;
    this.#token = token;
    this.#seen = seen;
  }

  async run(next: () => number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(POLL_MS * (0.5 + next()), signal).catch(() => {});
      if (signal.aborted) return;
      try {
        await this.#poll();
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        this.#seen.cut++;
      }
    }
  }

  async #poll(): Promise<void> {
    this.#seen.polls++;
    const { _links: links } = await this.#json("GET", `/DEFAULT/controller/v1/${this.id}`);
    const href = links.deploymentBase?.href as string | undefined;
    if (href === undefined) return;
    this.actions.add(href);
    if (this.told === undefined) {
      const { deployment } = await this.#json("GET", href);
      const [artifact] = deployment.chunks[0].artifacts;
      const file = await this.#call("GET", artifact._links.download.href);
      const sha256 = createHash("sha256").update(await file.bytes()).digest("hex");
      assert.equal(sha256, artifact.hashes.sha256);
      await this.#tell(href, "proceeding", "none");
      this.told = this.fails ? "failed" : "installed";
    } else {
      this.#seen.repeated++;
    }
    await this.#tell(href, "closed", this.fails ? "failure" : "success");
    this.heard = true;
  }

  async #tell(href: string, execution: string, finished: string): Promise<void> {
    const details = finished === "failure" ? [`${this.id} does not boot`] : [];
    const body = { status: { execution, result: { finished }, details } };
    await (await this.#call("POST", `${href}/feedback`, body)).body?.cancel();
  }

  async #json(method: string, path: string) {
    return await (await this.#call(method, path)).json();
  }

  async #call(method: string, path: string, body?: object): Promise<Response> {
    const response = await this.#server.fetch(path, {
      method,
      headers: { authorization: `TargetToken ${this.#token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    assert.ok(response.ok, `${this.id}: ${method} ${path} was answered ${response.status}`);
    return response;
  }
}

/** Adds the clients, the first ones as canaries. */
async function enlist(server: Server, li: Operator, seen: Seen): Promise<Client[]> {
  const clients: Client[] = [];
  for (let from = 0; from < CLIENTS; from += 50) {
    const ids = Array.from({ length: 50 }, (_, index) => `gate-${from + index}`);
    clients.push(
      ...await Promise.all(ids.map(async (id, index) => {
        const labels = { canary: from + index < CANARIES ? "yes" : "no" };
        const { token } = await li.call("POST", "controllers", { id, labels });
        return new Client(server, id, token, seen);
      })),
    );
  }
  return clients;
}

Deno.test("a rollout to 1,000 stops at its thresholds and survives a kill in every stage", async () => {
  const seed = Number(Deno.env.get("SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  console.log(`seed ${seed}`);
  const next = random(seed);
  await using server = new Server(await Deno.makeTempDir({ prefix: "rollout-kill-" }));
  const publisher = await Publisher.begin(`${server.dataDir}/updates`, clock.wallMs());
  await publisher.release("1.2.3", CONTENT);
  await publisher.publish();
  await server.start();
  const [li, wang] = [await Operator.add(server, "li"), await Operator.add(server, "wang")];
  await li.call("POST", "releases", { path: RELEASE });
  const seen: Seen = { polls: 0, cut: 0, repeated: 0 };
  const clients = await enlist(server, li, seen);
  const done = new AbortController();
  const running = Promise.all(clients.map((client) => client.run(next, done.signal)));
  // A client's failed assertion must end the test, not wait until it is over.
  const broken = running.then(() => new Promise<never>(() => {}));
  const kill = async () => {
    await clock.sleep(next() * 400, never);
    await server.kill();
    await server.start();
  };
  const { id } = await li.call("POST", "rollouts", {
    name: "winter",
    release: RELEASE,
    groups: [
      { ...group("canaries", 100, 90, 20), filter: { labels: { canary: "yes" } } },
      // More than ever install it: the rest begins only when all have told and somebody says so.
      group("a tenth", 10, 97, 3),
      group("the rest", 100, 95, 5),
    ],
  });
  /** Waits for `is`, and kills the district twice on the way. */
  const stage = async (what: string, is: (view: RolloutView) => boolean, kills = 2) => {
    const startMs = clock.monotonicMs();
    let view: RolloutView;
    for (let killed = 0;;) {
      if (killed < kills) {
        await Promise.race([kill(), broken]);
        killed++;
      } else await Promise.race([clock.sleep(100, never), broken]);
      view = await li.rollout(id);
      if (is(view)) break;
      const tookMs = clock.monotonicMs() - startMs;
      assert.ok(tookMs < STAGE_LIMIT_MS, `never ${what}: ${JSON.stringify(view)}`);
    }
    console.log(
      `${what}: ${Math.round((clock.monotonicMs() - startMs) / 100) / 10} s, ` +
        view.groups.map(({ installed, failed }) => `${installed}+${failed}`).join(" "),
    );
    return view;
  };
  // Three in a hundred of each group, whichever clients the lot put there.
  const byId = new Map(clients.map((client) => [client.id, client]));
  const targets = await li.targets(id);
  for (const at of [0, 1, 2]) {
    const members = targets.filter((target) => target.group === at);
    const failing = at === 0 ? 0 : Math.ceil(members.length * 0.03);
    for (let count = 0; count < failing;) {
      const client = byId.get(members[Math.floor(next() * members.length)]!.controllerId)!;
      if (!client.fails) count++;
      client.fails = true;
    }
  }
  try {
    await stage("a draft", ({ status }) => status === "draft");
    await li.call("POST", `rollouts/${id}/submit`);
    await stage("submitted", ({ status }) => status === "awaiting-approval");
    assert.ok(clients.every(({ actions }) => actions.size === 0), "offered before it was approved");
    await wang.call("POST", `rollouts/${id}/approve`);
    await stage("canaries done", ({ group: at = 0 }) => at >= 1);
    const stopped = await stage("stopped", ({ status }) => status === "paused");
    assert.deepEqual([stopped.group, stopped.pausedBy, stopped.groups[1]!.failed], [
      1,
      "errors",
      3,
    ]);
    await stage("stays stopped", ({ status }) => status === "paused");
    assert.equal(clients.filter(({ actions }) => actions.size > 0).length <= 118, true);
    await assert.rejects(li.call("POST", `rollouts/${id}/resume`), /409 .*another operator/);
    await wang.call("POST", `rollouts/${id}/resume`);
    await stage("the rest begins", ({ group: at }) => at === 2);
    await stage("half of the rest", ({ groups }) => groups[2]!.installed > 441, 3);
    await stage("finished", ({ status }) => status === "finished");
    await kill();
  } finally {
    done.abort();
  }
  await running;

  const final = await li.rollout(id);
  const ended = await li.targets(id);
  assert.equal(ended.length, CLIENTS);
  for (const { controllerId, state, reason } of ended) {
    const client = byId.get(controllerId)!;
    assert.deepEqual(
      [state, reason],
      [client.told, client.fails ? `${controllerId} does not boot` : ""],
    );
    assert.equal(client.actions.size, 1, `${controllerId} had more than one action`);
  }
  const count = (at: number, state: string) =>
    ended.filter((target) => target.group === at && target.state === state).length;
  assert.deepEqual(
    final.groups.map(({ boxes, installed, failed }) => [boxes, installed, failed]),
    [0, 1, 2].map((at) => [[20, 98, 882][at], count(at, "installed"), count(at, "failed")]),
  );
  assert.deepEqual(final.audit!.map(({ operator, what }) => [operator, what]), [
    ["li", { kind: "made" }],
    ["li", { kind: "submitted" }],
    ["wang", { kind: "approved", group: "canaries" }],
    ["", { kind: "begins", group: "a tenth" }],
    ["", { kind: "stopped", group: "a tenth", failed: 3, boxes: 98 }],
    ["wang", { kind: "resumed" }],
    ["", { kind: "begins", group: "the rest" }],
    ["", { kind: "finished" }],
  ]);
  await server.kill();
  using db = new DatabaseSync(`${server.dataDir}/district.sqlite`, { readOnly: true });
  assert.equal(db.prepare("PRAGMA integrity_check").get()!.integrity_check, "ok");
  assert.ok(seen.cut > 0, "no call was cut: the kills missed");
  console.log(
    `${server.kills} kills, ${seen.polls} polls, ${seen.cut} calls cut, ${seen.repeated} outcomes told again`,
  );
});

function group(name: string, percent: number, successPercent: number, errorPercent: number) {
  return { name, percent, successPercent, errorPercent };
}
