/** Settings that stand in, on a real store: when they count, when they do not, and what a start finds. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { parsePolicy, type Policy } from "../../sync/wire/mod.ts";
import { bindPolicy, decide } from "./decide.ts";
import { openPolicyStore, packPolicy, PolicyStore } from "./store.ts";
import type { StandIn, StandIns } from "./stand_in.ts";

const level = (id: string, schedule: string, doors = ["main"]) => ({
  ...{ id, name: id, grants: [{ doors, schedule }] },
});
const never = { id: "never", name: "never", weekly: [] };
/** Cards 1 and 2 are staff's, 3 is a student's, who may not pass at this hour. */
const people = {
  cardholders: [
    { id: 1, name: "张三", accessLevels: ["staff"] },
    { id: 2, name: "李四", accessLevels: ["student"] },
  ],
  credentials: [1, 2, 3].map((id) => ({
    ...{ id, cardholder: id === 3 ? 2 : 1, bits: 32, hex: `0000000${id}` },
  })),
};
const OWN = {
  schedules: [never],
  accessLevels: [level("staff", "always"), level("student", "never")],
};
const STAGED = {
  holidays: [],
  schedules: [never],
  accessLevels: [level("staff", "never"), level("student", "always")],
};
const document = (parts: object) =>
  packPolicy(parsePolicy({ schema: 1, ...people, ...parts } as Policy));
const district = (version: number, parts: object) => ({
  ...{ source: "district" as const, version, document: document(parts) },
});
const candidate = (base: string, settings: unknown = STAGED, bundle = "b1"): StandIn => ({
  ...{ bundle, base, text: JSON.stringify(settings) },
});
const those = (...candidates: StandIn[]): StandIns => ({
  ...{ candidates, box: "east-gate", doors: ["main"] },
});
/** Who of the three may pass, by the policy in force. */
function passing(store: PolicyStore, standIns?: StandIns): string {
  const stored = store.load(standIns)!;
  const bound = bindPolicy(stored.compiled, "east-gate", ["main"]);
  const now = { wallMs: 0, local: { epochDay: 20_000, weekday: 2, minute: 600 } };
  const card = (id: number) => Uint8Array.of(32, 0, 0, 0, id);
  return [1, 2, 3].filter((id) =>
    decide(bound, { index: 0, mode: "normal" }, card(id), now).granted
  ).join("");
}

async function withStore(work: (store: PolicyStore, path: string) => void): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    const path = join(dir, "policy.db");
    using store = new PolicyStore(path);
    work(store, path);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("settings stand in over starts and over people that come and go", () =>
  withStore((store, path) => {
    store.apply(district(3, OWN));
    const base = store.load()!.settings;
    assert.equal(base, "district:3");
    const standIns = those(candidate(base));
    assert.equal(passing(store), "12");
    assert.equal(passing(store, standIns), "3");
    assert.equal(passing(store), "12", "taken away again");
    // A lost card is refused at once, whatever is tried.
    const without = people.credentials.filter(({ id }) => id !== 3);
    store.apply(district(4, { ...OWN, credentials: without }));
    assert.equal(store.load()!.settings, base);
    assert.equal(passing(store, standIns), "");
    store.apply(district(5, OWN));
    const opened = openPolicyStore(path, 0, () => assert.fail("set aside"), standIns);
    using again = opened.store;
    assert.equal(opened.policy!.bundle, "b1");
    assert.equal(opened.policy!.compiled.version, 5);
    // A start reads what is compiled, and compiles nothing: the document may be nonsense.
    const db = new DatabaseSync(path);
    db.exec("UPDATE policies SET document = x'00'");
    db.close();
    assert.equal(passing(again, standIns), "3");
  }));

Deno.test("settings that the district has changed end it, and are not undone by changing them back", () =>
  withStore((store) => {
    store.apply(district(3, OWN));
    const standIns = those(candidate("district:3"));
    assert.equal(passing(store, standIns), "3");
    store.apply(
      district(4, {
        ...OWN,
        holidays: [{ id: "h", name: "h", from: "2026-10-01", to: "2026-10-02" }],
      }),
    );
    assert.equal(store.load(standIns)!.settings, "district:4");
    assert.equal(passing(store, standIns), "12");
    store.apply(district(5, OWN));
    assert.equal(passing(store, standIns), "12");
    assert.equal(passing(store, those(candidate("district:5"))), "3");
    // What somebody loads at the box has a name of its own.
    store.apply({ source: "file", version: undefined, document: document(OWN) });
    assert.equal(store.load()!.settings, "file:1");
    assert.equal(passing(store, those(candidate("district:5"))), "12");
  }));

Deno.test("what does not fit is not taken and says why; what was confirmed before it stays", () =>
  withStore((store) => {
    store.apply(district(3, OWN));
    const bad: [unknown, RegExp][] = [
      [
        { ...STAGED, accessLevels: [level("staff", "always")] },
        /cardholder 2 has access level student/,
      ],
      [
        { ...STAGED, accessLevels: [level("staff", "x"), level("student", "x")] },
        /names schedule x/,
      ],
      [
        { ...STAGED, accessLevels: [level("staff", "never"), level("student", "never")] },
        /nobody could pass main/,
      ],
      [
        {
          ...STAGED,
          accessLevels: [level("staff", "always", ["mian"]), level("student", "never")],
        },
        /nobody could pass main any more/,
      ],
      [{ ...STAGED, cardholders: [] }, /cannot be read/],
      [7, /cannot be read/],
    ];
    for (const [settings, why] of bad) {
      const alone = store.load(those(candidate("district:3", settings, "bad")))!;
      assert.match(alone.fault!, why);
      assert.equal(alone.bundle, "");
      const both = those(candidate("district:3", settings, "bad"), candidate("district:3"));
      assert.equal(store.load(both)!.bundle, "b1");
      assert.match(store.load(both)!.fault!, why);
      assert.equal(passing(store, both), "3");
    }
    // People that come later and do not fit: the district's own settings count, and the card is let in.
    const good = those(candidate("district:3"));
    assert.equal(store.load(good)!.bundle, "b1");
    const later = {
      cardholders: [...people.cardholders, { id: 3, name: "王五", accessLevels: ["cook"] }],
    };
    const more = { ...OWN, accessLevels: [...OWN.accessLevels, level("cook", "always")] };
    store.apply(district(4, { ...more, ...later }));
    assert.equal(store.load(good)!.bundle, "", "the settings are others");
  }));

Deno.test("a door that nobody passes anyway stands against nothing", () =>
  withStore((store) => {
    store.apply(district(1, { ...OWN, cardholders: [], credentials: [] }));
    assert.equal(store.load(those(candidate("district:1")))!.bundle, "b1");
  }));

Deno.test("a policy that an earlier program has stored has settings too", () =>
  withStore((store, path) => {
    store.apply(district(3, OWN));
    store.apply(district(4, OWN));
    let db = new DatabaseSync(path);
    db.exec("DROP TABLE settings; DROP TABLE stood_in");
    db.close();
    store[Symbol.dispose]();
    {
      using again = new PolicyStore(path);
      assert.equal(again.load()!.settings, "district:4");
      assert.equal(passing(again, those(candidate("district:4"))), "3");
    }
    // One whose document is spoilt has none that anything may stand in for, but decides.
    db = new DatabaseSync(path);
    db.exec("DELETE FROM settings; DELETE FROM stood_in; UPDATE policies SET document = x'00'");
    db.close();
    {
      using again = new PolicyStore(path);
      assert.equal(passing(again), "12");
      assert.match(again.load(those(candidate("district:4")))!.fault!, /cannot be read/);
    }
    db = new DatabaseSync(path);
    db.exec("DELETE FROM policies; DELETE FROM settings");
    db.close();
    {
      using again = new PolicyStore(path);
      again.apply(district(5, OWN));
      assert.equal(passing(again, those(candidate("district:5"))), "3");
    }
    // On a full disk what stands in is read too.
    using only = new PolicyStore(path, true);
    assert.equal(passing(only, those(candidate("district:5"))), "3");
  }));

Deno.test("a look on a full disk, right after an update of the program, has the policy at least", () =>
  withStore((store, path) => {
    store.apply(district(3, OWN));
    const db = new DatabaseSync(path);
    db.exec("DROP TABLE settings; DROP TABLE stood_in");
    db.close();
    store[Symbol.dispose]();
    using only = new PolicyStore(path, true);
    assert.equal(passing(only, those(candidate("district:3"))), "12");
  }));
