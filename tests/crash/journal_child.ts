/**
 * A box's journal under load, to be killed: appends in all lanes as fast as it is answered, and
 * writes a line for each thing that the journal has promised, unbuffered, as soon as it has.
 *
 *     deno run journal_child.ts DATA_DIR RUN SMALL
 *
 * Lines: `open EPOCH BOOT`, then `event LANE SEQ TOKEN` for each event that is durable. With SMALL
 * = `small` the quotas are small and all lanes but alarm are acknowledged as the district would:
 * `intend LANE SEQ` before, `synced LANE SEQ` after that is durable.
 *
 * @module
 */
import { processClock } from "../../hal/linux/clock.ts";
import type { Journal } from "../../runtime/journal/contract.ts";
import { openJournal } from "../../runtime/journal/mod.ts";
import { type BoxEvent, type Lane, LANES } from "../../sync/wire/mod.ts";
import { SMALL_QUOTAS } from "./journal_checks.ts";

/** Appends of each lane that wait at a time: alarms are rare, the gate is busy. */
const AT_ONCE: Readonly<Record<Lane, number>> = { alarm: 1, command: 4, access: 40, telemetry: 20 };

/** Durable events of a lane between two acknowledgements. */
const ACKNOWLEDGE_EVERY = 50;

/** An event of `lane` that carries `token`. */
function eventOf(lane: Lane, token: string): BoxEvent {
  switch (lane) {
    case "alarm":
      return { kind: "door.forced", door: token };
    case "command":
      return { kind: "command.result", id: token, outcome: "done", detail: "x".repeat(200) };
    case "access":
      return { kind: "door.opened", door: token };
    case "telemetry":
      return { kind: "box.started", version: token };
    default:
      return lane satisfies never;
  }
}

/** One write, so that a line is there whole or not at all. */
function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

async function load(journal: Journal, lane: Lane, next: () => string, small: boolean) {
  for (;;) {
    const token = next();
    const { epoch, seq } = await journal.append(eventOf(lane, token));
    say(`event ${lane} ${seq} ${token}`);
    if (lane === "alarm") await clock.sleep(3, new AbortController().signal);
    else if (small && seq % ACKNOWLEDGE_EVERY === 0) {
      say(`intend ${lane} ${seq}`);
      await journal.acknowledge([{ epoch, lane, seq }]);
      say(`synced ${lane} ${seq}`);
    }
  }
}

const [dataDir, run, size] = Deno.args;
const clock = processClock();
const small = size === "small";
const journal = await openJournal({
  dataDir: dataDir!,
  clock,
  ...small ? { quotas: SMALL_QUOTAS } : {},
});
say(`open ${journal.state().epoch}`);
let count = 0;
const next = () => `${run}-${count++}`;
await Promise.all(
  LANES.flatMap((lane) =>
    Array.from({ length: AT_ONCE[lane] }, () => load(journal, lane, next, small))
  ),
);
