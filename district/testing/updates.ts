/**
 * What a test of updates needs: files in a repository, releases, clients with tokens, rollouts.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import type { RolloutRequest, RolloutView, WindowView } from "../api/types.ts";
import type { TestDistrict } from "./district.ts";

type Groups = RolloutRequest["groups"];

/** The one group that most tests need. */
export const ALL: Groups = [{ name: "all", percent: 100, successPercent: 100, errorPercent: 100 }];

/**
 * Lays a file into the repository that `dataDir`'s district serves, with metadata that names it, and what
 * it named before when it is to `keep` that. Unsigned: a district does not look at signatures.
 */
export function layOut(
  dataDir: string,
  path: string,
  content: string,
  version?: string,
  keep = false,
): void {
  const folder = join(dataDir, "updates");
  const sha256 = createHash("sha256").update(content).digest("hex");
  const write = (name: string, text: string) => {
    Deno.mkdirSync(dirname(join(folder, name)), { recursive: true });
    Deno.writeTextFileSync(join(folder, name), text);
  };
  const custom = version === undefined ? {} : { custom: { version } };
  const target = { length: content.length, hashes: { sha256 }, ...custom };
  const meta = (signed: unknown) => JSON.stringify({ signatures: [], signed });
  write("metadata/timestamp.json", meta({ meta: { "snapshot.json": { version: 3 } } }));
  const roles = { "targets.json": { version: 2 }, "app.json": { version: 5 } };
  write("metadata/3.snapshot.json", meta({ meta: roles }));
  write("metadata/2.targets.json", meta({ targets: {} }));
  const app = "metadata/5.app.json";
  const before = keep ? JSON.parse(Deno.readTextFileSync(join(folder, app))).signed.targets : {};
  write(app, meta({ targets: { ...before, [path]: target } }));
  write(`targets/${dirname(path)}/${sha256}.${basename(path)}`, content);
}

/** Operators at a district's console. */
export class UpdateDesk {
  readonly #test: TestDistrict;
  readonly #cookies = new Map<string, string>();

  /** Works at the console of `test`. */
  constructor(test: TestDistrict) {
    this.#test = test;
  }

  /** A call by an operator who is added and logged in when first named. */
  async call(operator: string, method: string, path: string, body?: unknown) {
    let cookie = this.#cookies.get(operator);
    if (cookie === undefined) {
      await this.#test.district.setOperator(operator, `password of ${operator}`);
      const login = { username: operator, password: `password of ${operator}` };
      const { headers } = await this.#test.call("POST", "session", login);
      cookie = headers.get("set-cookie")!.split(";")[0]!;
      this.#cookies.set(operator, cookie);
    }
    return await this.#test.call(method, path, body, { cookie });
  }

  /** A call that has to succeed; its answer. */
  async ok(operator: string, method: string, path: string, body?: unknown) {
    const { status, body: answer } = await this.call(operator, method, path, body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
    return answer;
  }

  /** A client with its token. */
  async client(id: string, labels: Readonly<Record<string, string>> = {}): Promise<DdiClient> {
    const { token } = await this.ok("li", "POST", "controllers", { id, labels });
    return new DdiClient(this.#test, id, token);
  }

  /** A rollout of `release` that "li" made and "wang" approved. */
  async rollout(
    release: string,
    groups: Groups = ALL,
    window?: WindowView,
  ): Promise<RolloutView> {
    const draft = { name: "winter", release, groups, ...window === undefined ? {} : { window } };
    const { id } = await this.ok("li", "POST", "rollouts", draft);
    await this.ok("li", "POST", `rollouts/${id}/submit`);
    return await this.ok("wang", "POST", `rollouts/${id}/approve`);
  }
}

/** A client of DDI by hand. */
export class DdiClient {
  readonly #test: TestDistrict;
  readonly id: string;
  readonly token: string;

  /** A client called `id`. */
  constructor(test: TestDistrict, id: string, token: string) {
    this.#test = test;
    this.id = id;
    this.token = token;
  }

  /** Any request below the controller, or to a link. */
  async request(method: string, path: string, body?: unknown, headers: HeadersInit = {}) {
    const { url } = this.#test.district;
    const at = path.startsWith("https:")
      ? path.slice(url.length)
      : `/DEFAULT/controller/v1/${this.id}${path}`;
    const response = await this.#test.fetch(at, {
      method,
      headers: {
        authorization: `TargetToken ${this.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...Object.fromEntries(new Headers(headers)),
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type") === "application/json";
    // deno-lint-ignore no-explicit-any
    const json: any = isJson ? JSON.parse(text) : undefined;
    return { status: response.status, headers: response.headers, text, json };
  }

  /** Where the poll leads: the link's kind and address. */
  async poll(): Promise<Readonly<Record<string, string>>> {
    const { status, json } = await this.request("GET", "");
    if (status !== 200) throw new Error(`the poll was answered ${status}`);
    const links = Object.entries(json._links as Record<string, { href: string }>);
    return Object.fromEntries(links.map(([rel, { href }]) => [rel, href]));
  }
}

/** The body of a feedback. */
export function feedback(execution: string, finished: string, ...details: string[]): object {
  return { status: { execution, result: { finished }, details } };
}
