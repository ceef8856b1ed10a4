/**
 * What an update costs: bytes over the line, memory, and the door's pause.
 *
 * The releases are this repository's own: the program as it is shipped, now, one change before and
 * thirty changes before.
 */
import { join } from "node:path";
import { UpdateSite } from "../tests/ota/site.ts";
import { type Bundle, packBundle, packDelta } from "../ota/app/mod.ts";
import { linuxClock } from "../hal/linux/mod.ts";
import type { BenchRow } from "./row.ts";

const ROOT = new URL("..", import.meta.url).pathname;
/** Changes to the box's program between two patch releases, and between two minor ones. */
const CHANGES = { patch: 1, minor: 30 } as const;
/** What is promised: docs/district/updates.md. */
const PAUSE_MS_MAX = 2_000;
/** The box's own folders. */
const FOLDERS = ["runtime", "drivers", "sync", "hal", "ota"];
const clock = linuxClock();

async function run(program: string, args: readonly string[], cwd = ROOT): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args], cwd })
    .output();
  const text = new TextDecoder();
  if (!success) throw new Error(`${program} ${args.join(" ")}: ${text.decode(stderr)}`);
  return text.decode(stdout).trim();
}

/** The commit before the last `changes` ones that touched the box's program. */
async function commitBefore(changes: number): Promise<string> {
  const format = ["log", "--format=%H", `--max-count=${changes}`, "--", ...FOLDERS];
  const commits = (await run("git", format)).split("\n");
  if (commits.length < changes) {
    throw new Error(`the history has ${commits.length} changes, ${changes} are needed; fetch more`);
  }
  return await run("git", ["rev-parse", `${commits.at(-1)}^`]);
}

/** Lays out the program of `commit` as it is shipped. */
async function layOut(folder: string, commit: string): Promise<string> {
  const tree = join(folder, commit);
  await Deno.mkdir(tree);
  await run("sh", ["-c", `git archive ${commit} | tar -x -C '${tree}'`]);
  const out = join(folder, `${commit}-laid`);
  const deno = Deno.execPath();
  await run(deno, ["install", "--quiet", "--frozen"], tree);
  await run(deno, ["run", "-A", "tools/production.ts", "runtime/main.ts", out, "x64"], tree);
  return out;
}

/** Watches a process to its end; the most memory that it had, in bytes. A shell, for /proc is closed to us. */
const PEAK =
  `while line=$(grep VmHWM "/proc/$pid/status" 2>/dev/null); do last=$line; done; echo "$last"`;

function peakBytes(said: string): number {
  const kb = Number(/VmHWM:\s*(\d+) kB/.exec(said)?.[1] ?? 0);
  if (kb === 0) throw new Error("no memory was measured");
  return kb * 1_024;
}

/** Runs a program; the most memory that it had. */
async function peakOf(program: string, args: readonly string[]): Promise<number> {
  return peakBytes(
    await run("sh", ["-c", `"$@" & pid=$!; ${PEAK}; wait $pid`, "sh", program, ...args]),
  );
}

async function sizes(folder: string, now: Bundle): Promise<BenchRow[]> {
  const whole = Deno.statSync(now.packed).size;
  const rows: BenchRow[] = [];
  for (const [name, changes] of Object.entries(CHANGES)) {
    const commit = await commitBefore(changes);
    const before = await packBundle(await layOut(folder, commit), join(folder, name));
    const [delta, peer] = [join(folder, `${name}.zst`), join(folder, `${name}.xdelta`)];
    await packDelta(before.tar, now.tar, delta);
    await run("xdelta3", ["-e", "-9", "-f", "-s", before.tar, now.tar, peer]);
    const bytes = Deno.statSync(delta).size;
    const metric = `${name} release of the app, ${changes} change${
      changes > 1 ? "s" : ""
    }: bytes fetched`;
    const row = (baseline: string, baselineBytes: number): BenchRow => ({
      bench: "ota",
      metric,
      value: bytes / 1e3,
      unit: "kB",
      baseline,
      baselineValue: baselineBytes / 1e3,
      ratio: bytes / baselineBytes,
    });
    rows.push(
      row("the whole release, zstd -19", whole),
      row("xdelta3 -9", Deno.statSync(peer).size),
    );
    if (name !== "minor") continue;
    const [out, peerOut] = [join(folder, "out"), join(folder, "peer-out")];
    const patch = [
      "-dqf",
      "--memory=96MB",
      "--long=27",
      `--patch-from=${before.tar}`,
      delta,
      "-o",
      out,
    ];
    const mine = await peakOf("zstd", patch);
    const theirs = await peakOf("xdelta3", ["-d", "-f", "-s", before.tar, peer, peerOut]);
    rows.push({
      bench: "ota",
      metric: `${name} release of the app: peak memory of what applies it`,
      value: mine / 1e6,
      unit: "MB",
      baseline: "xdelta3",
      baselineValue: theirs / 1e6,
      ratio: mine / theirs,
    });
  }
  return rows;
}

/** A whole update of a real box to the program in `laid`: how long its door was shut, and its memory. */
async function update(laid: string): Promise<BenchRow[]> {
  await using site = await UpdateSite.open();
  const path = await site.release("0.2.0", "", laid);
  const peak = run("sh", ["-c", `pid=$1; ${PEAK}`, "sh", String(site.updater.pid)]);
  let [lastMs, pauseMs] = [clock.monotonicMs(), 0];
  let watching = true;
  const watch = (async () => {
    while (watching) {
      const health = await site.health();
      const nowMs = clock.monotonicMs();
      if (health?.status.readers.every(({ online }: { online: boolean }) => online)) {
        pauseMs = Math.max(pauseMs, nowMs - lastMs);
        lastMs = nowMs;
      }
      await clock.sleep(10, new AbortController().signal);
    }
  })();
  const { state, reason } = await site.outcome(await site.roll(path));
  watching = false;
  await watch;
  if (state !== "installed") throw new Error(`the update ended ${state}: ${reason}`);
  const bare = await peakOf(Deno.execPath(), ["eval", "--no-config", "1"]);
  const bytes = peakBytes(await peak);
  return [{
    bench: "ota",
    metric: "peak memory of the updater over a whole update",
    value: bytes / 1e6,
    unit: "MB",
    baseline: "Deno doing nothing",
    baselineValue: bare / 1e6,
    ratio: bytes / bare,
  }, {
    bench: "ota",
    metric: "the door's pause at the switch, until its readers are online",
    value: pauseMs,
    unit: "ms",
    baseline: "what is promised",
    baselineValue: PAUSE_MS_MAX,
    ratio: pauseMs / PAUSE_MS_MAX,
  }];
}

/** What needs every permission is a program of its own: it prints its rows. */
async function program(name: string, argument: string): Promise<BenchRow[]> {
  const flags = ["run", "--allow-all", "--frozen", "--cached-only"];
  return JSON.parse(await run(Deno.execPath(), [...flags, `bench/${name}.ts`, argument]));
}

/** `gatehouse bench ota`. */
export async function benchOta(): Promise<BenchRow[]> {
  const folder = await Deno.makeTempDir({ prefix: "gatehouse-bench-ota-" });
  try {
    const laid = await layOut(folder, await run("git", ["rev-parse", "HEAD"]));
    const now = await packBundle(laid, join(folder, "now"));
    return [
      ...await sizes(folder, now),
      ...await update(laid),
      ...await program("ota_lan", now.packed),
      ...await program("ota_system", folder),
    ];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
