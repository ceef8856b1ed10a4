import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { parsePolicy } from "../../sync/wire/policy.ts";
import { encodeCbor } from "../../sync/wire/codec.ts";
import { zstdCompressSync } from "node:zlib";
import { applyPolicy, loadPolicy } from "./applier.ts";
import { PolicyError } from "./compile.ts";
import { NO_STAND_INS } from "./stand_in.ts";
import { openPolicyStore, packPolicy, PolicyStore } from "./store.ts";

const holder = (name: string) => ({ id: 1, name, accessLevels: [] });
const policy = (cards: number) =>
  packPolicy(parsePolicy({
    schema: 1,
    cardholders: [holder("张三")],
    credentials: Array.from({ length: cards }, (_, index) => ({
      id: index + 1,
      cardholder: 1,
      bits: 32,
      hex: index.toString(16).padStart(8, "0"),
    })),
  }));

async function inTempDir(work: (path: string) => Promise<void> | void): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await work(join(dir, "policy.db"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const noReport = () => assert.fail("nothing was to be set aside");

Deno.test("the newest policy is in force after a restart; older ones are refused", () =>
  inTempDir((path) => {
    {
      using store = new PolicyStore(path);
      assert.equal(store.load(), undefined);
      store.apply({ source: "district", version: 3, document: policy(3) });
      store.apply({ source: "district", version: 5, document: policy(5) });
      for (const version of [1, 4, 5]) {
        assert.throws(
          () => store.apply({ source: "district", version, document: policy(1) }),
          /is not newer than 5/,
        );
      }
    }
    const { store, policy: stored } = openPolicyStore(path, 0, noReport);
    store[Symbol.dispose]();
    assert.equal(stored?.compiled.version, 5);
    assert.equal(stored?.compiled.credentialCount, 5);
  }));

Deno.test("a file's policy counts by itself, and the district's last one can replace it", () =>
  inTempDir((path) => {
    using store = new PolicyStore(path);
    store.apply({ source: "district", version: 9, document: policy(9) });
    assert.equal(
      store.apply({ source: "file", version: undefined, document: policy(1) }).version,
      1,
    );
    assert.equal(store.load()?.source, "file");
    store.apply({ source: "district", version: 9, document: policy(9) });
    assert.equal(store.load()?.source, "district");
    assert.throws(() => store.apply({ source: "district", version: 9, document: policy(9) }));
  }));

Deno.test("a bad policy is refused with its fault, and the one in force stays", () =>
  inTempDir((path) => {
    using store = new PolicyStore(path);
    store.apply({ source: "district", version: 1, document: policy(2) });
    const bad: [Uint8Array, RegExp][] = [
      [new Uint8Array([1, 2, 3]), /policy 2 cannot be read/],
      [new Uint8Array(zstdCompressSync(new Uint8Array([0xff, 0xff]))), /cannot be read/],
      [new Uint8Array(zstdCompressSync(encodeCbor({ schema: 2 }))), /schema/],
      [new Uint8Array(zstdCompressSync(encodeCbor({ schema: 1, doors: [] }))), /doors/],
      [
        new Uint8Array(
          zstdCompressSync(encodeCbor({ schema: 1, cardholders: [{ ...holder("x"), id: -1 }] })),
        ),
        /cardholders\.0\.id/,
      ],
      [
        new Uint8Array(
          zstdCompressSync(encodeCbor({ schema: 1, cardholders: [holder("a"), holder("b")] })),
        ),
        /cardholder 1 is there twice/,
      ],
    ];
    for (const [document, message] of bad) {
      assert.throws(() => store.apply({ source: "district", version: 2, document }), (error) => {
        assert.ok(error instanceof PolicyError, String(error));
        assert.match(error.message, message);
        return true;
      });
      assert.equal(store.load()?.compiled.version, 1);
    }
  }));

Deno.test("a spoilt file is set aside and reported, and the store works again", () =>
  inTempDir((path) => {
    for (
      const spoilt of [new Uint8Array(5000).fill(7), new TextEncoder().encode("SQLite format 3\0")]
    ) {
      Deno.writeFileSync(path, spoilt);
      const reports: string[] = [];
      const opened = openPolicyStore(path, 42, (file) => reports.push(file ?? "no room"));
      using store = opened.store;
      if (reports.length === 0) {
        // SQLite takes a header without pages for an empty database: nothing was lost.
        assert.equal(spoilt.length, 16);
      } else {
        assert.deepEqual(reports, [`${path}.42.corrupt`]);
        assert.deepEqual(Deno.readFileSync(reports[0]!), spoilt);
      }
      assert.equal(opened.policy, undefined);
      store.apply({ source: "file", version: undefined, document: policy(1) });
      assert.equal(store.load()?.compiled.version, 1);
      store[Symbol.dispose]();
      for (const suffix of ["", "-wal", "-shm"]) {
        try {
          Deno.removeSync(path + suffix);
        } catch (cause) {
          assert.ok(cause instanceof Deno.errors.NotFound);
        }
      }
    }
  }));

Deno.test("a policy compiled by another version of this program is compiled anew", () =>
  inTempDir((path) => {
    {
      using store = new PolicyStore(path);
      store.apply({ source: "file", version: undefined, document: policy(4) });
    }
    const db = new DatabaseSync(path);
    db.exec("UPDATE policies SET format=0, compiled=x'00'");
    db.close();
    using store = new PolicyStore(path);
    assert.equal(store.load()?.compiled.credentialCount, 4);
    assert.equal(store.load()?.compiled.credentialCount, 4, "stored in the new form");
  }));

Deno.test("applying runs off this thread and another store sees it", () =>
  inTempDir(async (path) => {
    using store = new PolicyStore(path);
    const before = store.dataVersion();
    const { compiled } = await applyPolicy(path, {
      source: "district",
      version: 1,
      document: policy(1000),
    }, NO_STAND_INS);
    assert.equal(compiled.credentialCount, 1000);
    assert.notEqual(store.dataVersion(), before);
    assert.deepEqual(store.load()?.compiled, compiled);
    assert.deepEqual((await loadPolicy(path, NO_STAND_INS))?.compiled, compiled);
    await assert.rejects(
      applyPolicy(path, { source: "district", version: 1, document: policy(1) }, NO_STAND_INS),
      PolicyError,
    );
  }));
