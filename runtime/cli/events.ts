import { processClock } from "../../hal/linux/mod.ts";
import { type Lane, LANES } from "../../sync/wire/mod.ts";
import { JournalReader, type StoredEvent } from "../journal/mod.ts";
import { DATA_DIR_DEFAULT, EXIT, readArgs } from "./usage.ts";

const HELP = `
gatehouse events [--data DIR] [--json] [--follow] [--verify]

Shows what a box recorded, in the order in which it happened; the box may be running.

  --data DIR   the box's data folder, default ${DATA_DIR_DEFAULT}
  --json       one JSON object an event: {"epoch", "lane", "seq", "wallMs", "monotonicMs", "boot",
               "clock", "event": {"kind", …}}
  --follow     goes on with events as they come, until it is stopped
  --verify     recomputes the hash chain of each lane instead

Exit codes: 0 shown, 1 there is no journal or its chain is broken, 2 bad usage.
`;

/** How soon a followed event shows. */
const FOLLOW_MS = 200;

/** `gatehouse events`. */
export async function eventsCommand(args: string[], signal: AbortSignal): Promise<number> {
  const parsed = readArgs(args, {
    data: { type: "string" },
    json: { type: "boolean" },
    follow: { type: "boolean" },
    verify: { type: "boolean" },
  }, HELP);
  if (parsed === undefined) return EXIT.ok;
  const { data = DATA_DIR_DEFAULT, json, follow, verify } = parsed.values;
  let reader: JournalReader;
  try {
    reader = new JournalReader(data);
  } catch (error) {
    console.error(
      `no journal can be read in ${data}: ${
        (error as Error).message
      }; name the box's folder with --data`,
    );
    return EXIT.failed;
  }
  try {
    if (verify) return showVerdict(reader, json === true);
    const positions = Object.fromEntries(LANES.map((lane) => [lane, 0])) as Record<Lane, number>;
    const clock = processClock();
    for (;;) {
      for (const event of reader.events(positions)) {
        console.log(json ? JSON.stringify(event) : line(event));
      }
      if (!follow || signal.aborted) return EXIT.ok;
      await clock.sleep(FOLLOW_MS, signal).catch(() => {});
      // After a spoilt store was replaced, the file at this path is another one.
      using fresh = new JournalReader(data);
      if (fresh.epoch !== reader.epoch) {
        reader[Symbol.dispose]();
        reader = new JournalReader(data);
        for (const lane of LANES) positions[lane] = 0;
      }
    }
  } finally {
    reader[Symbol.dispose]();
  }
}

function showVerdict(reader: JournalReader, json: boolean): number {
  const verdicts = reader.verify();
  for (const verdict of verdicts) {
    if (json) console.log(JSON.stringify({ epoch: reader.epoch, ...verdict }));
    else {
      const state = verdict.brokenAt === undefined ? "whole" : `BROKEN at ${verdict.brokenAt}`;
      console.log(`${verdict.lane.padEnd(10)} ${verdict.events} events, chain ${state}`);
    }
  }
  return verdicts.every((verdict) => verdict.brokenAt === undefined) ? EXIT.ok : EXIT.failed;
}

function line({ lane, wallMs, clock, event }: StoredEvent): string {
  const { kind, ...fields } = event;
  const time = new Date(wallMs).toISOString() + (clock === "unsynchronised" ? "?" : " ");
  const rest = Object.entries(fields)
    .map(([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : value}`)
    .join(" ");
  return `${time} ${lane.padEnd(9)} ${kind.padEnd(18)} ${rest}`.trimEnd();
}
