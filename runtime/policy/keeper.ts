import type { Cancel, Clock } from "../../hal/mod.ts";
import type { PolicyMessage } from "../../sync/wire/mod.ts";
import type { EventSink } from "../journal/contract.ts";
import type { Log } from "../log.ts";
import { applyPolicy, loadPolicy } from "./applier.ts";
import { PolicyError } from "./compile.ts";
import { openPolicyStore, type PolicyStore, type StoredPolicy } from "./store.ts";

/** How often another process's `policy load` is looked for: one pragma, no disk. */
const POLL_MS = 2_000;

/** Keeps the policy in force: from the store at start, from the district, or from `policy load`. */
export class PolicyKeeper implements Disposable {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #store: PolicyStore;
  readonly #listeners = new Set<(policy: StoredPolicy | undefined) => void>();
  #inForce: StoredPolicy | undefined;
  #dataVersion: number;
  #applying = false;
  #disposed = false;
  #cancelPoll: Cancel;

  /** Opens (or, when it is spoilt, replaces) the store at `path`. */
  constructor(path: string, clock: Clock, log: Log) {
    this.#path = path;
    this.#clock = clock;
    this.#log = log;
    const { store, policy } = openPolicyStore(path, clock.wallMs(), (setAside, cause) => {
      const why = { cause: cause.message };
      if (setAside !== undefined) {
        log.error("policy store was spoilt and set aside", { setAside, ...why });
      } else {
        log.error("no room to open the policy store; make room, then restart the box", why);
      }
    });
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
      this.#put(await applyPolicy(this.#path, { source: "district", version, document }));
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

  #put(policy: StoredPolicy | undefined): void {
    this.#inForce = policy;
    this.#dataVersion = this.#store.dataVersion();
    this.#log.info("policy in force", {
      source: policy?.source ?? "none",
      version: policy?.compiled.version ?? 0,
      credentials: policy?.compiled.credentialCount ?? 0,
    });
    for (const listener of this.#listeners) listener(policy);
  }

  #poll(): void {
    this.#look().catch((cause: unknown) => {
      this.#log.error("policy store cannot be read", { cause: String(cause) });
    }).finally(() => {
      if (!this.#disposed) this.#cancelPoll = this.#clock.schedule(POLL_MS, () => this.#poll());
    });
  }

  async #look(): Promise<void> {
    if (this.#applying || this.#store.dataVersion() === this.#dataVersion) return;
    const policy = await loadPolicy(this.#path);
    // What the district sent meanwhile is newer than what was read.
    if (!this.#applying && !this.#disposed) this.#put(policy);
  }
}
