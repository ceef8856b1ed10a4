/**
 * Durable appends a second, beside bare SQLite with the same bytes, the same group size, the same
 * settings and on the same disk. The journal encodes, chains and resolves a promise for each event
 * on top; the bare peer is given its bytes ready.
 *
 * @module
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { linuxClock } from "../hal/linux/mod.ts";
import type { Clock } from "../hal/mod.ts";
import { type Journal, openJournal } from "../runtime/journal/mod.ts";
import { type BoxEvent, encodeEvent } from "../sync/wire/mod.ts";
import { percentile } from "./percentile.ts";
import type { BenchRow } from "./row.ts";

/** Groups of a round: short ones, so that both sides of a pair meet the disk in the same mood. */
const GROUPS_BY_SIZE: ReadonlyMap<number, number> = new Map([[10, 60], [100, 40], [1_000, 16]]);
/** Interleaved rounds of both; an odd number has a median. */
const ROUNDS = 31;
/** Groups that whoever appends has on their way at a time: a source that never waits for the disk. */
const GROUPS_AT_ONCE = 8;

/** What a gate makes most of. */
const EVENT: BoxEvent = {
  kind: "access.granted",
  door: "main",
  reader: "in",
  credential: 100_000,
  cardholder: 50_000,
};

/** One round of the journal: events a second. */
async function journalRound(
  journal: Journal,
  clock: Clock,
  size: number,
  groups: number,
): Promise<number> {
  const startMs = clock.monotonicMs();
  const waiting: Promise<unknown>[] = [];
  for (let group = 0; group < groups; group++) {
    if (waiting.length >= GROUPS_AT_ONCE) await waiting.shift();
    const durable: Promise<unknown>[] = [];
    for (let event = 0; event < size; event++) durable.push(journal.append(EVENT));
    waiting.push(Promise.all(durable));
  }
  await Promise.all(waiting);
  return size * groups / (clock.monotonicMs() - startMs) * 1_000;
}

/** One table, a row an event: the least that a program would do. */
class BareStore implements Disposable {
  readonly #db: DatabaseSync;
  readonly #clock: Clock;

  constructor(path: string, clock: Clock) {
    this.#clock = clock;
    this.#db = new DatabaseSync(path);
    this.#db.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
    this.#db.exec("CREATE TABLE events (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT");
  }

  /** One round: events a second. */
  round(bytes: Uint8Array, size: number, groups: number): number {
    const insert = this.#db.prepare("INSERT INTO events (bytes) VALUES (?)");
    const startMs = this.#clock.monotonicMs();
    for (let group = 0; group < groups; group++) {
      this.#db.exec("BEGIN IMMEDIATE");
      for (let event = 0; event < size; event++) insert.run(bytes);
      this.#db.exec("COMMIT");
    }
    return size * groups / (this.#clock.monotonicMs() - startMs) * 1_000;
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

/** Measures {@link journalRound} beside {@link BareStore} at each group size. */
export async function benchJournal(): Promise<BenchRow[]> {
  const clock = linuxClock();
  const bytes = encodeEvent({
    wallMs: clock.wallMs(),
    monotonicMs: Math.floor(clock.monotonicMs()),
    boot: 1,
    clock: clock.wallQuality(),
    event: EVENT,
  });
  const rows: BenchRow[] = [];
  for (const [size, groups] of GROUPS_BY_SIZE) {
    const folder = await Deno.makeTempDir({ prefix: "gatehouse-bench-" });
    try {
      await using journal = await openJournal({ dataDir: folder, clock, groupEventsMax: size });
      using bare = new BareStore(join(folder, "bare.db"), clock);
      // Both warm: compiled, and with a WAL to write over.
      await journalRound(journal, clock, size, groups);
      bare.round(bytes, size, groups);
      const journalRates: number[] = [];
      const bareRates: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        journalRates.push(await journalRound(journal, clock, size, groups));
        bareRates.push(bare.round(bytes, size, groups));
      }
      const [value, baselineValue] = [percentile(journalRates, 50), percentile(bareRates, 50)];
      rows.push({
        bench: "journal",
        metric: `durable appends, groups of ${size.toLocaleString("en")}`,
        value,
        unit: "1/s",
        baseline: "bare node:sqlite, WAL, synchronous=FULL, same bytes and groups",
        baselineValue,
        ratio: value / baselineValue,
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
  return rows;
}
