/**
 * The district is away for a week's worth of events. A real box decides meanwhile; when the district
 * is back everything arrives, and a fresh alarm does not wait behind the backlog.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openSite, type Site } from "../../demo/site.ts";
import { Program } from "../../demo/program.ts";
import { School } from "../../demo/school.ts";
import { storePath } from "../../district/district.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { openJournal } from "../../runtime/journal/mod.ts";

const WEEK_EVENTS = 50_000;
const clock = linuxClock();
const { signal } = new AbortController();

async function until(what: string, timeoutMs: number, holds: () => boolean | Promise<boolean>) {
  const startMs = clock.monotonicMs();
  while (!(await holds())) {
    if (clock.monotonicMs() > startMs + timeoutMs) assert.fail(`not in ${timeoutMs} ms: ${what}`);
    await clock.sleep(10, signal);
  }
  return clock.monotonicMs() - startMs;
}

/** A student's card that opens the magnet door, presented until the reader shows green. */
async function passes(site: Site, uid: Uint8Array): Promise<void> {
  const reader = site.readers.reader(1);
  await until("green light", 10_000, async () => {
    reader.present(32, uid);
    await clock.sleep(200, signal);
    return reader.led().colour === "green";
  });
  await until("the light goes out", 10_000, () => reader.led().colour !== "green");
}

Deno.test("a week without the district: doors work, all 50,000 events arrive, a fresh alarm overtakes them", async () => {
  const dir = await Deno.makeTempDir({ prefix: "gatehouse-week-" });
  try {
    const school = new School(50, 1);
    await using site = await openSite(dir, school, clock, () => {});
    const [, , , hex] = school.csv().split("\r\n").slice(1)
      .map((row) => row.split(",")).find((row) => row[4] === "student")!;
    const uid = Uint8Array.from(
      { length: 4 },
      (_, i) => parseInt(hex!.slice(i * 2, i * 2 + 2), 16),
    );
    await passes(site, uid);

    // The district goes; then the box, for as long as a week is put into its journal.
    const { port } = new URL(site.consoleUrl);
    site.district.kill("SIGKILL");
    await site.district.status;
    site.box.kill("SIGTERM");
    await site.box.status;
    const boxData = join(dir, "east-gate");
    {
      await using journal = await openJournal({ dataDir: boxData, clock });
      // Somewhat less at once than the journal lets wait for the disk.
      for (let first = 1; first <= WEEK_EVENTS; first += 10_000) {
        await Promise.all(
          Array.from({ length: 10_000 }, (_, index) =>
            journal.append({
              kind: "access.granted",
              door: "turnstile",
              reader: "turnstile-in",
              credential: first + index,
              cardholder: first + index,
            })),
        );
      }
    }
    await using box = new Program(
      ["box", "--config", join(dir, "box.yaml"), "--data", boxData],
      clock,
    );
    await box.findJson({ message: "box started" }, 30_000);
    await passes(site, uid);
    await passes(site, uid);
    // Longer than the gate's hold: it is locked again, so that opening it is an alarm.
    await clock.sleep(3_500, signal);

    await using district = new Program([
      ...["district", "--data", join(dir, "district"), "--listen", `127.0.0.1:${port}`, "--json"],
    ], clock);
    await district.findJson({ event: "listening" }, 30_000);
    // Forced open: the contact opens while nobody was let in.
    site.readers.reader(1).setInput(0, true);
    const forcedMs = clock.monotonicMs();
    using db = new DatabaseSync(storePath(join(dir, "district")), { readOnly: true });
    const count = (kind: string) =>
      (db.prepare("SELECT count(*) AS n FROM events WHERE kind=?").get(kind) as { n: number }).n;
    const backlog = () => count("access.granted");
    // The box is in its back-off when the district comes back: the clock runs from its first contact.
    let contactMs = 0;
    let backlogAtAlarm = 0;
    await until("the alarm is at the district", 120_000, () => {
      if (contactMs === 0 && backlog() > 10) contactMs = clock.monotonicMs();
      backlogAtAlarm = backlog();
      return count("door.forced") > 0;
    });
    const nowMs = clock.monotonicMs();
    const waitedMs = nowMs - Math.max(forcedMs, contactMs === 0 ? nowMs : contactMs);
    console.log(
      `alarm ${Math.round(waitedMs)} ms after contact, ${backlogAtAlarm} of the backlog there`,
    );
    assert.ok(backlogAtAlarm < WEEK_EVENTS, "it came after the backlog, not over it");
    assert.ok(waitedMs < 1_000, `the alarm took ${waitedMs} ms after the first contact`);
    const drainMs = await until("everything is there", 120_000, () => backlog() >= WEEK_EVENTS + 3);
    console.log(`the rest arrived ${Math.round(drainMs)} ms later`);
    const doubled = db.prepare(
      "SELECT count(*) - count(DISTINCT stream || ' ' || seq) AS n FROM events",
    ).get() as { n: number };
    assert.equal(doubled.n, 0);
    assert.equal(count("journal.dropped"), 0);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
