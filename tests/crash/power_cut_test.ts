/**
 * Cuts the power of a disk under a journal that is writing, and holds the journal against what it
 * had acknowledged before. The disk is ext4 on a loop device; a cut is a copy of what reached the
 * device. Each round goes on with what the one before left, as a box does.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { processClock } from "../../hal/linux/clock.ts";
import { openJournal } from "../../runtime/journal/mod.ts";
import { Promises } from "./journal_checks.ts";
import { JournalProcess } from "./journal_process.ts";
import { LoopDisk, loopRefusal } from "./loop_disk.ts";
import { random, seedOfRun } from "./random.ts";

const ROUNDS = 20;
const CONTROL_ROUNDS = 4;
const LOAD_MS_MIN = 100;
const LOAD_MS_MAX = 1_000;
const BARE = new URL("bare_child.ts", import.meta.url).pathname;

const refusal = loopRefusal();
if (refusal !== undefined) console.log(`skipped: power cuts: ${refusal}`);

/** Runs `cut` with a disk, and takes it away afterwards, whatever happens. */
async function onDisk(cut: (disk: LoopDisk) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "power-cut-" });
  try {
    using disk = new LoopDisk(folder);
    await cut(disk);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** One round: load for a while, then the cut. Only lines from before the cut are passed on. */
async function round(
  disk: LoopDisk,
  run: number,
  loadMs: number,
  onLine: (line: string) => void,
  script?: string,
): Promise<void> {
  let isOn = true;
  const take = (line: string) => {
    if (isOn) onLine(line);
  };
  const child = new JournalProcess(disk.path, `${run}`, false, take, script);
  try {
    await child.opened;
    await new Promise((resolve) => setTimeout(resolve, loadMs));
  } finally {
    // What comes from here on may or may not have reached the disk.
    isOn = false;
    await disk.cutPower(() => child.kill());
  }
}

Deno.test({
  name: "what the journal acknowledged before a power cut is there after it",
  ignore: refusal !== undefined,
  fn: () =>
    onDisk(async (disk) => {
      const seed = seedOfRun();
      console.log(`seed ${seed}`);
      const next = random(seed);
      const promises = new Promises();
      for (let run = 0; run < ROUNDS; run++) {
        const before = promises.events;
        const loadMs = LOAD_MS_MIN + next() * (LOAD_MS_MAX - LOAD_MS_MIN);
        await round(disk, run, loadMs, (line) => promises.take(line));
        assert.ok(promises.events > before, `round ${run}: nothing was acknowledged`);
        {
          // Opened as at the next boot; it must find its store good.
          await using journal = await openJournal({ dataDir: disk.path, clock: processClock() });
          promises.take(`open ${journal.state().epoch}`);
        }
        promises.check(disk.path, false);
      }
      console.log(`${ROUNDS} power cuts, ${promises.events} events acknowledged, 0 lost`);
    }),
});

Deno.test({
  name: "the same cuts take acknowledged rows from a store that does not sync each commit",
  ignore: refusal !== undefined,
  fn: () =>
    onDisk(async (disk) => {
      let [acknowledged, lost] = [0, 0];
      for (let run = 0; run < CONTROL_ROUNDS; run++) {
        const tokens = new Set<string>();
        await round(disk, run, LOAD_MS_MAX / 2, (line) => {
          const [what, , , token] = line.split(" ");
          if (what === "event") tokens.add(token!);
        }, BARE);
        acknowledged += tokens.size;
        for (const token of storedTokens(join(disk.path, "bare.db"))) tokens.delete(token);
        lost += tokens.size;
      }
      assert.ok(lost > 0, "nothing was lost: these cuts prove nothing");
      console.log(
        `${CONTROL_ROUNDS} power cuts, ${lost} of ${acknowledged} rows lost, as expected`,
      );
    }),
});

/** Whatever is left; a file that did not make it has nothing. */
function storedTokens(path: string): string[] {
  try {
    const db = new DatabaseSync(path);
    try {
      return db.prepare("SELECT token FROM events").all().map((row) => row.token as string);
    } finally {
      db.close();
    }
  } catch {
    return [];
  }
}
