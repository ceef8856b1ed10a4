import { isDeepStrictEqual } from "node:util";
import type { Cancel, Clock } from "../../hal/mod.ts";
import type { PolicyMessage } from "../../sync/wire/mod.ts";
import type { EventSink } from "../journal/contract.ts";
import type { Log } from "../log.ts";
import { applyPolicy, loadPolicy } from "./applier.ts";
import { PolicyError } from "./compile.ts";
import type { StandIn, StandIns } from "./stand_in.ts";
import { openPolicyStore, type PolicyStore, type StoredPolicy } from "./store.ts";

/** How often another process's `policy load`, or what the updater left, is looked for: one pragma, two files. */
const POLL_MS = 2_000;

/** Where settings that stand in for the policy's own are looked for, and for which doors. */
export interface StandInPlace extends Omit<StandIns, "candidates"> {
  /** What may stand in now, what is on trial first. */
  readonly candidates: () => readonly StandIn[];
}

/** Keeps the policy in force: from the store at start, from the district, or from `policy load`. */
export class PolicyKeeper implements Disposable {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #place: StandInPlace;
  readonly #store: PolicyStore;
  readonly #listeners = new Set<(policy: StoredPolicy | undefined) => void>();
  #inForce: StoredPolicy | undefined;
  #dataVersion: number;
  /** What might have stood in when the one in force was read. */
  #standIns: StandIns;
  #applying = false;
  #disposed = false;
  #cancelPoll: Cancel;

  /** Opens (or, when it is spoilt, replaces) the store at `path`. */
  constructor(path: string, clock: Clock, log: Log, place: StandInPlace) {
    this.#path = path;
    this.#place = place;
    this.#standIns = this.#look();
    this.#clock = clock;
    this.#log = log;
    const { store, policy } = openPolicyStore(path, clock.wallMs(), (setAside, cause) => {
      const why = { cause: cause.message };
      if (setAside !== undefined) {
        log.error("policy store was spoilt and set aside", { setAside, ...why });
      } else {
        log.error("no room to open the policy store; make room, then restart the box", why);
      }
    }, this.#standIns);
    this.#store = store;
    this.#inForce = policy;
    this.#dataVersion = store.dataVersion();
    this.#cancelPoll = clock.schedule(POLL_MS, () => this.#poll());
  }

  /** The policy in force, or `undefined` before the first. */
  get inForce(): StoredPolicy | undefined {
    return this.#inForce;
  }

  /** Version of the district's policy while that is in force, else 0: it shall send its own. */
  districtVersion(): number {
    return this.#inForce?.source === "district" ? this.#inForce.compiled.version : 0;
  }

  /** Calls back whenever another policy is in force. */
  onChange(listener: (policy: StoredPolicy | undefined) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Puts the district's policy in force and records that, or records why it was refused.
   *
   * @throws when it could not be stored; it is worth another try then.
   */
  async applyFromDistrict(message: PolicyMessage, journal: EventSink): Promise<void> {
    const { version, document } = message;
    this.#applying = true;
    try {
      const standIns = this.#look();
      const update = { source: "district", version, document } as const;
      this.#put(await applyPolicy(this.#path, update, standIns), standIns);
      await journal.append({ kind: "policy.applied", version });
    } catch (cause) {
      if (!(cause instanceof PolicyError)) throw cause;
      this.#log.warn("policy refused", { version, cause: cause.message });
      const detail = cause.message.slice(0, 500);
      await journal.append({ kind: "policy.refused", version, detail });
    } finally {
      this.#applying = false;
    }
  }

  /** Stops looking and closes the store. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#cancelPoll();
    this.#listeners.clear();
    this.#store[Symbol.dispose]();
  }

  #put(policy: StoredPolicy | undefined, standIns: StandIns): void {
    this.#inForce = policy;
    this.#standIns = standIns;
    this.#dataVersion = this.#store.dataVersion();
    this.#log.info("policy in force", {
      source: policy?.source ?? "none",
      version: policy?.compiled.version ?? 0,
      credentials: policy?.compiled.credentialCount ?? 0,
      ...policy?.bundle ? { settings: policy.bundle } : {},
    });
    const fault = policy?.fault;
    if (fault !== undefined) this.#log.warn("staged settings are not taken", { fault });
    for (const listener of this.#listeners) listener(policy);
  }

  #poll(): void {
    this.#again().catch((cause: unknown) => {
      this.#log.error("policy store cannot be read", { cause: String(cause) });
    }).finally(() => {
      if (!this.#disposed) this.#cancelPoll = this.#clock.schedule(POLL_MS, () => this.#poll());
    });
  }

  async #again(): Promise<void> {
    if (this.#applying) return;
    const standIns = this.#look();
    const same = isDeepStrictEqual(standIns, this.#standIns);
    if (same && this.#store.dataVersion() === this.#dataVersion) return;
    const policy = await loadPolicy(this.#path, standIns);
    // What the district sent meanwhile is newer than what was read.
    if (!this.#applying && !this.#disposed) this.#put(policy, standIns);
  }

  #look(): StandIns {
    const { box, doors, candidates } = this.#place;
    return { box, doors, candidates: candidates() };
  }
}
