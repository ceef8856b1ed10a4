/**
 * `gatehouse bench [NAME…]`: measures, each figure beside a peer's of the same run.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { linuxClock } from "../hal/linux/mod.ts";
import type { BenchRow } from "./row.ts";

const HELP = `gatehouse bench [NAME…] [--json] [--record]

Measures, one benchmark after another, each figure beside that of a plainer way in the same run.

  tap       last byte of a card readable on the line until the relay is written
  readers   last word of a Wiegand, HID or OSDP reader until the relay, and 8 OSDP readers on a line
  journal   durable appends a second
  drain     a backlog drained to the district: events a second, bytes an event
  decide    decisions a second with 200,000 credentials
  start     start to first decision, and resident memory
  ota       what an update costs: bytes, memory, the door's pause

  --json    one JSON object a line: bench, metric, value, unit, baseline, baselineValue, ratio
  --record  also writes them into bench/RESULTS.md

Exit codes: 0 measured, 1 a benchmark failed, 2 bad usage.`;

/** Loaded when asked for: what one benchmark imports must not weigh on another's figures. */
const BENCHES: Readonly<Record<string, () => Promise<BenchRow[]>>> = {
  tap: async () => await (await import("./tap.ts")).benchTap(),
  readers: async () => await (await import("./readers.ts")).benchReaders(),
  journal: async () => await (await import("./journal.ts")).benchJournal(),
  drain: async () => await (await import("./drain.ts")).benchDrain(),
  decide: async () => await (await import("./decide.ts")).benchDecide(),
  start: async () => await (await import("./start.ts")).benchStart(),
  ota: async () => await (await import("./ota.ts")).benchOta(),
};

function figure(value: number): string {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return value.toLocaleString("en", { maximumFractionDigits: Math.min(digits, 3) });
}

function cells(row: BenchRow): string[] {
  return [
    row.bench,
    row.metric,
    `${figure(row.value)} ${row.unit}`,
    row.baseline,
    `${figure(row.baselineValue)} ${row.unit}`,
    figure(row.ratio),
  ];
}

const HEADINGS = ["bench", "metric", "value", "baseline", "its value", "ratio"];

function table(rows: readonly BenchRow[]): string {
  const lines = [HEADINGS, ...rows.map(cells)];
  const widths = HEADINGS.map((_, column) =>
    Math.max(...lines.map((line) => line[column]!.length))
  );
  return lines
    .map((line) => line.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd())
    .join("\n");
}

/** The results with `rows` in the place of what the same benchmarks had. */
function record(before: string, rows: readonly BenchRow[]): string {
  const memory = Deno.systemMemoryInfo().total / 2 ** 30;
  const day = new Date(linuxClock().wallMs()).toISOString().slice(0, 10);
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const measured = new Set(rows.map(({ bench }) => bench));
  const benchOf = (text: string) => /^\| (\w+) \|/.exec(text)?.[1] ?? "";
  const kept = before.split("\n").filter((text) =>
    Object.hasOwn(BENCHES, benchOf(text)) && !measured.has(benchOf(text))
  );
  const order = Object.keys(BENCHES);
  const lines = [...kept, ...rows.map((row) => line([...cells(row), day]))]
    .sort((a, b) => order.indexOf(benchOf(a)) - order.indexOf(benchOf(b)));
  const headings = [...HEADINGS, "made on"];
  return `# Results

Made by \`./gatehouse bench NAME --record\`, last on ${cpuModel()}, ${
    memory.toFixed(0)
  } GiB of memory, Linux ${Deno.osRelease()}, Deno ${Deno.version.deno}. A shared machine: figures of two runs differ
by a fifth, so read the ratios, whose two figures come from the same run. What is simulated stands in
the metric's name.

${line(headings)}
${line(headings.map(() => "---"))}
${lines.join("\n")}
`;
}

function cpuModel(): string {
  return `${navigator.hardwareConcurrency} cores of ${Deno.build.arch}`;
}

async function main(): Promise<number> {
  let options;
  try {
    options = parseArgs({
      args: Deno.args,
      allowPositionals: true,
      options: {
        json: { type: "boolean" },
        record: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    console.error(`gatehouse bench: ${(error as Error).message}`);
    return 2;
  }
  const { values, positionals } = options;
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const names = positionals.length > 0 ? positionals : Object.keys(BENCHES);
  const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name));
  if (unknown.length > 0) {
    console.error(
      `gatehouse bench: no benchmark ${unknown.join(", ")}; there are ${
        Object.keys(BENCHES).join(", ")
      }`,
    );
    return 2;
  }
  const rows: BenchRow[] = [];
  let failed = false;
  for (const name of names) {
    console.error(`measuring ${name}…`);
    try {
      const measured = await BENCHES[name]!();
      if (measured.length === 0) throw new Error("it measured nothing");
      rows.push(...measured);
      if (values.json) { for (const row of measured) console.log(JSON.stringify(row)); }
    } catch (error) {
      failed = true;
      console.error(`gatehouse bench: ${name} failed:`, error);
    }
  }
  if (!values.json && rows.length > 0) console.log(table(rows));
  if (values.record && !failed) {
    const path = new URL("./RESULTS.md", import.meta.url);
    await Deno.writeTextFile(path, record(await Deno.readTextFile(path), rows));
  }
  return failed ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main());
