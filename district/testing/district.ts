/**
 * A district on a free port with a folder of its own, for tests.
 *
 * @module
 */
import type { Clock } from "../../hal/mod.ts";
import { type District, type DistrictOptions, openDistrict } from "../district.ts";
import { FakeBox } from "./fake_box.ts";

/** A log that keeps its lines. */
export interface TestLog {
  readonly lines: string[];
  info(message: string): void;
  warn(message: string): void;
  error(message: string, fields?: unknown): void;
}

/** A log that keeps its lines, for a test to look at. */
export function testLog(): TestLog {
  const lines: string[] = [];
  return {
    lines,
    info: (message) => void lines.push(`info ${message}`),
    warn: (message) => void lines.push(`warn ${message}`),
    error: (message, fields) => void lines.push(`error ${message} ${JSON.stringify(fields ?? {})}`),
  };
}

/** An answer to the console. */
export interface ConsoleAnswer {
  readonly status: number;
  readonly headers: Headers;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

/** A running district, its first operator logged in. */
export class TestDistrict implements AsyncDisposable {
  readonly district: District;
  readonly log: TestLog;
  readonly dataDir: string;
  readonly #http: Deno.HttpClient;
  readonly #clock: Clock;
  /** `name=value` of the session. */
  cookie = "";

  private constructor(district: District, log: TestLog, dataDir: string, clock: Clock) {
    this.district = district;
    this.log = log;
    this.dataDir = dataDir;
    this.#clock = clock;
    this.#http = Deno.createHttpClient({ caCerts: [district.caPem], http2: false });
  }

  /** Starts one. */
  static async open(
    clock: Clock,
    options: Partial<DistrictOptions> = {},
  ): Promise<TestDistrict> {
    const dataDir = options.dataDir ?? await Deno.makeTempDir({ prefix: "district-test-" });
    const log = testLog();
    const district = await openDistrict({
      dataDir,
      hostname: "127.0.0.1",
      port: 0,
      hosts: [],
      clock,
      log,
      name: "测试区",
      version: "0.0.0",
      webDir: `${dataDir}/web`,
      passwordCost: { N: 1024, r: 8, p: 1 },
      ...options,
    });
    return new TestDistrict(district, log, dataDir, clock);
  }

  /** Logs in as the first operator. */
  async login(): Promise<void> {
    const { status, headers } = await this.call("POST", "session", this.district.firstOperator);
    if (status !== 200) throw new Error(`log-in answered ${status}`);
    this.cookie = headers.get("set-cookie")!.split(";")[0]!;
  }

  /** One call of the console's API. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<ConsoleAnswer> {
    const response = await this.fetch(`/api/${path}`, {
      method,
      headers: {
        "x-gatehouse-request": "1",
        "content-type": "application/json",
        cookie: this.cookie,
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      json = text;
    }
    return { status: response.status, headers: response.headers, body: json };
  }

  /** Any request. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(this.district.url + path, { ...init, client: this.#http });
  }

  /** A box, enrolled. */
  async box(name: string = "east-gate"): Promise<FakeBox> {
    const box = new FakeBox(this.district.url, this.district.caPem, this.#clock);
    const { token } = await this.district.createToken();
    const { status } = await box.enrol(token, name);
    if (status !== 200) throw new Error(`enrolment answered ${status}`);
    return box;
  }

  /** A box that is not enrolled. */
  stranger(): FakeBox {
    return new FakeBox(this.district.url, this.district.caPem, this.#clock);
  }

  /** Stops it and removes its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#http.close();
    await this.district[Symbol.asyncDispose]();
    await Deno.remove(this.dataDir, { recursive: true });
  }
}
