/**
 * From starting the box's program to its first decision, and its resident memory, with 100,000
 * credentials, beside a program of Deno that does nothing.
 *
 * @module
 */
import { join } from "node:path";
import { DistrictOfPeople } from "../demo/people.ts";
import { linuxClock, openPtyPair } from "../hal/linux/mod.ts";
import { simulateOsdpReaders } from "../hal/sim/osdp_reader/mod.ts";
import { packPolicy, PolicyStore } from "../runtime/policy/mod.ts";
import { percentile } from "./percentile.ts";
import type { BenchRow } from "./row.ts";

const CREDENTIALS = 100_000;
const ROUNDS = 5;
const ROOT = new URL("..", import.meta.url).pathname;

interface Start {
  readonly firstDecisionMs: number;
  readonly rssMb: number;
}

/** Median start to first decision in ms, and resident memory after it in MB. */
export async function benchStart(): Promise<BenchRow[]> {
  const dir = await Deno.makeTempDir({ prefix: "gatehouse-bench-" });
  try {
    const people = new DistrictOfPeople(CREDENTIALS, 3);
    const policy = people.policy();
    // Any hour will do: what is measured must not depend on when.
    policy.accessLevels[0]!.grants[0]!.schedule = "always";
    {
      using store = new PolicyStore(join(dir, "policy.db"));
      store.apply({ source: "file", version: undefined, document: packPolicy(policy) });
    }
    const ours: Start[] = [];
    const bare: Start[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      bare.push(await startNothing(dir));
      ours.push(await startBox(dir, people));
    }
    const row = (metric: string, unit: string, baseline: string, of: (start: Start) => number) => {
      const [value, baselineValue] = [percentile(ours.map(of), 50), percentile(bare.map(of), 50)];
      return {
        bench: "start",
        metric: `${metric}, ${CREDENTIALS} credentials`,
        value,
        unit,
        baseline,
        baselineValue,
        ratio: value / baselineValue,
      };
    };
    return [
      row("start to first decision", "ms", "Deno starting and ending", (s) => s.firstDecisionMs),
      row("resident memory after it", "MB", "Deno doing nothing", (s) => s.rssMb),
    ];
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** The same flags as the launcher's, without its checks of what is installed. */
function deno(dir: string, args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      `--config=${ROOT}deno.json`,
      "--frozen",
      "--cached-only",
      "--no-prompt",
      "--permission-set=box",
      `--allow-read=${ROOT},${dir}`,
      `--allow-write=${dir}`,
      ...args,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function startBox(dir: string, people: DistrictOfPeople): Promise<Start> {
  const clock = linuxClock();
  const stop = new AbortController();
  await using pair = openPtyPair(clock);
  const line = simulateOsdpReaders(pair.port, clock, [{ address: 0 }], stop.signal);
  const reader = line.reader(0);
  const config = join(dir, "box.yaml");
  await Deno.writeTextFile(
    config,
    `
box: { name: east-gate, timezone: Asia/Shanghai }
api: { listen: "127.0.0.1:0" }
buses: [{ id: bus, kind: serial, path: ${pair.path}, baudRate: 115200 }]
readers: [{ id: in, driver: osdp, bus: bus, address: 0, door: main }]
outputs: [{ id: lock, driver: osdp, reader: in, index: 0 }]
doors: [{ id: main, lock: lock, kind: strike }]
`,
  );
  const startMs = clock.monotonicMs();
  const box = deno(dir, [
    `${ROOT}runtime/main.ts`,
    "box",
    `--config=${config}`,
    `--data=${dir}`,
  ]);
  const api = apiOf(box.stderr);
  try {
    const firstDecisionMs = await new Promise<number>((resolve, reject) => {
      reader.onOutput((_index, active, atMs) => {
        if (active) resolve(atMs - startMs);
      });
      // Its resting light is the first thing that a reader is told once it counts as online.
      reader.onLed(() => {
        const card = people.read(false);
        if (!reader.led().temporary) reader.present(card.bits, card.data);
      });
      box.status.then(({ code }) => reject(new Error(`the box ended with ${code}`)));
    });
    const metrics = await (await fetch(`${await api}/metrics`)).text();
    const rssBytes = /^gatehouse_resident_memory_bytes (\S+)$/m.exec(metrics)![1];
    return { firstDecisionMs, rssMb: Number(rssBytes) / 2 ** 20 };
  } finally {
    box.kill("SIGTERM");
    await box.status;
    await box.stdout.cancel();
    stop.abort();
  }
}

/** Where the box serves its metrics, from its log, which is read to the end. */
function apiOf(log: ReadableStream<Uint8Array>): Promise<string> {
  return new Promise((resolve, reject) => {
    (async () => {
      let text = "";
      for await (const part of log.pipeThrough(new TextDecoderStream())) {
        text += part;
        const url = /"api":"([^"]+)"/.exec(text)?.[1];
        if (url !== undefined) resolve(url);
      }
      reject(new Error(`the box ended: ${text}`));
    })().catch(reject);
  });
}

async function startNothing(dir: string): Promise<Start> {
  const clock = linuxClock();
  const program = join(dir, "nothing.ts");
  await Deno.writeTextFile(program, "");
  const startMs = clock.monotonicMs();
  const { code } = await deno(dir, [program]).output();
  if (code !== 0) throw new Error(`an empty program ended with ${code}`);
  const firstDecisionMs = clock.monotonicMs() - startMs;
  await Deno.writeTextFile(program, "console.log(Deno.memoryUsage().rss);");
  const { stdout } = await deno(dir, [program]).output();
  return { firstDecisionMs, rssMb: Number(new TextDecoder().decode(stdout)) / 2 ** 20 };
}
