/**
 * What a journal that was cut down promised, held against what it has.
 *
 * @module
 */
import assert from "node:assert/strict";
import { JournalReader, type LaneQuotas, type StoredEvent } from "../../runtime/journal/mod.ts";
import { type Lane, LANES } from "../../sync/wire/mod.ts";

/** Quotas that a run under load goes through many times. Alarms all stay: they tell of what was dropped. */
export const SMALL_QUOTAS: LaneQuotas = {
  alarm: 1_000_000,
  command: 40,
  access: 200,
  telemetry: 100,
};

/** The token that the child put into an event; the journal's own events have none. */
export function tokenOf({ event }: StoredEvent): string | undefined {
  switch (event.kind) {
    case "door.forced":
    case "door.opened":
      return event.door;
    case "command.result":
      return event.id;
    case "box.started":
      return event.version;
    default:
      return undefined;
  }
}

/** A lane as a check found it. */
interface SeenLane {
  /** Token of each event by seq; the journal's own events have an empty one. */
  readonly tokens: Map<number, string>;
  /** Highest seq that was found. */
  head: number;
}

/** Everything that the journal promised so far, by the lines of its processes. */
export class Promises {
  /** Epoch of the first start; it must stay. */
  #epoch: number | undefined;
  readonly #durable = new Map<Lane, Map<number, string>>();
  readonly #intended = new Map<Lane, number>();
  readonly #synced = new Map<Lane, number>();
  readonly #found = new Map<Lane, SeenLane>();

  /** Makes an empty account. */
  constructor() {
    for (const lane of LANES) {
      this.#durable.set(lane, new Map());
      this.#found.set(lane, { tokens: new Map(), head: 0 });
      this.#intended.set(lane, 0);
      this.#synced.set(lane, 0);
    }
  }

  /** Events promised so far. */
  get events(): number {
    return LANES.reduce((sum, lane) => sum + this.#durable.get(lane)!.size, 0);
  }

  /** Last acknowledged seq of `lane` that is durable. */
  synced(lane: Lane): number {
    return this.#synced.get(lane)!;
  }

  /** Takes a line of the child. */
  take(line: string): void {
    const [what, first, second, token] = line.split(" ");
    const [lane, seq] = [first as Lane, Number(second)];
    switch (what) {
      case "open":
        this.#epoch ??= Number(first);
        assert.equal(Number(first), this.#epoch, "the store was replaced: it is of another epoch");
        return;
      case "event":
        assert.ok(!this.#durable.get(lane)!.has(seq), `${lane} ${seq} was given twice`);
        this.#durable.get(lane)!.set(seq, token!);
        return;
      case "intend":
        this.#intended.set(lane, Math.max(this.#intended.get(lane)!, seq));
        return;
      case "synced":
        this.#synced.set(lane, Math.max(this.#synced.get(lane)!, seq));
        return;
      default:
        assert.fail(`the child said: ${line}`);
    }
  }

  /**
   * Holds the journal in `dataDir` against every promise. `small`: events may be gone that the
   * district has, or might have, and telemetry that a `journal.dropped` tells of.
   */
  check(dataDir: string, small: boolean): void {
    using reader = new JournalReader(dataDir);
    assert.equal(reader.epoch, this.#epoch, "the epoch");
    for (const verdict of reader.verify()) {
      assert.equal(verdict.brokenAt, undefined, `${verdict.lane}: its chain breaks`);
    }
    const positions = Object.fromEntries(LANES.map((lane) => [lane, 0])) as Record<Lane, number>;
    const first = new Map<Lane, number>();
    const last = new Map<Lane, number>();
    for (const event of reader.events(positions)) {
      const { lane, seq } = event;
      const previous = last.get(lane);
      if (previous === undefined) first.set(lane, seq);
      else assert.equal(seq, previous + 1, `${lane}: a gap`);
      last.set(lane, seq);
      const token = tokenOf(event) ?? "";
      const promised = this.#durable.get(lane)!.get(seq);
      if (promised !== undefined) assert.equal(token, promised, `${lane} ${seq}: other content`);
      // What was there once, promised or not, is what will be there.
      const { tokens } = this.#found.get(lane)!;
      assert.equal(tokens.get(seq) ?? token, token, `${lane} ${seq}: changed after a restart`);
      tokens.set(seq, token);
    }
    for (const lane of LANES) this.#checkEnds(lane, first.get(lane), last.get(lane), small);
    this.#checkUnique();
  }

  #checkEnds(lane: Lane, first: number | undefined, last: number | undefined, small: boolean) {
    const promised = this.#durable.get(lane)!;
    const promisedHead = Math.max(0, ...promised.keys());
    const found = this.#found.get(lane)!;
    assert.ok((last ?? 0) >= promisedHead, `${lane}: ends at ${last}, promised ${promisedHead}`);
    assert.ok((last ?? 0) >= found.head, `${lane}: ends at ${last}, was at ${found.head} before`);
    found.head = last ?? 0;
    if (first === undefined) return;
    if (!small || lane === "alarm") assert.equal(first, 1, `${lane}: its first events are gone`);
    else if (lane !== "telemetry") {
      assert.ok(first - 1 <= this.#intended.get(lane)!, `${lane}: dropped up to ${first} unsynced`);
    }
  }

  #checkUnique(): void {
    const all = LANES.flatMap((lane) => [...this.#found.get(lane)!.tokens.values()])
      .filter((token) => token !== "");
    assert.equal(new Set(all).size, all.length, "an event is stored twice");
  }
}
