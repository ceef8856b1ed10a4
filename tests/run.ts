/**
 * `gatehouse test [NAME…]`: runs the groups of tests, two at a time, and sums them up.
 *
 * A group is a folder of `tests/`, or `unit`: the tests beside the code. Each runs as a `deno test`
 * of its own, so that one that hangs or crashes takes nothing else with it.
 *
 * @module
 */
import { parseArgs } from "node:util";

const ROOT = new URL("..", import.meta.url).pathname;
const HELP = `gatehouse test [NAME…] [--filter TEXT] [--verbose] [--list]

Runs the groups of tests named, or all. Type checks and lints are the group house.

  --filter TEXT   only tests whose name holds TEXT, or matches /TEXT/
  --verbose       everything that tests print, as they print it
  --list          the groups' names

Exit codes: 0 all passed, 1 some failed or a group ran none, 2 bad usage.`;

interface Group {
  readonly name: string;
  readonly paths: readonly string[];
  readonly limitMinutes: number;
  /** Measures time closely, so nothing else runs meanwhile. */
  readonly alone: boolean;
}

interface Outcome {
  readonly group: Group;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
  /** Why the group failed, apart from its failed tests. */
  readonly fault?: string;
  readonly output: readonly string[];
}

/** Twice what the slowest machine was seen to need; what is not listed has {@link LIMIT_MINUTES}. */
const LIMITS_MINUTES: Readonly<Record<string, number>> = {
  unit: 10,
  crash: 20,
  hostile: 15,
  scenario: 15,
  docker: 15,
  hil: 20,
  ota: 30,
  image: 25,
};
const LIMIT_MINUTES = 10;
const ALONE: ReadonlySet<string> = new Set(["browser", "image", "load", "timing"]);
/** Slow ones first, so that the short ones fill up the other core. */
const ORDER = ["image", "ota", "unit", "docker", "crash", "hostile", "hil", "house"];
const AT_ONCE = 2;

const SUMMARY =
  /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed(?: \(.*?\))?(?: \| (\d+) ignored)?/;

function groups(): Group[] {
  const names = [...Deno.readDirSync(ROOT + "tests")]
    .filter((entry) => entry.isDirectory && hasTests(`tests/${entry.name}`))
    .map((entry) => entry.name);
  const rank = (name: string) => ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length;
  return ["unit", ...names]
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
    .map((name) => ({
      name,
      paths: name === "unit" ? unitFolders() : [`tests/${name}/`],
      limitMinutes: LIMITS_MINUTES[name] ?? LIMIT_MINUTES,
      alone: ALONE.has(name),
    }));
}

function unitFolders(): string[] {
  return [...Deno.readDirSync(ROOT)]
    .filter((entry) => entry.isDirectory && !/^(\..*|node_modules|tests|docs)$/.test(entry.name))
    .map((entry) => `${entry.name}/`)
    .filter(hasTests)
    .sort();
}

function hasTests(folder: string): boolean {
  for (const entry of Deno.readDirSync(ROOT + folder)) {
    if (entry.isFile && /(^|[_.])test\.tsx?$/.test(entry.name)) return true;
    if (entry.isDirectory && entry.name !== "node_modules") {
      if (hasTests(`${folder.replace(/\/$/, "")}/${entry.name}`)) return true;
    }
  }
  return false;
}

const running = new Set<Deno.ChildProcess>();

async function run(group: Group, filter: string | undefined, verbose: boolean): Promise<Outcome> {
  const startMs = performance.now();
  // timeout(1) leads a process group, so what a test left running goes with it.
  const child = new Deno.Command("timeout", {
    args: [
      "--kill-after=10",
      `${group.limitMinutes}m`,
      Deno.execPath(),
      "test",
      "--quiet",
      "--allow-all",
      "--no-check", // The group house checks types, once for all.
      "--frozen",
      "--cached-only",
      ...group.name === "unit" ? ["--parallel"] : ["--config=deno.json", "--no-prompt"],
      ...filter === undefined ? [] : [`--filter=${filter}`],
      ...group.paths,
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1", DENO_JOBS: String(AT_ONCE), DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  running.add(child);
  const output: string[] = [];
  const prefix = group.name.padEnd(9);
  const onLine = (line: string) => {
    output.push(line);
    if (verbose || isWorthShowing(group, line)) console.log(`${prefix}| ${line}`);
  };
  const [status] = await Promise.all([
    child.status,
    eachLine(child.stdout, onLine),
    eachLine(child.stderr, onLine),
  ]);
  running.delete(child);
  const counts = output.map((line) => SUMMARY.exec(line)).findLast((match) => match !== null);
  const [passed, failed, skipped] = [1, 2, 3].map((index) => Number(counts?.[index] ?? 0)) as [
    number,
    number,
    number,
  ];
  // A group that this machine cannot run has said why for each of its tests.
  const ran = passed + failed + skipped;
  const fault = faultOf(group, status.code, counts !== undefined, ran, filter, failed);
  const seconds = (performance.now() - startMs) / 1000;
  console.log(
    `${prefix}| ${fault === undefined && failed === 0 ? "done" : "FAILED"} in ${
      seconds.toFixed(0)
    } s`,
  );
  return {
    group,
    passed,
    failed: failed + (fault === undefined ? 0 : 1),
    skipped,
    seconds,
    output,
    ...fault === undefined ? {} : { fault },
  };
}

function faultOf(
  group: Group,
  code: number,
  hasSummary: boolean,
  ran: number,
  filter: string | undefined,
  failed: number,
): string | undefined {
  if (code === 124 || code === 137) return `not done after ${group.limitMinutes} minutes, killed`;
  if (!hasSummary) return `ended with code ${code} before its summary`;
  if (ran === 0 && filter === undefined) return "ran no test";
  if (code !== 0 && failed === 0 && ran > 0) return `ended with code ${code} though no test failed`;
  return undefined;
}

/** Results and reasons for skipping; of the many unit tests only what is not plainly good. */
function isWorthShowing(group: Group, line: string): boolean {
  if (/^skip/i.test(line.trim())) return true;
  if (/^(?:ok|FAILED) \| /.test(line)) return true;
  if (!/^\S.* \.\.\. /.test(line) && !/^\.\/\S+ => /.test(line)) return false;
  return group.name !== "unit" || !/ ok \(/.test(line);
}

async function eachLine(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void) {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    lines.forEach(onLine);
  }
  if (rest !== "") onLine(rest);
}

/** The part of a group's output that explains its failures. */
function explanation(outcome: Outcome): string[] {
  const { output } = outcome;
  const errors = output.findIndex((line) => line.trim() === "ERRORS");
  return errors >= 0 ? output.slice(errors) : output.slice(-200);
}

async function runAll(chosen: Group[], filter: string | undefined, verbose: boolean) {
  const outcomes: Outcome[] = [];
  const queue = chosen.filter((group) => !group.alone);
  const lane = async () => {
    for (let group = queue.shift(); group !== undefined; group = queue.shift()) {
      outcomes.push(await run(group, filter, verbose));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  for (const group of chosen.filter((group) => group.alone)) {
    outcomes.push(await run(group, filter, verbose));
  }
  return outcomes;
}

function report(outcomes: readonly Outcome[]): number {
  for (const outcome of outcomes.filter((outcome) => outcome.failed > 0)) {
    console.log(`\n════ ${outcome.group.name}${outcome.fault ? `: ${outcome.fault}` : ""} ════`);
    for (const line of explanation(outcome)) console.log(line);
  }
  const skips = outcomes.flatMap(({ group, output }) =>
    output.filter((line) => /^skip/i.test(line.trim())).map((line) => `${group.name}: ${line}`)
  );
  console.log(`\n${"group".padEnd(12)}passed  failed  skipped  seconds`);
  for (const { group, passed, failed, skipped, seconds, fault } of outcomes) {
    const figures = [passed, failed].map((figure) => String(figure).padStart(6)).join("  ");
    const end = `${String(skipped).padStart(7)}  ${seconds.toFixed(0).padStart(7)}`;
    console.log(`${group.name.padEnd(12)}${figures}  ${end}${fault ? `  ${fault}` : ""}`);
  }
  if (skips.length > 0) console.log(`\n${[...new Set(skips)].join("\n")}`);
  const sum = (key: "passed" | "failed" | "skipped") =>
    outcomes.reduce((total, outcome) => total + outcome[key], 0);
  const skipped = sum("skipped");
  console.log(
    `\n${sum("passed")} passed, ${sum("failed")} failed${
      skipped > 0 ? `, ${skipped} skipped` : ""
    }`,
  );
  return sum("failed") > 0 || (sum("passed") === 0) ? 1 : 0;
}

async function main(): Promise<number> {
  let options;
  try {
    options = parseArgs({
      args: Deno.args,
      allowPositionals: true,
      options: {
        filter: { type: "string" },
        verbose: { type: "boolean" },
        list: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    console.error(`gatehouse test: ${(error as Error).message}`);
    return 2;
  }
  const { values: { filter, verbose = false, list, help }, positionals } = options;
  if (help) {
    console.log(HELP);
    return 0;
  }
  const all = groups();
  if (list) {
    for (const { name } of all) console.log(name);
    return 0;
  }
  const unknown = positionals.filter((name) => !all.some((group) => group.name === name));
  if (unknown.length > 0) {
    const names = all.map((group) => group.name).join(", ");
    console.error(`gatehouse test: no group ${unknown.join(", ")}; there are ${names}`);
    return 2;
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      for (const child of running) child.kill("SIGTERM");
      Deno.exit(1);
    });
  }
  const chosen = all.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  return report(await runAll(chosen, filter, verbose));
}

if (import.meta.main) Deno.exit(await main());
