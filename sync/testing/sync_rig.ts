/**
 * A box's sync at work against the district in memory, and what tests look at.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Clock } from "../../hal/mod.ts";
import {
  type BoxIdentity,
  startSync,
  type SyncHandle,
  type SyncLog,
  type SyncOptions,
} from "../mod.ts";
import { TEST_CA_PEM } from "./certificates.ts";
import { FakeDistrict } from "./fake_district.ts";
import { MemoryJournal } from "./memory_journal.ts";
import {
  boxIdOf,
  type BoxStatus,
  type CommandMessage,
  commandTarget,
  SigningKey,
} from "../wire/mod.ts";

const forever = new AbortController().signal;

/** The same clock, its wall time off by so much. */
export function skewed(clock: Clock, errorMs: number): Clock {
  return {
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs() + errorMs,
    wallQuality: () => "unsynchronised",
    sleep: (ms, signal) => clock.sleep(ms, signal),
    schedule: (ms, callback) => clock.schedule(ms, callback),
  };
}

/** Waits until something holds, and fails by its name. */
export async function until(
  clock: Clock,
  what: string,
  holds: () => boolean,
  withinMs = 5_000,
): Promise<void> {
  const end = clock.monotonicMs() + withinMs;
  while (!holds()) {
    if (clock.monotonicMs() > end) assert.fail(`not within ${withinMs} ms: ${what}`);
    await clock.sleep(5, forever);
  }
}

/** Says nothing. */
export const SILENT_LOG: SyncLog = { debug() {}, info() {}, warn() {}, error() {} };

/** A sync with all its surroundings. Disposal stops it, and the district. */
export interface Rig extends AsyncDisposable {
  readonly district: FakeDistrict;
  readonly journal: MemoryJournal;
  readonly identity: BoxIdentity;
  readonly sync: SyncHandle;
  /** Doors of the commands that were carried out. */
  readonly executed: string[];
  /** Versions of the policies that arrived. */
  readonly applied: number[];
  /** The district's times as they were learned. */
  readonly times: number[];
  readonly status: () => BoxStatus;
  /** Says that the status has changed. */
  statusChanged(): void;
}

/** Starts one; `clock` is the district's, and the box's unless it has its own. */
export function syncRig(
  clock: Clock,
  options: {
    readonly clock?: Clock;
    readonly district?: FakeDistrict;
    readonly journal?: MemoryJournal;
    readonly overrides?: Partial<SyncOptions>;
  } = {},
): Rig {
  const boxClock = options.clock ?? clock;
  const district = options.district ?? new FakeDistrict(clock);
  const journal = options.journal ?? new MemoryJournal(boxClock);
  const key = SigningKey.generate();
  district.admit(key.publicKey);
  const identity: BoxIdentity = {
    boxId: boxIdOf(key.publicKey),
    key,
    url: district.url,
    districtName: "Test",
    districtKey: district.key.publicKey,
    caPem: TEST_CA_PEM,
  };
  const executed: string[] = [];
  const applied: number[] = [];
  const times: number[] = [];
  const listeners = new Set<() => void>();
  const status = (): BoxStatus => ({
    kind: "status",
    name: "east-gate",
    version: "0.1.0",
    policyVersion: applied.at(-1) ?? 0,
    doors: [],
    readers: [],
    backlogEvents: 0,
    rssBytes: 1,
    uptimeMs: 1,
  });
  const sync = startSync({
    identity,
    journal,
    clock: boxClock,
    log: SILENT_LOG,
    status,
    onStatusChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    policyVersion: () => applied.at(-1) ?? 0,
    applyPolicy: ({ version }) => {
      applied.push(version);
      return Promise.resolve();
    },
    execute: (command) => {
      executed.push(commandTarget(command));
      return { outcome: "done" };
    },
    onDistrictTime: (ms) => times.push(ms),
    ...options.overrides,
  }, forever);
  return {
    district,
    journal,
    identity,
    sync,
    executed,
    applied,
    times,
    status,
    statusChanged: () => {
      for (const listener of listeners) listener();
    },
    async [Symbol.asyncDispose]() {
      await sync[Symbol.asyncDispose]();
      await district[Symbol.asyncDispose]();
    },
  };
}

/** Appends so many grants. */
export function fill(journal: MemoryJournal, events: number): Promise<unknown> {
  return Promise.all(
    Array.from({ length: events }, (_, i) =>
      journal.append({
        kind: "access.granted",
        door: "main",
        reader: "in",
        credential: i + 1,
        cardholder: i + 1,
      })),
  );
}

/** Every lane at the district holds exactly 1…head, each once. */
export function assertComplete({ district, journal }: Rig): void {
  for (const { lane, head } of journal.state().lanes) {
    const seqs = district.events.filter((event) => event.lane === lane).map((event) => event.seq);
    assert.deepEqual(seqs, Array.from({ length: head }, (_, i) => i + 1), `lane ${lane}`);
  }
}

/** An order to open a door named as itself. */
export function command(r: Rig, id: string, life = { issued: 0, expires: 10_000 }): CommandMessage {
  return {
    kind: "command",
    boxId: r.identity.boxId,
    id,
    issuedWallMs: r.district.nowMs() + life.issued,
    expiresWallMs: r.district.nowMs() + life.expires,
    command: { name: "door.open", door: id },
  };
}

/** Results of commands at the district. */
export function results(r: Rig): Record<string, string> {
  return Object.fromEntries(
    r.district.events.flatMap(({ event }) =>
      event.kind === "command.result" ? [[event.id, event.outcome]] : []
    ),
  );
}
