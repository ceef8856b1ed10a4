import * as v from "valibot";
import { type Clock, writeFileDurably } from "../../hal/mod.ts";
import type { Running } from "../stand_in/mod.ts";

/** What a running box says of itself. */
export interface BoxHealth {
  /** Slot that it was started from; empty for the one of the system image. */
  readonly slot: string;
  /** Its door loop goes round. */
  readonly alive: boolean;
  /** Its last event became durable. */
  readonly journalWritable: boolean;
  /** Grows when a spoilt journal was replaced. */
  readonly journalEpoch: number;
  /** Its link to the district is up. */
  readonly districtConnected: boolean;
  /** What it is configured by. */
  readonly config: Running;
  /** The settings of its policy, and what stands in for them. */
  readonly policy: Running & { readonly settings: string };
  /** Policy in force; 0 without one. */
  readonly policyVersion: number;
  readonly rssBytes: number;
  readonly doors: readonly {
    readonly id: string;
    readonly busy: boolean;
    readonly alarm: boolean;
  }[];
  readonly readers: readonly { readonly id: string; readonly online: boolean }[];
}

/** What a {@link HealthGate} is made of. */
export interface HealthGateOptions {
  /** Asks the box; `undefined` when it does not answer. */
  readonly probe: (signal: AbortSignal) => Promise<BoxHealth | undefined>;
  /** Bytes that are free where the box's data is. */
  readonly freeBytes: () => Promise<number>;
  /** Where the state before the switch is kept. */
  readonly file: string;
  readonly clock: Clock;
  /** A door or a reader that is gone was taken out on purpose. Default: it is missed. */
  readonly mayDrop?: boolean;
  /** A release that is not healthy by then goes back, in ms. */
  readonly deadlineMs?: number;
  /** It has to stay healthy for so long, in ms: what eats memory does not do so at once. */
  readonly steadyMs?: number;
}

/** Long enough for a slow card, a reader's secure channel and a link with back-off; a guard waits. */
const DEADLINE_MS = 180_000;
const STEADY_MS = 60_000;
const PROBE_EVERY_MS = 1_000;
/** A box that has not answered for so long cannot be waited for: the update may be what mends it. */
const SILENT_MS = 10 * 60_000;
/** What a release may need more than the one before: twice as much, or this. */
const RSS_GROWTH_BYTES = 128 << 20;
/** Below this the journal of a morning may not fit. */
const FREE_BYTES_MIN = 16 << 20;
const FILE_BYTES_MAX = 64 << 10;

const BeforeSchema = v.strictObject({
  readers: v.pipe(v.array(v.string()), v.maxLength(1_000)),
  doors: v.pipe(v.array(v.string()), v.maxLength(1_000)),
  districtConnected: v.boolean(),
  journalEpoch: v.pipe(v.number(), v.integer(), v.minValue(0)),
  policyVersion: v.pipe(v.number(), v.integer(), v.minValue(0)),
  rssBytes: v.pipe(v.number(), v.minValue(0)),
  freeBytes: v.pipe(v.number(), v.minValue(0)),
});
type Before = v.InferOutput<typeof BeforeSchema>;
const NOTHING: Before = {
  readers: [],
  doors: [],
  districtConnected: false,
  journalEpoch: 0,
  policyVersion: 0,
  rssBytes: 0,
  freeBytes: 0,
};

/** Decides when a box may be switched, and whether a release that was switched to may stay. */
export class HealthGate {
  readonly #options: Required<HealthGateOptions>;

  /** Does nothing by itself. */
  constructor(options: HealthGateOptions) {
    this.#options = {
      ...{ deadlineMs: DEADLINE_MS, steadyMs: STEADY_MS, mayDrop: false },
      ...options,
    };
  }

  /**
   * Resolves when `windowOpen` and no door is in use or in alarm, having noted the state to come
   * back to.
   */
  async clear(windowOpen: () => boolean, signal: AbortSignal): Promise<void> {
    const { probe, clock } = this.#options;
    let answeredMs = clock.monotonicMs();
    for (;;) {
      const health = await probe(signal);
      signal.throwIfAborted();
      if (health !== undefined) answeredMs = clock.monotonicMs();
      const silent = clock.monotonicMs() - answeredMs > SILENT_MS;
      const quiet = health?.doors.every(({ busy, alarm }) => !busy && !alarm) ?? silent;
      if (windowOpen() && quiet) return await this.#note(health);
      await clock.sleep(PROBE_EVERY_MS, signal);
    }
  }

  /**
   * Resolves with `undefined` when the box of `slot` is as well as before, else with what is wrong.
   * There is nothing to wait for once the starter has `givenUp` on it.
   */
  async watch(
    slot: string,
    givenUp: () => boolean,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { probe, clock, deadlineMs, steadyMs, mayDrop } = this.#options;
    const noted = this.#before();
    const endMs = clock.monotonicMs() + deadlineMs;
    let sinceMs: number | undefined;
    for (;;) {
      const health = await probe(signal);
      signal.throwIfAborted();
      const before = mayDrop && health !== undefined ? kept(noted, health) : noted;
      const wrong = wrongOf(health, slot, before, await this.#free());
      if (wrong !== undefined && givenUp()) return `${wrong}; all its starts are used up`;
      const nowMs = clock.monotonicMs();
      sinceMs = wrong === undefined ? sinceMs ?? nowMs : undefined;
      if (sinceMs !== undefined && nowMs - sinceMs >= steadyMs) return undefined;
      // What was well by the deadline may still show that it stays so.
      if (wrong !== undefined && nowMs >= endMs) {
        return `${wrong}, ${Math.round(deadlineMs / 1_000)} s after the switch`;
      }
      if (nowMs >= endMs + steadyMs) return "it does not stay well";
      await clock.sleep(Math.min(PROBE_EVERY_MS, steadyMs / 4), signal);
    }
  }

  async #note(health: BoxHealth | undefined): Promise<void> {
    const before: Before = health === undefined ? NOTHING : {
      readers: health.readers.filter(({ online }) => online).map(({ id }) => id),
      doors: health.doors.map(({ id }) => id),
      districtConnected: health.districtConnected,
      journalEpoch: health.journalEpoch,
      policyVersion: health.policyVersion,
      rssBytes: health.rssBytes,
      freeBytes: await this.#free(),
    };
    writeFileDurably(this.#options.file, JSON.stringify(before));
  }

  /** Nothing is asked of a release when the note is gone: it answers, it has doors to open. */
  #before(): Before {
    try {
      const { file } = this.#options;
      if (Deno.statSync(file).size > FILE_BYTES_MAX) return NOTHING;
      return v.parse(BeforeSchema, JSON.parse(Deno.readTextFileSync(file)));
    } catch {
      return NOTHING;
    }
  }

  async #free(): Promise<number> {
    try {
      return await this.#options.freeBytes();
    } catch {
      return 0;
    }
  }
}

/** What is asked of a box that may have fewer doors and readers than before. */
function kept(before: Before, { doors, readers }: BoxHealth): Before {
  const has = (those: readonly { readonly id: string }[]) => (id: string) =>
    those.some((one) => one.id === id);
  return {
    ...before,
    doors: before.doors.filter(has(doors)),
    readers: before.readers.filter(has(readers)),
  };
}

function wrongOf(
  health: BoxHealth | undefined,
  slot: string,
  before: Before,
  freeBytes: number,
): string | undefined {
  if (health === undefined) return "the box does not answer";
  if (health.slot !== slot) return "the new release does not stay up: another one answers";
  if (!health.alive) return "its door loop stands still";
  if (!health.journalWritable) return "its journal cannot be written";
  if (before.journalEpoch > 0 && health.journalEpoch !== before.journalEpoch) {
    return "it has spoilt the journal, which was replaced";
  }
  const doors = new Set(health.doors.map(({ id }) => id));
  const gone = before.doors.filter((id) => !doors.has(id));
  if (gone.length > 0) return `it does not have door ${gone.join(", ")} any more`;
  const online = new Set(health.readers.filter((one) => one.online).map(({ id }) => id));
  const silent = before.readers.filter((id) => !online.has(id));
  if (silent.length > 0) return `reader ${silent.join(", ")} was online and is not any more`;
  if (health.policyVersion < before.policyVersion) {
    return `policy ${before.policyVersion} was in force and is not any more`;
  }
  if (before.districtConnected && !health.districtConnected) {
    return "the district was reached and is not any more";
  }
  const rssMax = before.rssBytes + Math.max(before.rssBytes, RSS_GROWTH_BYTES);
  if (before.rssBytes > 0 && health.rssBytes > rssMax) {
    const mb = (bytes: number) => Math.round(bytes / 1e6);
    return `it takes ${mb(health.rssBytes)} MB of memory, the one before ${mb(before.rssBytes)} MB`;
  }
  if (freeBytes < Math.min(FREE_BYTES_MIN, before.freeBytes / 2)) {
    return `it has filled the disk: ${Math.round(freeBytes / 1e6)} MB are free`;
  }
  return undefined;
}
