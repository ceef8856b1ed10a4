/**
 * Kills a process that writes the journal with SIGKILL at random moments under load, starts it again
 * on the same data each time, and holds what the journal promised against what it has.
 */
import assert from "node:assert/strict";
import { processClock } from "../../hal/linux/clock.ts";
import { openJournal } from "../../runtime/journal/mod.ts";
import { LANES } from "../../sync/wire/mod.ts";
import { JournalProcess } from "./journal_process.ts";
import { Promises, SMALL_QUOTAS } from "./journal_checks.ts";
import { random, seedOfRun } from "./random.ts";

const KILLS = 50;
/** Every third data folder's life has small quotas, and so trims and acknowledges all the time. */
const SMALL_KILLS = 20;
/** Long enough for commits and a checkpoint, short enough that some kills hit the opening. */
const LOAD_MS_MAX = 500;

async function killOver(small: boolean, kills: number, next: () => number): Promise<void> {
  const dataDir = await Deno.makeTempDir({ prefix: "journal-kill-" });
  const promises = new Promises();
  let [promised, opening] = [0, 0];
  try {
    for (let kill = 0; kill < kills; kill++) {
      // One kill in ten falls on a process that is just opening the store.
      const early = kill % 10 === 9;
      const child = new JournalProcess(dataDir, `${kill}`, small, (line) => promises.take(line));
      if (!early) await child.opened;
      await new Promise((resolve) => setTimeout(resolve, next() * LOAD_MS_MAX));
      await child.kill();
      if (!child.isOpen) opening++;
      if (promises.events > 0) promises.check(dataDir, small);
      promised = promises.events;
    }
    // Whole again, and it goes on where it ended.
    {
      const clock = processClock();
      await using journal = await openJournal({
        dataDir,
        clock,
        ...small ? { quotas: SMALL_QUOTAS } : {},
      });
      for (const { lane, synced } of journal.state().lanes) {
        assert.ok(synced >= promises.synced(lane), `${lane}: an acknowledgement was forgotten`);
      }
      const { epoch, seq } = await journal.append({ kind: "door.forced", door: "after-all" });
      promises.take(`open ${epoch}`);
      promises.take(`event alarm ${seq} after-all`);
    }
    promises.check(dataDir, small);
    assert.ok(promised > kills * 50, `only ${promised} events: no load`);
    const figures = LANES.map((lane) => `${lane} synced ${promises.synced(lane)}`).join(", ");
    console.log(
      `${kills} kills (${opening} while it opened), ${promised} events acknowledged, 0 lost` +
        (small ? `; ${figures}` : ""),
    );
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
}

Deno.test("a journal killed at random moments under load has what it acknowledged", async () => {
  const seed = seedOfRun();
  console.log(`seed ${seed}`);
  await killOver(false, KILLS, random(seed));
});

Deno.test("a journal killed while it acknowledges and trims gives up nothing else", async () => {
  const seed = seedOfRun();
  console.log(`seed ${seed}`);
  await killOver(true, SMALL_KILLS, random(seed));
});
