import type { Clock } from "../../hal/mod.ts";
import {
  type BackEnd,
  type LastUpdate,
  UpdateAgent,
  type UpdateState,
  type Wanted,
} from "../agent/mod.ts";
import {
  type DdiClient,
  DdiError,
  type Deployment,
  type Execution,
  type Poll,
} from "../ddi/mod.ts";
import { TrustError, type UpdateTrust } from "../trust/mod.ts";

/** One kind of payload. */
export interface Payload {
  readonly backEnd: BackEnd;
  /** Where its update stands, on the disk. */
  readonly stateFile: string;
  /** Resolves when `windowOpen` and nothing stands against a switch. */
  readonly clear: (windowOpen: () => boolean, signal: AbortSignal) => Promise<void>;
  /** Resolves with `undefined` when what runs is healthy, else with what is wrong. */
  readonly health: (signal: AbortSignal) => Promise<string | undefined>;
}

/** What an {@link Updater} is made of. */
export interface UpdaterOptions {
  readonly ddi: DdiClient;
  readonly trust: UpdateTrust;
  readonly boxId: string;
  /** The role that may assign, as the publisher's `targets` delegates it. */
  readonly assignRole: string;
  /** By the first segment of a target's path: `app`, `os`, `firmware`, … */
  readonly payloads: Readonly<Record<string, Payload>>;
  /** What the district is told of this box, whenever it has changed. */
  readonly attributes: (signal: AbortSignal) => Promise<Readonly<Record<string, string>>>;
  /** Learns the district's time, so that the trust's floor rises with it; before each poll. */
  readonly learnTime: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: (message: string, fields?: Readonly<Record<string, string | number>>) => void;
  /** Asks at least so often, in ms; without it as the district wishes. */
  readonly pollMsMax?: number;
}

/** A district that is down is asked after 10 s first, then ever less often. */
const RETRY_MS = { first: 10_000, most: 30 * 60_000 } as const;
/** Thousands of boxes ask spread over this share of their interval. */
const SPREAD = 0.2;

const EXECUTION: Readonly<Record<UpdateState["at"], Execution>> = {
  idle: "proceeding",
  fetching: "download",
  staging: "downloaded",
  waiting: "scheduled",
  switching: "proceeding",
  trial: "proceeding",
  confirming: "proceeding",
  reverting: "proceeding",
};

/** Keeps a box up to date until it is disposed of. */
export class Updater implements AsyncDisposable {
  readonly #options: UpdaterOptions;
  readonly #agents = new Map<string, UpdateAgent>();
  /** Outcomes that the district may not have heard of, by kind. */
  readonly #outcomes = new Map<string, LastUpdate>();
  /** States that it may not have heard of. */
  readonly #states = new Map<string, UpdateState>();
  /** What was refused before an agent saw it: the action and why. */
  readonly #refused = new Map<number, string>();
  readonly #stop = new AbortController();
  /** The attributes that it has heard. */
  #told = "";
  #windowOpen = false;
  #wake: () => void = () => {};
  #work: Promise<void> = Promise.resolve();

  /** Goes on with every payload from where it stands. */
  constructor(options: UpdaterOptions) {
    this.#options = options;
    for (const [kind, { backEnd, stateFile, clear, health }] of Object.entries(options.payloads)) {
      this.#agents.set(
        kind,
        new UpdateAgent({
          stateFile,
          backEnd,
          clock: options.clock,
          clear: (signal) => clear(() => this.#windowOpen, signal),
          health,
          report: (last) => this.#ended(kind, last),
          onState: (state) => this.#moved(kind, state),
        }),
      );
    }
  }

  /** Where each payload's update stands. */
  states(): Readonly<Record<string, UpdateState>> {
    return Object.fromEntries([...this.#agents].map(([kind, { state }]) => [kind, state]));
  }

  /** Begins to ask the district. */
  start(): void {
    this.#work = this.#loop();
  }

  /** Stops what is being done; the next updater goes on from there. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the updater stops"));
    this.#wake();
    await this.#work;
    for (const agent of this.#agents.values()) await agent[Symbol.asyncDispose]();
  }

  #ended(kind: string, last: LastUpdate): void {
    const { wanted, outcome, reason, detail } = last;
    this.#options.log("update ended", {
      kind,
      version: wanted.version,
      outcome,
      ...reason === undefined ? {} : { reason },
      ...detail === undefined ? {} : { detail },
    });
    this.#outcomes.set(kind, last);
    this.#wake();
  }

  #moved(kind: string, state: UpdateState): void {
    this.#options.log("update", { kind, at: state.at });
    this.#states.set(kind, state);
    this.#wake();
  }

  async #loop(): Promise<void> {
    const { random, log, pollMsMax = Infinity } = this.#options;
    const { signal } = this.#stop;
    let failures = 0;
    while (!signal.aborted) {
      let waitMs: number;
      try {
        const { sleepMs } = await this.#round(signal);
        failures = 0;
        waitMs = Math.min(sleepMs * (1 - SPREAD / 2 + SPREAD * random()), pollMsMax);
      } catch (error) {
        if (signal.aborted) return;
        const most = Math.min(RETRY_MS.first * 2 ** failures++, RETRY_MS.most, pollMsMax);
        waitMs = most * (1 - SPREAD * random());
        log("the district cannot be asked for updates", { why: (error as Error).message });
      }
      await this.#sleep(waitMs, failures > 0);
    }
  }

  /** Until `ms` are over, or there is something to tell and the line has not just failed. */
  async #sleep(ms: number, deaf: boolean): Promise<void> {
    if (!deaf && (this.#outcomes.size > 0 || this.#states.size > 0)) return;
    const woken = new AbortController();
    this.#wake = () => {
      if (!deaf || this.#stop.signal.aborted) woken.abort();
    };
    await this.#options.clock.sleep(ms, woken.signal).catch(() => {});
    this.#wake = () => {};
  }

  async #round(signal: AbortSignal): Promise<Poll> {
    const { ddi, learnTime } = this.#options;
    await learnTime(signal);
    await this.#tell(signal);
    const poll = await ddi.poll(signal);
    const attributes = await this.#options.attributes(signal);
    const now = JSON.stringify(attributes);
    if (poll.wantsAttributes || now !== this.#told) {
      await ddi.attributes(attributes, signal);
      this.#told = now;
    }
    if (poll.cancel !== undefined) await this.#cancel(poll.cancel, signal);
    else if (poll.install !== undefined) await this.#install(poll.install, signal);
    else this.#nothing();
    return poll;
  }

  /** Tells what has happened since; what the district does not want to hear is over. */
  async #tell(signal: AbortSignal): Promise<void> {
    for (const [kind, state] of [...this.#states]) {
      if (state.at !== "idle") {
        await this.#feedback(state.wanted.action, {
          of: "deploymentBase",
          execution: EXECUTION[state.at],
          detail: state.at,
        }, signal);
      }
      if (this.#states.get(kind) === state) this.#states.delete(kind);
    }
    for (const [kind, last] of [...this.#outcomes]) {
      const { wanted: { action, version }, outcome, reason, detail = "" } = last;
      switch (outcome) {
        case "installed":
          await this.#closed(action, "success", `${version} is installed`, signal);
          break;
        case "failed":
          await this.#closed(action, "failure", `${reason}: ${detail}`, signal);
          break;
        case "withdrawn":
          await this.#feedback(action, {
            of: "cancelAction",
            execution: "closed",
            finished: "success",
            detail: "given up as asked",
          }, signal);
          break;
        default:
          outcome satisfies never;
      }
      if (this.#outcomes.get(kind) === last) this.#outcomes.delete(kind);
    }
    for (const [action, why] of [...this.#refused]) {
      await this.#closed(String(action), "failure", why, signal);
      this.#refused.delete(action);
    }
  }

  async #closed(
    action: string,
    finished: "success" | "failure",
    detail: string,
    signal: AbortSignal,
  ): Promise<void> {
    const told = { of: "deploymentBase", execution: "closed", finished, detail } as const;
    await this.#feedback(action, told, signal);
  }

  async #feedback(
    action: string,
    told: Parameters<DdiClient["feedback"]>[1],
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.#options.ddi.feedback(action, told, signal);
    } catch (error) {
      // Of an action that is over, or of another district: there is nobody to tell.
      if (error instanceof DdiError && [400, 404, 410].includes(error.status)) return;
      throw error;
    }
  }

  async #install(action: number, signal: AbortSignal): Promise<void> {
    const { ddi, payloads, log } = this.#options;
    const deployment = await ddi.deployment(action, signal);
    this.#windowOpen = deployment.windowOpen;
    if (this.#knows(action)) return;
    const agent = this.#agents.get(deployment.kind);
    if (agent === undefined) {
      const kinds = Object.keys(payloads).join(", ");
      this.#refuse(action, `refused: this box takes ${kinds}, not ${deployment.kind}`);
      return;
    }
    let wanted: Wanted;
    try {
      wanted = await this.#verified(action, deployment, signal);
    } catch (error) {
      if (!(error instanceof TrustError) || signal.aborted) throw error;
      log("an update is not trusted", { action, kind: error.kind, why: error.message });
      if (error.kind !== "refused") throw error;
      this.#refuse(action, `refused: ${error.message}`);
      return;
    }
    if (
      agent.state.at === "idle" && payloads[deployment.kind]!.backEnd.running() === wanted.sha256
    ) {
      // A rollout to all reaches those that have it as well.
      this.#ended(deployment.kind, { wanted, outcome: "installed" });
      return;
    }
    log("update assigned", { action, path: wanted.path, version: wanted.version });
    agent.assign(wanted);
  }

  #knows(action: number): boolean {
    if (this.#refused.has(action)) return true;
    return [...this.#agents.values()].some(({ state }) =>
      (state.at === "idle" ? state.last?.wanted : state.wanted)?.action === String(action)
    );
  }

  /** The district's word, held against what the publisher signed and the district's assigning key. */
  async #verified(action: number, deployment: Deployment, signal: AbortSignal): Promise<Wanted> {
    const { ddi, trust, boxId, assignRole } = this.#options;
    const bytes = await ddi.assignment(action, signal);
    const { version, path } = deployment;
    return await trust.look(signal, async (view) => {
      const { targets } = await view.assignment(assignRole, boxId, bytes);
      const target = targets.find((one) => one.path === path);
      if (target === undefined) {
        throw new TrustError("refused", `${path} is offered, but not assigned to this box`);
      }
      return { version, path, sha256: target.sha256, action: String(action) };
    });
  }

  async #cancel(action: number, signal: AbortSignal): Promise<void> {
    const of = "cancelAction" as const;
    for (const agent of this.#agents.values()) {
      const { state } = agent;
      if (state.at === "idle" || state.wanted.action !== String(action)) continue;
      agent.assign(undefined);
      if (agent.state.at === "idle") return;
      const detail = `it is ${state.at} already`;
      return await this.#feedback(String(action), { of, execution: "rejected", detail }, signal);
    }
    const detail = "nothing was begun";
    await this.#feedback(String(action), {
      of,
      execution: "closed",
      finished: "success",
      detail,
    }, signal);
  }

  /** The district knows of nothing: what has not come to its switch is given up. */
  #nothing(): void {
    for (const agent of this.#agents.values()) agent.assign(undefined);
  }

  #refuse(action: number, why: string): void {
    this.#refused.set(action, why);
    this.#options.log("update refused", { action, why });
    this.#wake();
  }
}
