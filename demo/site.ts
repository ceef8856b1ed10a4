/**
 * One district and one gate box, both real programs, with simulated readers on a pseudo-terminal.
 *
 * @module
 */
import { join } from "node:path";
import type { Clock } from "../hal/mod.ts";
import { openPtyPair } from "../hal/linux/mod.ts";
import { type SimulatedOsdpLine, simulateOsdpReaders } from "../hal/sim/osdp_reader/mod.ts";
import { ConsoleClient } from "./console_client.ts";
import { Program, runProgram } from "./program.ts";
import { type School, SCHOOL_SETTINGS } from "./school.ts";

/** What one needs to know of a running site. */
export interface Site extends AsyncDisposable {
  readonly district: Program;
  readonly box: Program;
  readonly consoleUrl: string;
  readonly login: { readonly username: string; readonly password: string };
  readonly operator: ConsoleClient;
  /** Where the box serves `/healthz` and `/metrics`. */
  readonly boxApi: string;
  /** Readers: address 0 at the turnstile, 1 at the gate. */
  readonly readers: SimulatedOsdpLine;
}

/** `box.yaml` of the demo's gate: the turnstile hangs on its reader's relay, the magnet on a simulated output. */
function boxYaml(path: string): string {
  return `# yaml-language-server: $schema=docs/reference/box.schema.json
box: { name: east-gate, timezone: Asia/Shanghai }
api: { listen: "127.0.0.1:0" }
buses:
  - { id: gate-bus, kind: serial, path: ${path}, baudRate: 115200 }
readers:
  - { id: turnstile-in, driver: osdp, bus: gate-bus, address: 0, door: turnstile }
  - { id: gate-in, driver: osdp, bus: gate-bus, address: 1, door: gate }
outputs:
  - { id: turnstile-drive, driver: osdp, reader: turnstile-in, index: 0 }
  - { id: gate-magnet, driver: simulated }
inputs:
  - { id: gate-contact, driver: osdp, reader: gate-in, index: 0 }
doors:
  - { id: turnstile, lock: turnstile-drive, kind: turnstile, holdMs: 500 }
  - { id: gate, lock: gate-magnet, kind: magnet, holdMs: 3000, contact: gate-contact }
`;
}

/** The first port tried for the console: the one that the documentation names. */
const CONSOLE_PORT = 8443;

/** Sets everything up in `dir`: district, operator, people, policy, enrolment, box. `say` gets each step. */
export async function openSite(
  dir: string,
  school: School,
  clock: Clock,
  say: (step: string) => void,
): Promise<Site> {
  await using stack = new AsyncDisposableStack();
  say("starting the district");
  const districtData = join(dir, "district");
  const district = stack.use(
    new Program([
      "district",
      "--data",
      districtData,
      "--listen",
      `127.0.0.1:${portIsFree(CONSOLE_PORT) ? CONSOLE_PORT : 0}`,
      "--name",
      "冀州区智慧校园",
      "--json",
    ], clock),
  );
  const { port } = await district.findJson({ event: "listening" }, 60_000);
  const consoleUrl = `https://localhost:${port}`;
  const operatorLine = await district.findJson({ event: "operator" });
  const login = {
    username: String(operatorLine.username),
    password: String(operatorLine.password),
  };
  const caPem = await Deno.readTextFile(join(districtData, "ca.pem"));
  const operator = stack.use(await ConsoleClient.login(consoleUrl, caPem, login));

  say("importing the school");
  await operator.putPolicy(SCHOOL_SETTINGS);
  const report = await operator.importCardholders(school.csv());

  say(`enrolling the gate (${report.added} cardholders, policy ${report.policyVersion})`);
  const boxData = join(dir, "east-gate");
  const { token } = await operator.enrolmentToken();
  const enrolled = await runProgram([
    "enrol",
    "--district",
    consoleUrl,
    "--token",
    token,
    "--name",
    "east-gate",
    "--data",
    boxData,
  ]);
  if (enrolled.code !== 0) throw new Error(`enrolment failed: ${enrolled.stderr}`);

  const pair = stack.use(openPtyPair(clock));
  const stop = new AbortController();
  stack.defer(() => stop.abort());
  const readers = simulateOsdpReaders(
    pair.port,
    clock,
    [{ address: 0 }, { address: 1 }],
    stop.signal,
  );
  const config = join(dir, "box.yaml");
  await Deno.writeTextFile(config, boxYaml(pair.path));
  say("starting the gate");
  const box = stack.use(new Program(["box", "--config", config, "--data", boxData], clock));
  const started = await box.findJson({ message: "box started" }, 60_000);
  await box.findJson({ message: "policy in force" }, 60_000);
  const boxApi = String(started.api);
  await readersOnline(boxApi, clock);
  const owned = stack.move();
  return {
    district,
    box,
    consoleUrl,
    login,
    operator,
    boxApi,
    readers,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Waits until every reader of the box answers. */
async function readersOnline(boxApi: string, clock: Clock): Promise<void> {
  const endMs = clock.monotonicMs() + 20_000;
  for (;;) {
    const health = await (await fetch(`${boxApi}/healthz`)).json();
    if (health.status.readers.every((reader: { online: boolean }) => reader.online)) return;
    if (clock.monotonicMs() > endMs) throw new Error(`readers: ${health.faults.join("; ")}`);
    await clock.sleep(50, new AbortController().signal);
  }
}

function portIsFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch (cause) {
    if (cause instanceof Deno.errors.AddrInUse) return false;
    throw cause;
  }
}

/** One sample of the box's metrics, `NaN` when it is not there. */
export async function metric(boxApi: string, name: string): Promise<number> {
  const text = await (await fetch(`${boxApi}/metrics`)).text();
  const line = text.split("\n").find((one) => one.startsWith(`${name} `));
  return line === undefined ? NaN : Number(line.slice(name.length + 1));
}
