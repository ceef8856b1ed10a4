/**
 * The box's link to its district: events up, policy and commands down. It runs beside the door,
 * never before it: nothing here is waited for by a tap.
 *
 * @module
 */
import { Backoff } from "./backoff.ts";
import { DistrictClient } from "./client.ts";
import { Commands } from "./commands.ts";
import type { SyncFault, SyncHandle, SyncOptions, SyncState } from "./contract.ts";
import { internalError, SyncError } from "./errors.ts";
import { LanePump, type PumpHost } from "./lane_pump.ts";
import { Link } from "./link.ts";
import { TimeScale } from "./time_scale.ts";
import type { CommandMessage } from "./wire/mod.ts";

/** The first retry of an upload comes within this. */
const UPLINK_BASE_MS = 500;
/** A restart of the district ends all links at once, and it makes a few hundred handshakes a second. */
const LINK_BASE_MS = 3_000;
/** A link that ended sooner is no success: it is not tried again at once. */
const LINK_STABLE_MS = 30_000;
/** Within a minute of the district's return, all boxes are back. */
const BACKOFF_CAP_MS = 60_000;
/** A policy that could not be stored is tried again after this. */
const POLICY_RETRY_MS = 60_000;
/** Commands that wait for the one being carried out; a district has no cause for more. */
const COMMANDS_MAX = 64;

/** Mutable counters behind {@link SyncState.counters}. */
type Counters = { -readonly [K in keyof SyncState["counters"]]: number };

/**
 * Starts sync for an enrolled box. Returns at once; it connects, retries and recovers by itself
 * until `signal` aborts or the handle is disposed of.
 */
export function startSync(options: SyncOptions, signal: AbortSignal): SyncHandle {
  return new Sync(options, signal);
}

class Sync implements SyncHandle {
  readonly #options: SyncOptions;
  readonly #client: DistrictClient;
  readonly #time: TimeScale;
  readonly #commands: Commands;
  readonly #pumps: readonly LanePump[];
  readonly #uplinkBackoff: Backoff;
  readonly #linkBackoff: Backoff;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #done: Promise<void>;
  readonly #counters: Counters = {
    uploads: 0,
    uploadFailures: 0,
    uploadBytes: 0,
    eventsAcknowledged: 0,
    linksOpened: 0,
    commandsExecuted: 0,
    commandsExpired: 0,
    messagesIgnored: 0,
  };
  #link: SyncState["link"] = "connecting";
  #lastAckWallMs: number | undefined;
  #fault: SyncFault | undefined;
  #uplinkDown = false;
  #commandQueue: Promise<void> = Promise.resolve();
  #commandsWaiting = 0;
  #wantedPolicy = 0;
  /** The last version that was handed over, whether it was taken or refused. */
  #offeredPolicy = 0;
  #policyRun: Promise<void> | undefined;
  #cancelPolicyRetry: () => void = () => {};

  constructor(options: SyncOptions, signal: AbortSignal) {
    const { identity, journal, clock, log, execute } = options;
    this.#options = options;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
    this.#time = new TimeScale(clock, (districtWallMs) => options.onDistrictTime?.(districtWallMs));
    this.#client = new DistrictClient(identity, clock, this.#time);
    this.#commands = new Commands({ journal, clock, time: this.#time, log, execute });
    const random = options.random ?? Math.random;
    const backoff = (baseMs: number) =>
      new Backoff({ clock, random, baseMs, capMs: BACKOFF_CAP_MS });
    this.#uplinkBackoff = backoff(UPLINK_BASE_MS);
    this.#linkBackoff = backoff(LINK_BASE_MS);
    const host: PumpHost = {
      identity,
      client: this.#client,
      journal,
      clock,
      log,
      backoff: this.#uplinkBackoff,
      onUploaded: (bytes, events) => this.#uploaded(bytes, events),
      onFailed: (error) => {
        this.#counters.uploadFailures++;
        this.#uplinkDown = true;
        this.#failed(error);
      },
    };
    // Each on a connection of its own: a fresh alarm, or a command's result, waits for no backlog.
    this.#pumps = [
      new LanePump(host, ["alarm"]),
      new LanePump(host, ["command"]),
      new LanePump(host, ["access", "telemetry"]),
    ];
    this.#done = this.#run();
  }

  state(): SyncState {
    return {
      link: this.#link,
      lastAckWallMs: this.#lastAckWallMs,
      backlogEvents: this.#options.journal.state().lanes
        .reduce((sum, { head, synced }) => sum + head - synced, 0),
      lanesRefused: this.#pumps.flatMap((pump) => pump.refused()),
      clockErrorMs: this.#time.known ? this.#time.wallErrorMs() : undefined,
      fault: this.#fault,
      counters: { ...this.#counters },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DOMException("sync is shut down", "AbortError"));
    await this.#done;
  }

  async #run(): Promise<void> {
    const { log } = this.#options;
    const parts = [...this.#pumps.map((pump) => pump.run(this.#signal)), this.#linkLoop()];
    try {
      await Promise.all(parts);
    } catch (error) {
      if (!this.#signal.aborted) {
        const fault = error instanceof SyncError ? error : internalError(error);
        this.#failed(fault);
        log.error("sync has stopped", { kind: fault.kind, detail: fault.message });
      }
      this.#stop.abort(error);
    }
    await Promise.allSettled(parts);
    this.#cancelPolicyRetry();
    await this.#policyRun;
    await this.#commandQueue;
    this.#link = "stopped";
    this.#client[Symbol.dispose]();
  }

  #uploaded(bytes: number, events: number): void {
    this.#counters.uploads++;
    this.#counters.uploadBytes += bytes;
    this.#counters.eventsAcknowledged += events;
    this.#lastAckWallMs = this.#options.clock.wallMs();
    if (this.#link === "connected") this.#fault = undefined;
    // The district is back: the link need not wait any longer either.
    if (this.#uplinkDown) this.#linkBackoff.succeeded();
    this.#uplinkDown = false;
  }

  #failed(error: SyncError): void {
    // The same again is not worth a line.
    if (this.#fault?.message !== error.message) {
      this.#options.log.warn("district", { kind: error.kind, detail: error.message });
    }
    this.#fault = {
      kind: error.kind,
      message: error.message,
      wallMs: this.#options.clock.wallMs(),
    };
  }

  async #linkLoop(): Promise<never> {
    const { clock, log, identity, status, onStatusChange } = this.#options;
    for (;;) {
      await this.#linkBackoff.wait(this.#signal);
      this.#link = "connecting";
      const startedMs = clock.monotonicMs();
      const timeKnown = this.#time.known;
      const link = new Link({
        identity,
        client: this.#client,
        clock,
        time: this.#time,
        status,
        onOpen: () => {
          this.#link = "connected";
          this.#fault = undefined;
          this.#counters.linksOpened++;
          log.info("linked to the district", { url: identity.url });
          // It is back: what waits to be uploaded need not wait any longer.
          this.#uplinkBackoff.succeeded();
        },
        onPolicyVersion: (version) => this.#policyKnown(version),
        onCommand: (message) => this.#enqueue(message),
        onIgnored: (reason) => {
          this.#counters.messagesIgnored++;
          log.warn("message ignored", { reason });
        },
      });
      const cancel = onStatusChange(() => link.statusChanged());
      try {
        const { up, detail } = await link.run(this.#signal);
        if (up) {
          if (clock.monotonicMs() - startedMs > LINK_STABLE_MS) this.#linkBackoff.succeeded();
          log.info("link ended", { detail });
        } else {
          // A refused upgrade does not say why; a call does.
          await this.#client.probe(this.#signal);
          // It was signed with the time of a wrong clock; now the district's is known.
          if (!timeKnown) continue;
          this.#failed(
            new SyncError(
              "unreachable",
              `uploads work, but no WebSocket does (${detail}); a proxy may block it`,
            ),
          );
        }
      } catch (error) {
        this.#signal.throwIfAborted();
        const fault = error instanceof SyncError ? error : internalError(error);
        this.#failed(fault);
        if (fault.kind === "revoked") throw fault;
        this.#linkBackoff.failed(startedMs, fault.retryAfterMs);
      } finally {
        cancel();
        this.#link = "waiting";
      }
      this.#linkBackoff.failed(startedMs);
    }
  }

  #enqueue(message: CommandMessage): void {
    if (this.#commandsWaiting >= COMMANDS_MAX) {
      this.#counters.messagesIgnored++;
      this.#options.log.warn("too many commands at once; ignored", { id: message.id });
      return;
    }
    this.#commandsWaiting++;
    this.#commandQueue = this.#commandQueue.then(async () => {
      const fate = await this.#commands.take(message);
      this.#commandsWaiting--;
      if (fate === "executed") this.#counters.commandsExecuted++;
      else if (fate === "expired") this.#counters.commandsExpired++;
      else if (fate === "replayed") this.#counters.messagesIgnored++;
    });
  }

  #policyKnown(version: number): void {
    this.#wantedPolicy = Math.max(this.#wantedPolicy, version);
    const have = Math.max(this.#offeredPolicy, this.#options.policyVersion());
    if (this.#wantedPolicy <= have || this.#policyRun !== undefined || this.#signal.aborted) return;
    this.#cancelPolicyRetry();
    this.#policyRun = this.#fetchPolicy().then((again) => {
      this.#policyRun = undefined;
      if (again) {
        this.#cancelPolicyRetry = this.#options.clock.schedule(
          POLICY_RETRY_MS,
          () => this.#policyKnown(0),
        );
      } else {
        // A newer one may have been announced meanwhile.
        this.#policyKnown(0);
      }
    });
  }

  /** Resolves to whether it should be tried again later. */
  async #fetchPolicy(): Promise<boolean> {
    const { log, applyPolicy, policyVersion } = this.#options;
    try {
      const wanted = this.#wantedPolicy;
      const message = await this.#client.policy(policyVersion(), this.#signal);
      if (message === undefined) {
        this.#offeredPolicy = wanted;
        return false;
      }
      // Also one that is older than what was announced: whoever holds an old one back gains nothing.
      if (message.version <= Math.max(policyVersion(), this.#offeredPolicy)) return true;
      await applyPolicy(message);
      this.#offeredPolicy = message.version;
      return false;
    } catch (error) {
      if (this.#signal.aborted) return false;
      const fault = error instanceof SyncError ? error : internalError(error);
      this.#failed(fault);
      log.error("policy not applied; tried again later", { detail: fault.message });
      return true;
    }
  }
}
