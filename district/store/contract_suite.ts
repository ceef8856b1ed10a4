/**
 * What every store of a district must do. A store's test calls {@link testStore} with a way to open
 * a fresh one.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  type BoxEvent,
  chainHash,
  decodeEvent,
  encodeEvent,
  genesisHash,
  headStatement,
  type Lane,
  SigningKey,
} from "../../sync/wire/mod.ts";
import { boxIdOf } from "../../sync/wire/mod.ts";
import type { CheckedBatch, DistrictStore, ImportRow } from "./contract.ts";

const NOW_MS = 1_790_000_000_000;

/** A lane's events with their hashes, as a box holds them. */
class Chain {
  readonly key = SigningKey.generate();
  readonly boxId: string = boxIdOf(this.key.publicKey);
  readonly #lane: Lane;
  readonly #epoch: number;
  readonly #hashes: Uint8Array[];
  readonly #bytes: Uint8Array[] = [];

  constructor(lane: Lane, epoch = 1) {
    this.#lane = lane;
    this.#epoch = epoch;
    this.#hashes = [genesisHash(epoch, lane)];
  }

  add(...events: BoxEvent[]): this {
    for (const event of events) {
      const bytes = encodeEvent({
        wallMs: NOW_MS + this.#bytes.length,
        monotonicMs: this.#bytes.length,
        boot: 1,
        clock: "synchronised",
        event,
      });
      this.#bytes.push(bytes);
      this.#hashes.push(chainHash(this.#hashes.at(-1)!, bytes));
    }
    return this;
  }

  /** Events `from` to `to`, both inside, from 1. */
  batch(from: number, to: number, afterDrop = false): CheckedBatch {
    const [lane, epoch] = [this.#lane, this.#epoch];
    const head = { lane, epoch, seq: to, hash: this.#hashes[to]! };
    return {
      lane,
      epoch,
      firstSeq: from,
      prevHash: this.#hashes[from - 1]!,
      events: this.#bytes.slice(from - 1, to).map((bytes, index) => ({
        bytes,
        recorded: decodeEvent(bytes),
        hash: this.#hashes[from + index]!,
      })),
      headSignature: this.key.sign(headStatement(this.boxId, head)),
      afterDrop,
    };
  }
}

function grants(count: number): BoxEvent[] {
  return Array.from({ length: count }, (_, index) => ({
    kind: "access.granted",
    door: "main",
    reader: "in",
    credential: index + 1,
    cardholder: 1,
  }));
}

async function enrol(store: DistrictStore, chain: Chain): Promise<void> {
  const secretHash = crypto.getRandomValues(new Uint8Array(32));
  await store.addToken(secretHash, NOW_MS + 1000);
  const { boxId, key: { publicKey } } = chain;
  const request = { secretHash, boxId, publicKey, name: "gate" };
  assert.equal(await store.enrol(request, NOW_MS), "enrolled");
}

function person(number: string, more: Partial<ImportRow> = {}): ImportRow {
  return {
    line: 2,
    number,
    name: `学生${number}`,
    accessLevels: ["all-doors"],
    validUntilMs: undefined,
    active: undefined,
    cards: [],
    ...more,
  };
}

const card = (hex: string, line = 2) => ({ line, bits: 32, hex });

/** Registers the tests of a store called `name`. */
export function testStore(name: string, open: () => Promise<DistrictStore>): void {
  const test = (what: string, body: (store: DistrictStore) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      await using store = await open();
      await body(store);
    });

  test("a token enrols one box, and that one again", async (store) => {
    const [a, b] = [new Chain("access"), new Chain("access")];
    const secretHash = new Uint8Array(32).fill(7);
    await store.addToken(secretHash, NOW_MS + 1000);
    const request = (chain: Chain, hash = secretHash) => ({
      secretHash: hash,
      boxId: chain.boxId,
      publicKey: chain.key.publicKey,
      name: "gate",
    });
    assert.equal(await store.enrol(request(a, new Uint8Array(32)), NOW_MS), "token-unknown");
    assert.equal(await store.enrol(request(a), NOW_MS + 1000), "token-expired");
    assert.equal(await store.box(a.boxId), undefined);
    assert.equal(await store.enrol(request(a), NOW_MS), "enrolled");
    assert.equal(await store.enrol(request(a), NOW_MS + 5000), "enrolled");
    assert.equal(await store.enrol(request(b), NOW_MS), "token-used");
    assert.deepEqual((await store.box(a.boxId))!.publicKey, a.key.publicKey);
    assert.equal(await store.revoke(a.boxId), true);
    assert.equal(await store.enrol(request(a), NOW_MS), "token-used", "a revoked box came back");
    assert.equal((await store.box(a.boxId))!.revoked, true);
    await enrol(store, a);
    assert.equal((await store.box(a.boxId))!.revoked, false);
  });

  test("repeated, overlapping and reordered batches are stored once", async (store) => {
    const chain = new Chain("access").add(...grants(10));
    await enrol(store, chain);
    const ingest = async (from: number, to: number) => {
      const { acks, stored } = await store.ingest(chain.boxId, [chain.batch(from, to)], NOW_MS);
      return { seq: acks[0]!.seq, refused: acks[0]!.refused, stored: stored.map((e) => e.seq) };
    };
    assert.deepEqual(await ingest(3, 4), { seq: 0, refused: "gap", stored: [] });
    assert.deepEqual(await ingest(1, 4), { seq: 4, refused: undefined, stored: [1, 2, 3, 4] });
    assert.deepEqual(await ingest(1, 4), { seq: 4, refused: undefined, stored: [] });
    assert.deepEqual(await ingest(2, 3), { seq: 4, refused: undefined, stored: [] });
    assert.deepEqual(await ingest(3, 7), { seq: 7, refused: undefined, stored: [5, 6, 7] });
    assert.deepEqual(await ingest(9, 10), { seq: 7, refused: "gap", stored: [] });
    assert.deepEqual(await ingest(8, 10), { seq: 10, refused: undefined, stored: [8, 9, 10] });
    const events = await store.events({ limit: 200 });
    assert.deepEqual(events.map((event) => event.seq), [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert.deepEqual(
      (await store.verifyChains(chain.boxId)).map(({ headSeq, events, fault }) => [
        headSeq,
        events,
        fault,
      ]),
      [[10, 10, undefined]],
    );
  });

  test("a rewound or edited history is refused, wherever it stands", async (store) => {
    const chain = new Chain("access").add(...grants(6));
    await enrol(store, chain);
    await store.ingest(chain.boxId, [chain.batch(1, 6)], NOW_MS);
    const other = new Chain("access").add(...grants(2), { kind: "door.opened", door: "x" })
      .add(...grants(6));
    for (const [from, to] of [[1, 4], [3, 3], [1, 9], [7, 9]] as const) {
      const { acks, stored } = await store.ingest(chain.boxId, [other.batch(from, to)], NOW_MS);
      assert.deepEqual([acks[0]!.refused, acks[0]!.seq], ["chain-broken", 6], `${from}–${to}`);
      assert.equal(stored.length, 0);
    }
  });

  test("only telemetry may skip what was dropped, and the gap is kept", async (store) => {
    const telemetry = new Chain("telemetry").add(
      ...Array.from({ length: 9 }, (): BoxEvent => ({ kind: "box.stopped" })),
    );
    await enrol(store, telemetry);
    await store.ingest(telemetry.boxId, [telemetry.batch(1, 2)], NOW_MS);
    const gap = await store.ingest(telemetry.boxId, [telemetry.batch(5, 6)], NOW_MS);
    assert.equal(gap.acks[0]!.refused, "gap");
    const dropped = await store.ingest(telemetry.boxId, [telemetry.batch(5, 6, true)], NOW_MS);
    assert.deepEqual(dropped.acks[0], { lane: "telemetry", epoch: 1, seq: 6 });
    await store.ingest(telemetry.boxId, [telemetry.batch(7, 9)], NOW_MS);
    const [report] = await store.verifyChains(telemetry.boxId);
    assert.deepEqual(report!.gaps, [{ afterSeq: 2, firstSeq: 5 }]);
    assert.deepEqual([report!.fault, report!.events, report!.headSeq], [undefined, 7, 9]);

    const access = new Chain("access").add(...grants(3));
    await enrol(store, access);
    const refused = await store.ingest(access.boxId, [access.batch(2, 3, true)], NOW_MS);
    assert.equal(refused.acks[0]!.refused, "gap");
  });

  test("epochs and lanes have cursors of their own; one bad lane holds up no other", async (store) => {
    const access = new Chain("access").add(...grants(2));
    await enrol(store, access);
    const alarm = new Chain("alarm").add({ kind: "door.forced", door: "main" });
    const result = await store.ingest(
      access.boxId,
      [alarm.batch(1, 1), access.batch(2, 2)],
      NOW_MS,
    );
    assert.deepEqual(result.acks, [
      { lane: "alarm", epoch: 1, seq: 1 },
      { lane: "access", epoch: 1, seq: 0, refused: "gap" },
    ]);
    const second = new Chain("access", 2).add(...grants(1));
    await store.ingest(access.boxId, [second.batch(1, 1)], NOW_MS);
    assert.equal(await store.cursor(access.boxId, 2, "access"), 1);
    assert.equal(await store.cursor(access.boxId, 1, "access"), 0);
  });

  test("events are found by box, lane and page", async (store) => {
    const chains = [new Chain("access"), new Chain("access")];
    for (const chain of chains) {
      chain.add(...grants(30));
      await enrol(store, chain);
    }
    const alarm = new Chain("alarm").add({ kind: "door.forced", door: "main" });
    for (let at = 0; at < 30; at += 5) {
      for (const chain of chains) {
        await store.ingest(chain.boxId, [chain.batch(at + 1, at + 5)], NOW_MS);
      }
    }
    await store.ingest(chains[0]!.boxId, [alarm.batch(1, 1)], NOW_MS);
    const [boxId] = chains.map((chain) => chain.boxId);
    const seen: number[] = [];
    let beforeId: number | undefined;
    for (;;) {
      const page = await store.events({
        boxId: boxId!,
        lane: "access",
        limit: 7,
        ...(beforeId === undefined ? {} : { beforeId }),
      });
      if (page.length === 0) break;
      assert.ok(page.every((event) => event.boxId === boxId && event.lane === "access"));
      seen.push(...page.map((event) => event.seq));
      beforeId = page.at(-1)!.id;
    }
    assert.deepEqual(seen, Array.from({ length: 30 }, (_, index) => 30 - index));
    assert.equal((await store.events({ boxId: boxId!, limit: 1 }))[0]!.lane, "alarm");
    assert.equal((await store.events({ lane: "alarm", limit: 9 })).length, 1);
  });

  test("a command's result counts once, and only from its own box", async (store) => {
    const [mine, other] = [new Chain("command"), new Chain("command")];
    for (const chain of [mine, other]) {
      chain.add({ kind: "command.result", id: "c1", outcome: "done" });
      chain.add({ kind: "command.result", id: "c1", outcome: "failed", detail: "again" });
      await enrol(store, chain);
    }
    const command = {
      id: "c1",
      boxId: mine.boxId,
      command: { name: "door.open", door: "main" } as const,
      operator: "admin",
      issuedMs: NOW_MS,
      expiresMs: NOW_MS + 1000,
      outcome: undefined,
      detail: undefined,
    };
    await store.addCommand(command);
    await store.addCommand({ ...command, id: "c2", expiresMs: NOW_MS + 500 });
    assert.deepEqual(
      (await store.pendingCommands(mine.boxId, NOW_MS + 100)).map(({ id }) => id),
      ["c1", "c2"],
    );
    assert.deepEqual(
      (await store.pendingCommands(mine.boxId, NOW_MS + 500)).map(({ id }) => id),
      ["c1"],
    );
    const foreign = await store.ingest(other.boxId, [other.batch(1, 1)], NOW_MS);
    assert.equal(foreign.commands.length, 0);
    assert.equal((await store.command("c1"))!.outcome, undefined);
    const own = await store.ingest(mine.boxId, [mine.batch(1, 2)], NOW_MS);
    assert.deepEqual(own.commands.map(({ outcome }) => outcome), ["done"]);
    assert.equal((await store.command("c1"))!.outcome, "done");
    assert.equal((await store.pendingCommands(mine.boxId, NOW_MS)).length, 1);
  });

  test("sessions end by time, by log-out and by a new password", async (store) => {
    const hash = (byte: number) => new Uint8Array(32).fill(byte);
    await store.setOperator("admin", "one");
    for (const byte of [1, 2]) {
      await store.addSession(hash(byte), { username: "admin", expiresMs: NOW_MS + 10 }, NOW_MS);
    }
    assert.equal((await store.session(hash(1), NOW_MS))!.username, "admin");
    assert.equal(await store.session(hash(1), NOW_MS + 10), undefined);
    await store.extendSession(hash(1), NOW_MS + 20);
    assert.equal((await store.session(hash(1), NOW_MS + 10))!.username, "admin");
    await store.endSession(hash(1));
    assert.equal(await store.session(hash(1), NOW_MS), undefined);
    await store.setOperator("admin", "two");
    assert.equal(await store.session(hash(2), NOW_MS), undefined);
    assert.equal(await store.passwordHash("admin"), "two");
    assert.equal(await store.operatorCount(), 1);
  });

  test("an import adds, changes and leaves alone; a dry run leaves no trace", async (store) => {
    const rows = [
      person("1", { cards: [card("00000001")] }),
      person("2", { cards: [card("00000002")] }),
    ];
    const dry = await store.importCardholders(rows, true);
    assert.deepEqual([dry.added, dry.policyVersion], [2, undefined]);
    assert.equal((await store.cardholders({ search: "", offset: 0, limit: 9 })).total, 0);
    const first = await store.importCardholders(rows, false);
    assert.deepEqual([first.added, first.policyVersion], [2, 1]);
    const again = await store.importCardholders(rows, false);
    assert.deepEqual(
      [again.added, again.changed, again.unchanged, again.policyVersion],
      [0, 0, 2, 1],
    );
    const changed = await store.importCardholders(
      [person("1", { name: "张三", cards: undefined, accessLevels: undefined }), person("3")],
      false,
    );
    assert.deepEqual([changed.added, changed.changed, changed.unchanged], [1, 1, 0]);
    const { items } = await store.cardholders({ search: "张", offset: 0, limit: 9 });
    assert.deepEqual(
      items.map(({ number, accessLevels, cards }) => [number, accessLevels, cards.length]),
      [
        ["1", ["all-doors"], 1],
      ],
    );
    assert.equal((await store.cardholders({ search: "00000002", offset: 0, limit: 9 })).total, 1);
    assert.equal((await store.cardholders({ search: "%", offset: 0, limit: 9 })).total, 0);
  });

  test("cards move only when given back, also within one file", async (store) => {
    const give = (a: string, b: string) => [
      person("1", { cards: [card(a)] }),
      person("2", { cards: [card(b, 3)] }),
    ];
    await store.importCardholders(give("0000000a", "0000000b"), false);
    const taken = await store.importCardholders(
      [person("9"), person("2", { cards: [card("0000000a", 3)] })],
      false,
    );
    assert.deepEqual(taken.faults.map(({ line, field }) => [line, field]), [[3, "card"]]);
    assert.equal((await store.cardholders({ search: "", offset: 0, limit: 9 })).total, 2);
    const swapped = await store.importCardholders(give("0000000b", "0000000a"), false);
    assert.deepEqual([swapped.faults.length, swapped.changed], [0, 2]);
    const { items } = await store.cardholders({ search: "", offset: 0, limit: 9 });
    const active = items.map(({ cards }) => cards.filter((each) => each.active).map((c) => c.hex));
    assert.deepEqual(active, [["0000000b"], ["0000000a"]]);
    const none = await store.importCardholders([person("1", { cards: [] })], false);
    assert.equal(none.changed, 1);
  });

  test("a policy is compiled from one snapshot and kept by version", async (store) => {
    await store.importCardholders([person("1", { cards: [card("0000000a")] })], false);
    assert.equal(await store.policyVersion(), 0);
    await using compiler = store.policyCompiler();
    const policy = await compiler.compile();
    assert.equal(policy.version, await store.wantedVersion());
    await store.putPolicy(policy);
    assert.equal(await store.policyVersion(), policy.version);
    assert.deepEqual((await store.policy())!.document, policy.document);
  });
}
