import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { linuxClock } from "../../hal/linux/mod.ts";
import type { BoxEvent } from "../../sync/wire/mod.ts";
import { JournalReader, openJournal } from "./mod.ts";

const clock = linuxClock();

async function withFolder(test: (dataDir: string) => Promise<void>): Promise<void> {
  const dataDir = await Deno.makeTempDir({ prefix: "gatehouse-reader-" });
  try {
    await test(dataDir);
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
}

function nth(index: number): BoxEvent {
  switch (index % 4) {
    case 0:
      return { kind: "door.opened", door: `d${index}` };
    case 1:
      return { kind: "input.changed", input: `d${index}`, active: true };
    case 2:
      return { kind: "door.mode", door: `d${index}`, mode: "free" };
    default:
      return { kind: "door.forced", door: `d${index}` };
  }
}

const START = { alarm: 0, command: 0, access: 0, telemetry: 0 };

function shown(reader: JournalReader, positions: typeof START): string[] {
  return Array.from(
    reader.events(positions),
    ({ event }) => "door" in event ? event.door : "input" in event ? event.input : "?",
  );
}

Deno.test("events of all lanes show in the order of their appending, beside the box that goes on", () =>
  withFolder(async (dataDir) => {
    const positions = { ...START };
    await using journal = await openJournal({ dataDir, clock, groupEventsMax: 100 });
    const append = (from: number, to: number) =>
      Promise.all(Array.from({ length: to - from }, (_, at) => journal.append(nth(from + at))));
    const names = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, at) => `d${from + at}`);
    await append(0, 1001);
    using reader = new JournalReader(dataDir);
    assert.deepEqual(shown(reader, positions), names(0, 1001));
    assert.deepEqual(shown(reader, positions), []);
    await append(1001, 1010);
    assert.deepEqual(shown(reader, positions), names(1001, 1010));
    assert.deepEqual(positions, { alarm: 252, command: 252, access: 253, telemetry: 253 });
    assert.ok(reader.verify().every(({ brokenAt }) => brokenAt === undefined));
    assert.deepEqual(reader.verify().map(({ lane, events }) => [lane, events]), [
      ["alarm", 252],
      ["command", 252],
      ["access", 253],
      ["telemetry", 253],
    ]);
  }));

Deno.test("where a chain breaks is said", () =>
  withFolder(async (dataDir) => {
    {
      await using journal = await openJournal({ dataDir, clock, groupEventsMax: 3 });
      await Promise.all(
        Array.from({ length: 9 }, () => journal.append({ kind: "door.opened", door: "main" })),
      );
    }
    {
      using db = new DatabaseSync(join(dataDir, "journal.db"));
      db.exec("UPDATE access_events SET hash=zeroblob(32) WHERE first=4");
    }
    using reader = new JournalReader(dataDir);
    const access = reader.verify().find(({ lane }) => lane === "access");
    assert.deepEqual(access, { lane: "access", events: 3, head: 3, brokenAt: 4 });
  }));

Deno.test("a file that is no journal cannot be read", () =>
  withFolder(async (dataDir) => {
    assert.throws(() => new JournalReader(dataDir));
    await Deno.writeFile(join(dataDir, "journal.db"), crypto.getRandomValues(new Uint8Array(9000)));
    assert.throws(() => new JournalReader(dataDir), /not a database/);
  }));
