import assert from "node:assert/strict";
import { join } from "node:path";
import { linuxClock } from "../../hal/linux/mod.ts";
import type { BoxEvent, EventId } from "../../sync/wire/mod.ts";
import { JournalReader } from "../journal/reader.ts";
import { type Journal, openJournal } from "../journal/mod.ts";
import { BatonMarks } from "./baton_marks.ts";

const clock = linuxClock();
const chunkOf = (from: number, count: number, memory = "1", baton = "GB-1") => ({
  baton,
  memory,
  reads: Array.from({ length: count }, (_, index) => ({
    record: from + index,
    tag: "6a01",
    atWallMs: 1_788_000_000_000 + from + index,
  })),
});

async function rig() {
  const dir = await Deno.makeTempDir({ prefix: "gatehouse-batons-" });
  const path = join(dir, "batons.json");
  const told: string[] = [];
  const open = async () => {
    const journal = await openJournal({ dataDir: dir, clock });
    return { journal, marks: new BatonMarks(path, journal, (message) => told.push(message)) };
  };
  /** Baton and record of everything stored. */
  const stored = () => {
    using reader = new JournalReader(dir);
    const events = [...reader.events({ alarm: 0, command: 0, access: 0, telemetry: 0 })];
    return events.flatMap(({ event }) =>
      event.kind === "patrol.read" ? [`${event.baton} ${event.record}`] : []
    );
  };
  return {
    path,
    told,
    open,
    stored,
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

Deno.test("a chunk that comes again, whole or in part, is stored once, also after a restart", async () => {
  await using site = await rig();
  {
    const { journal, marks } = await site.open();
    await using _ = journal;
    await marks.store("cradle", chunkOf(1, 64));
    await marks.store("cradle", chunkOf(1, 64));
    await marks.store("other-cradle", chunkOf(33, 64));
    await marks.store("cradle", chunkOf(5, 3, "1", "GB-2"));
  }
  const { journal, marks } = await site.open();
  {
    await using _ = journal;
    await marks.store("cradle", chunkOf(1, 64));
    await marks.store("cradle", chunkOf(65, 64));
    // Cleared: the next filling, whose numbers this baton begins anew.
    await marks.store("cradle", chunkOf(1, 2, "2"));
    await marks.store("cradle", chunkOf(1, 3, "2"));
  }
  const all = site.stored();
  assert.equal(all.length, 128 + 3 + 3);
  assert.equal(new Set(all.slice(0, 131)).size, 131);
  assert.deepEqual(site.told, []);
});

/** A journal that stops keeping promises at some event, as a full disk does. */
function failing(journal: Journal, fails: (nth: number) => boolean): Journal {
  let nth = 0;
  const append = (event: BoxEvent): Promise<EventId> =>
    fails(nth++) ? Promise.reject(new Error("full")) : journal.append(event);
  return new Proxy(journal, {
    get: (target, name) => {
      if (name === "append") return append;
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

Deno.test("of a chunk that could be stored in part, the rest is stored by the next try", async () => {
  await using site = await rig();
  {
    const { journal } = await site.open();
    await using _ = journal;
    const marks = new BatonMarks(
      site.path,
      failing(journal, (nth) => nth === 3 || nth === 7),
      () => {},
    );
    await assert.rejects(marks.store("cradle", chunkOf(1, 10)), /full/);
    await marks.store("cradle", chunkOf(1, 10));
  }
  assert.deepEqual(
    site.stored().sort(),
    chunkOf(1, 10).reads.map(({ record }) => `GB-1 ${record}`).sort(),
  );
});

Deno.test("killed between the journal and the mark, holes included: nothing twice, nothing lost", async () => {
  await using site = await rig();
  {
    const { journal, marks } = await site.open();
    await using _ = journal;
    await marks.store("cradle", chunkOf(1, 20));
    const mark = await Deno.readTextFile(site.path);
    const broken = new BatonMarks(site.path, failing(journal, (nth) => nth % 3 === 1), () => {});
    await assert.rejects(broken.store("cradle", chunkOf(21, 20)));
    await marks.store("cradle", chunkOf(90, 1, "7", "GB-9"));
    // As the kill left it: the mark is older than what the journal holds.
    await Deno.writeTextFile(site.path, mark);
  }
  assert.ok(site.stored().length < 40);
  const { journal, marks } = await site.open();
  {
    await using _ = journal;
    await marks.store("cradle", chunkOf(1, 40));
  }
  const all = site.stored().filter((read) => read.startsWith("GB-1"));
  assert.equal(all.length, 40);
  assert.equal(new Set(all).size, 40);
});

Deno.test("a spoilt file is told, and nothing is lost by it", async () => {
  await using site = await rig();
  for (
    const text of [
      "",
      "{",
      '[{"baton":1}]',
      JSON.stringify([{ baton: "x", memory: "1", next: -1, epoch: 1, afterSeq: 0 }]),
    ]
  ) {
    await Deno.writeTextFile(site.path, text);
    const { journal, marks } = await site.open();
    await using _ = journal;
    await marks.store("cradle", chunkOf(1, 3));
  }
  assert.equal(site.told.length, 4);
  assert.equal(site.stored().length, 12, "the price is said");
});

Deno.test("more batons than are remembered push the longest unseen out", async () => {
  await using site = await rig();
  const { journal, marks } = await site.open();
  await using _ = journal;
  await marks.store("cradle", chunkOf(1, 1, "1", "GB-first"));
  const [mark] = JSON.parse(await Deno.readTextFile(site.path));
  const full = Array.from({ length: 256 }, (_, index) => ({ ...mark, baton: `GB-${index}` }));
  await Deno.writeTextFile(site.path, JSON.stringify(full));
  const again = new BatonMarks(site.path, journal, (message) => site.told.push(message));
  await again.store("cradle", chunkOf(1, 1, "1", "GB-0"));
  await again.store("cradle", chunkOf(1, 1, "1", "GB-new"));
  const kept = JSON.parse(await Deno.readTextFile(site.path)) as { baton: string }[];
  assert.deepEqual(site.told, []);
  assert.deepEqual(kept.slice(-2).map(({ baton }) => baton), ["GB-0", "GB-new"]);
  assert.equal(kept.length, 256);
  assert.equal(kept[0]!.baton, "GB-2");
});
