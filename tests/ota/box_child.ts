/**
 * A box as far as updates go, started by the real starter from a slot or from what is built in. Says
 * on standard output what it is and which states it passes, and dies where it is told to.
 *
 * @module
 */
import { join } from "node:path";
import { AppBackEnd, AppSlots, SYSTEM_TOOLS } from "../../ota/app/mod.ts";
import { UpdateAgent } from "../../ota/agent/mod.ts";
import { FolderSource } from "../../ota/testing/mod.ts";
import { TimeFloor, UpdateTrust } from "../../ota/trust/mod.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import type { ChildOptions } from "./rig.ts";

const clock = linuxClock();
const [version, folder] = Deno.args as [string, string];
const options: ChildOptions = JSON.parse(await Deno.readTextFile(join(folder, "child.json")));
const say = (word: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${word}\n`));
const die = () => Deno.kill(Deno.pid, "SIGKILL");

const slot = Deno.env.get("GATEHOUSE_SLOT") || undefined;
say(`start ${version}`);
if (options.crashing.includes(version)) Deno.exit(1);

const source = new FolderSource(join(folder, "repository"));
const floor = new TimeFloor(join(folder, "box/floor"), options.nowMs, clock);
const root = await Deno.readFile(join(folder, "root.json"));
const trust = new UpdateTrust({ dir: join(folder, "box/trust"), root, source, clock, floor });
const slots = new AppSlots(join(folder, "box/app"));
const stop = new AbortController();
const restart = () => {
  say("restart");
  Deno.exit(0);
};
const backEnd = new AppBackEnd({
  dir: join(folder, "box/fetched"),
  slots,
  running: slot,
  arch: "x64",
  trust,
  source,
  clock,
  tools: options.unsynced ? { ...SYSTEM_TOOLS, syncDisk: () => Promise.resolve() } : SYSTEM_TOOLS,
  restart,
  ...options.bytesPerSecondMax === undefined
    ? {}
    : { bytesPerSecondMax: options.bytesPerSecondMax },
});
let changed = false;
const agent = new UpdateAgent({
  stateFile: join(folder, "box/update.json"),
  backEnd,
  clock,
  clear: () => Promise.resolve(),
  health: () =>
    Promise.resolve(options.unhealthy.includes(version) ? "no reader answers" : undefined),
  report: (last) => {
    // The one before is told at each start too.
    if (last.wanted.action !== options.wanted?.action) return;
    say(`report ${last.outcome} ${last.wanted.version} ${last.reason ?? ""}`.trim());
    if (options.endAtReport) stop.abort();
  },
  onState: (state) => {
    changed = true;
    say(`state ${state.at}`);
    if (options.dieIn === state.at && !exists(join(folder, "died"))) {
      Deno.writeTextFileSync(join(folder, "died"), state.at);
      die();
    }
  },
});
agent.assign(options.wanted);
if (agent.state.at === "idle" && !changed) {
  // All was over before this start.
  say(`settled ${version}`);
  if (options.endAtReport) stop.abort();
}
const keepAlive = setInterval(() => {}, 1_000);
if (!stop.signal.aborted) {
  await new Promise<void>((resolve) => stop.signal.addEventListener("abort", () => resolve()));
}
// What was told just now may still be carried out.
await new Promise((resolve) => setTimeout(resolve, 50));
clearInterval(keepAlive);
await agent[Symbol.asyncDispose]();
say("end");
Deno.exit(0);

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
