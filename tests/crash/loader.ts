/**
 * A box's journal and sync under load, to be killed: appends numbered events in all lanes and says
 * each acknowledged one on standard output, unbuffered, as `number epoch lane seq`.
 *
 * Arguments: data folder, first number, events to append (0: until killed). Ends when everything is
 * at the district.
 *
 * @module
 */
import { linuxClock } from "../../hal/linux/mod.ts";
import { openJournal } from "../../runtime/journal/mod.ts";
import { jsonLog } from "../../runtime/log.ts";
import { loadIdentity, startSync } from "../../sync/mod.ts";
import type { BoxEvent, BoxStatus } from "../../sync/wire/mod.ts";

/** Events under way at once. */
const UNDER_WAY_MAX = 200;

const [dataDir = "", first = "1", count = "0"] = Deno.args;
const clock = linuxClock();
const { signal } = new AbortController();
const encoder = new TextEncoder();
const journal = await openJournal({ dataDir, clock });
const identity = await loadIdentity(dataDir);
if (identity === undefined) throw new Error(`${dataDir} is not enrolled`);
const status: BoxStatus = {
  kind: "status",
  name: "east-gate",
  version: "0.1.0",
  policyVersion: 0,
  doors: [],
  readers: [],
  backlogEvents: 0,
  rssBytes: 0,
  uptimeMs: 0,
};
const sync = startSync({
  identity,
  journal,
  clock,
  log: jsonLog(clock, (line) => console.error(line)),
  status: () => status,
  onStatusChange: () => () => {},
  policyVersion: () => 0,
  applyPolicy: () => Promise.resolve(),
  execute: () => ({ outcome: "done" }),
}, signal);

/** One of each lane in turn; the number is in it. */
function eventOf(number: number): BoxEvent {
  switch (number % 10) {
    case 0:
      return { kind: "door.forced", door: `n${number}` };
    case 1:
      return { kind: "command.result", id: `n${number}`, outcome: "done" };
    case 2:
      return { kind: "output.changed", output: `n${number}`, active: true };
    default:
      return {
        kind: "access.granted",
        door: `n${number}`,
        reader: "in",
        credential: number,
        cardholder: number,
      };
  }
}

let number = Number(first);
const last = Number(count) === 0 ? Infinity : number + Number(count);
let underWay = 0;
while (number < last || underWay > 0) {
  while (number < last && underWay < UNDER_WAY_MAX) {
    const mine = number++;
    underWay++;
    journal.append(eventOf(mine)).then(({ epoch, lane, seq }) => {
      Deno.stdout.writeSync(encoder.encode(`${mine} ${epoch} ${lane} ${seq}\n`));
      underWay--;
    }, (error) => {
      console.error(String(error));
      Deno.exit(1);
    });
  }
  await clock.sleep(5, signal);
}
while (journal.state().lanes.some((lane) => lane.synced < lane.head)) await clock.sleep(20, signal);
await sync[Symbol.asyncDispose]();
await journal[Symbol.asyncDispose]();
