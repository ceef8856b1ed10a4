/**
 * Power cuts that tear and reorder what the disk had not flushed, under a journal that is writing.
 * All cuts are taken from the log of one run; each is held against what was acknowledged by then.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { processClock } from "../../hal/linux/clock.ts";
import { openJournal } from "../../runtime/journal/mod.ts";
import { LoggedDisk, loggedDiskRefusal, mountImage } from "../support/logged_disk.ts";
import { Promises } from "./journal_checks.ts";
import { JournalProcess } from "./journal_process.ts";
import { random, seedOfRun } from "./random.ts";

const CUTS = Number(Deno.env.get("TORN_CUTS") ?? 60);
/** Lines that the journal says in all. */
const LINES = 3_000;

const refusal = await loggedDiskRefusal();
if (refusal !== undefined) console.log(`skipped: torn writes: ${refusal}`);

Deno.test({
  name: "what the journal acknowledged is there though later writes were torn and reordered",
  ignore: refusal !== undefined,
  async fn() {
    const seed = seedOfRun();
    const next = random(seed);
    const folder = await Deno.makeTempDir({ prefix: "torn-" });
    try {
      const path = join(folder, "mounted");
      await Deno.mkdir(path);
      await using disk = await LoggedDisk.begin(folder, path);
      /** What was said, and how much the disk had been given by then. */
      const said: { readonly line: string; readonly writes: number }[] = [];
      const { promise: enough, resolve } = Promise.withResolvers<void>();
      const journal = new JournalProcess(path, "0", false, (line) => {
        said.push({ line, writes: disk.writes });
        if (said.length === LINES) resolve();
      });
      await journal.opened;
      await enough;
      await journal.kill();
      const log = await disk.end(said.at(-1)!.writes);
      const [first, last] = [said[0]!.writes, log.writes.length];
      const image = join(folder, "cut");
      let torn = 0;
      for (let i = 0; i < CUTS; i++) {
        const count = first + Math.floor(next() * (last - first + 1));
        if (log.cut(count, image, next) > 0) torn++;
        const promises = new Promises();
        for (const { line, writes } of said) if (writes <= count) promises.take(line);
        using _mounted = mountImage(image, path);
        const where = `seed ${seed}, cut ${i} after write ${count} of ${last}`;
        try {
          // Opened as at the next boot: it must find its store good, and go on.
          await using opened = await openJournal({ dataDir: path, clock: processClock() });
          promises.take(`open ${opened.state().epoch}`);
        } catch (cause) {
          throw new Error(where, { cause });
        }
        try {
          promises.check(path, false);
        } catch (cause) {
          throw new Error(`${where}: ${(cause as Error).message}`, { cause });
        }
      }
      console.log(
        `seed ${seed}: ${last} writes, ${said.length} promises; ${CUTS} cuts, ${torn} with writes waiting, 0 lost`,
      );
      assert.ok(torn > CUTS / 10, "hardly a cut had writes to tear");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
