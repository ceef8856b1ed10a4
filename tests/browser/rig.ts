/**
 * A real district and a real box, each a process of its own, and a real browser.
 *
 * @module
 */
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { linuxClock } from "../../hal/linux/mod.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** Where the built console is. */
export const WEB_DIST: string = `${ROOT}web/dist`;
const CHROMIUM = "/usr/bin/chromium";
const CHROMIUM_ARGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** A process that has not said it is up by then never will. */
const START_MS_MAX = 30_000;
/** Enough to see why a process failed. */
const LOG_LINES_MAX = 400;

/** Time for tests that talk to real processes. */
export const clock: ReturnType<typeof linuxClock> = linuxClock();

/** A child process that is killed when the rig ends. */
export class Program implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #log: string[] = [];
  readonly #lines: string[] = [];
  readonly #reading: Promise<unknown>;
  #ended = false;

  /** Starts `deno run main args`. */
  constructor(main: string, args: readonly string[]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", "--allow-all", ROOT + main, ...args],
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#reading = Promise.all([
      this.#read(this.#child.stdout, this.#lines),
      this.#read(this.#child.stderr, this.#log),
      this.#child.status.then(() => this.#ended = true),
    ]);
  }

  async #read(stream: ReadableStream<Uint8Array>, into: string[]): Promise<void> {
    const text = stream.pipeThrough(new TextDecoderStream());
    let rest = "";
    for await (const chunk of text) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      into.push(...lines);
      if (into.length > LOG_LINES_MAX) into.splice(0, into.length - LOG_LINES_MAX);
    }
  }

  /** What it wrote to standard output and standard error. */
  output(): string {
    return [...this.#lines, ...this.#log].join("\n");
  }

  /** Waits until `find` finds something in a line of its output. */
  async waitFor<T>(find: (line: string) => T | undefined): Promise<T> {
    const untilMs = clock.monotonicMs() + START_MS_MAX;
    while (clock.monotonicMs() < untilMs) {
      for (const line of [...this.#lines, ...this.#log]) {
        const found = find(line);
        if (found !== undefined) return found;
      }
      if (this.#ended) break;
      await clock.sleep(30, new AbortController().signal);
    }
    throw new Error(`the program did not get going:\n${this.output()}`);
  }

  /** Waits for its end; its exit code. */
  async ended(): Promise<number> {
    const { code } = await this.#child.status;
    await this.#reading;
    return code;
  }

  /** Kills it like a power cut. */
  async kill(): Promise<void> {
    if (!this.#ended) this.#child.kill("SIGKILL");
    await this.ended();
  }

  /** {@link kill}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** A running district. */
export interface RunningDistrict {
  readonly program: Program;
  readonly url: string;
  readonly username: string;
  readonly password: string;
}

/** Starts a district in `dataDir` and reads its first operator. */
export async function startDistrict(dataDir: string): Promise<RunningDistrict> {
  const program = new Program("district/main.ts", [
    "--data",
    dataDir,
    "--listen",
    "127.0.0.1:0",
    "--name",
    "东城学区",
    "--json",
  ]);
  const line = <T>(event: string) =>
    program.waitFor((text) =>
      text.includes(`"event":"${event}"`) ? JSON.parse(text) as T : undefined
    );
  const { port } = await line<{ port: number }>("listening");
  const operator = await line<{ username: string; password: string }>("operator");
  return { program, url: `https://127.0.0.1:${port}`, ...operator };
}

/** A box with simulated OSDP readers on a pty, and how to tap at it. */
export class SimulatedBox {
  readonly #dataDir: string;
  readonly #configPath: string;
  readonly #api: string;
  #program: Program | undefined;

  private constructor(dir: string, api: string) {
    this.#dataDir = join(dir, "box");
    this.#configPath = join(dir, "box.yaml");
    this.#api = api;
  }

  /** Writes its box.yaml. */
  static async create(dir: string): Promise<SimulatedBox> {
    const box = new SimulatedBox(dir, `127.0.0.1:${freePort()}`);
    await Deno.writeTextFile(
      box.#configPath,
      `
box: { name: east-gate, timezone: Asia/Shanghai }
api: { listen: "${box.#api}" }
buses: [{ id: gate-bus, kind: simulated }]
readers:
  - { id: in, driver: osdp, bus: gate-bus, address: 0, door: main }
  - { id: side-in, driver: osdp, bus: gate-bus, address: 1, door: side }
outputs:
  - { id: main-lock, driver: simulated }
  - { id: side-lock, driver: simulated }
doors:
  - { id: main, lock: main-lock, kind: strike, holdMs: 1500 }
  - { id: side, lock: side-lock, kind: magnet, holdMs: 1500 }
`,
    );
    return box;
  }

  /** `gatehouse enrol`. */
  async enrol(url: string, token: string): Promise<void> {
    await using program = new Program("runtime/main.ts", [
      "enrol",
      ...["--district", url, "--token", token, "--name", "east-gate", "--data", this.#dataDir],
    ]);
    const code = await program.ended();
    if (code !== 0) throw new Error(`enrol ended with ${code}:\n${program.output()}`);
  }

  /** `gatehouse box`, until it serves and its readers answer. */
  async start(): Promise<void> {
    const program = new Program("runtime/main.ts", [
      "box",
      ...["--config", this.#configPath, "--data", this.#dataDir],
    ]);
    this.#program = program;
    await program.waitFor((line) => line.includes("box started") ? true : undefined);
  }

  /** Kills it like a power cut. */
  async kill(): Promise<void> {
    await this.#program?.kill();
    this.#program = undefined;
  }

  /** Presents a card to a simulated reader. */
  async tap(reader: string, bits: number, hex: string): Promise<void> {
    const response = await fetch(`http://${this.#api}/simulated/readers/${reader}/card`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ bits, hex }),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`tap: ${response.status}`);
  }

  /** What it wrote. */
  output(): string {
    return this.#program?.output() ?? "";
  }

  /** {@link kill}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Debian's Chromium. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGS });
}

/** Builds the console unless it is there. */
export async function ensureConsole(): Promise<void> {
  const built = await Deno.stat(`${WEB_DIST}/index.html`).then(() => true, () => false);
  if (built) return;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "web:build"],
    cwd: ROOT,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** Saves what the page shows, once it stands still. */
export async function shoot(page: Page, folder: string, name: string): Promise<void> {
  await clock.sleep(350, new AbortController().signal);
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}
