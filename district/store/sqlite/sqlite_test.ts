import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { testStore } from "../contract_suite.ts";
import { testRolloutStore } from "../rollout_suite.ts";
import { testSilence } from "../silence_suite.ts";
import { testStandingRollouts } from "../standing_suite.ts";
import { SqliteStore } from "./mod.ts";

async function withFolder<T>(body: (path: string, folder: string) => T | Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "district-sqlite-" });
  try {
    return await body(`${folder}/district.sqlite`, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

class DisposableStore extends SqliteStore {
  readonly #folder: string;

  constructor(folder: string) {
    super(folder);
    this.#folder = folder;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await super[Symbol.asyncDispose]();
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

const open = async () =>
  new DisposableStore(await Deno.makeTempDir({ prefix: "district-sqlite-" }));

testStore("sqlite", open);
testRolloutStore("sqlite", open);
testStandingRollouts("sqlite", open);
testSilence("sqlite", open);

Deno.test("what is edited in the file shows when chains are recomputed", async () => {
  const { FakeBox, grants } = await import("../../testing/fake_box.ts");
  const { checkBatch } = await import("../../box_api/check_batch.ts");
  const { processClock } = await import("../../../hal/linux/clock.ts");
  await withFolder(async (path, folder) => {
    using box = new FakeBox("https://localhost", "", processClock());
    const store = new SqliteStore(folder);
    const secretHash = new Uint8Array(32);
    await store.addToken(secretHash, 2);
    const { publicKey } = box.key;
    await store.enrol({ secretHash, boxId: box.id, publicKey, name: "x" }, 1);
    box.record(grants(8));
    const check = checkBatch(box.id, publicKey, box.batch("access", 0, 8));
    assert.ok("batch" in check);
    await store.ingest(box.id, [check.batch], 1);
    assert.equal((await store.verifyChains(box.id))[0]!.fault, undefined);
    const faultAfter = async (sql: string) => {
      const db = new DatabaseSync(path);
      db.exec("SAVEPOINT kept");
      db.exec(sql);
      db.exec("RELEASE kept");
      db.close();
      return (await store.verifyChains(box.id))[0]!.fault;
    };
    assert.match((await faultAfter("UPDATE streams SET seq = 7"))!, /its head is 7/);
    assert.match(
      (await faultAfter(
        "UPDATE streams SET seq = 8; UPDATE streams SET head_signature = zeroblob(64)",
      ))!,
      /not signed/,
    );
    assert.match(
      (await faultAfter(
        "UPDATE events SET bytes = (SELECT bytes FROM events WHERE seq = 1) WHERE seq = 4",
      ))!,
      /the hashes differ/,
    );
    assert.match(
      (await faultAfter("DELETE FROM events WHERE seq = 5"))!,
      /events 5 to 5 are missing/,
    );
    await store[Symbol.asyncDispose]();
  });
});

Deno.test("a file of a newer version, or no database, is refused with what to do", async () => {
  await withFolder(async (path, folder) => {
    const store = new SqliteStore(folder);
    for (const { name } of Deno.readDirSync(folder)) {
      assert.equal(Deno.statSync(`${folder}/${name}`).mode! & 0o777, 0o600, name);
    }
    await store[Symbol.asyncDispose]();
    const db = new DatabaseSync(path);
    assert.equal(db.prepare("PRAGMA journal_mode").get()!.journal_mode, "wal");
    db.exec("PRAGMA user_version = 99");
    db.close();
    assert.throws(() => new SqliteStore(folder), /written by a newer Gatehouse/);
    Deno.writeTextFileSync(
      path,
      "this is no database, but it is long enough to be looked at".repeat(99),
    );
    assert.throws(() => new SqliteStore(folder), { name: "DistrictError", kind: "data" });
  });
});

Deno.test("events are taken while people are being written", async () => {
  const { FakeBox, grants } = await import("../../testing/fake_box.ts");
  const { checkBatch } = await import("../../box_api/check_batch.ts");
  const { processClock } = await import("../../../hal/linux/clock.ts");
  const clock = processClock();
  await withFolder(async (_, folder) => {
    using box = new FakeBox("https://localhost", "", clock);
    await using store = new SqliteStore(folder);
    const secretHash = new Uint8Array(32);
    await store.addToken(secretHash, 2);
    await store.enrol({ secretHash, boxId: box.id, publicKey: box.key.publicKey, name: "x" }, 1);
    box.record(grants(8));
    const check = checkBatch(box.id, box.key.publicKey, box.batch("access", 0, 8));
    assert.ok("batch" in check);
    using importing = new DatabaseSync(`${folder}/people.sqlite`);
    importing.exec("BEGIN IMMEDIATE");
    const startMs = clock.monotonicMs();
    await store.ingest(box.id, [check.batch], 1);
    assert.equal((await store.cardholderNames([1])).size, 0);
    // Waiting for the other writer would take BUSY_MS and then fail.
    assert.ok(clock.monotonicMs() - startMs < 1_000);
    importing.exec("ROLLBACK");
  });
});
