import type { Clock } from "../../hal/mod.ts";
import { type BackEnd, UpdateFault } from "./back_end.ts";
import {
  type LastUpdate,
  stepUpdate,
  type UpdateEvent,
  type UpdateState,
  type UpdateStep,
  type Wanted,
} from "./machine.ts";
import { readState, writeState } from "./state_file.ts";

/** What an agent is made of. */
export interface AgentOptions {
  /** Where its state is kept. */
  readonly stateFile: string;
  readonly backEnd: BackEnd;
  readonly clock: Clock;
  /** Resolves when a maintenance window is open and nothing alarms. */
  readonly clear: (signal: AbortSignal) => Promise<void>;
  /** Resolves with `undefined` when what runs is healthy, or with what is wrong when its time is over. */
  readonly health: (signal: AbortSignal) => Promise<string | undefined>;
  /** Told how an update ended. */
  readonly report: (last: LastUpdate) => void;
  /** Told of each state once it is stored; for logs, and for tests that cut here. */
  readonly onState?: (state: UpdateState) => void;
}

/** Wait before a fetch is tried again: doubles from the first to the second. */
const RETRY_MS_MIN = 5_000;
const RETRY_MS_MAX = 30 * 60_000;

/**
 * Carries one payload's updates out: stores each state, then does what it asks for. One thing is
 * done at a time; a new assignment ends what is being fetched or staged.
 */
export class UpdateAgent implements AsyncDisposable {
  readonly #options: AgentOptions;
  readonly #stop = new AbortController();
  #state: UpdateState;
  /** Ends what is being done for the present state. */
  #doing = new AbortController();
  #work: Promise<void> = Promise.resolve();

  /** Goes on from what is stored, with what runs now. */
  constructor(options: AgentOptions) {
    this.#options = options;
    this.#state = readState(options.stateFile);
    const { backEnd } = options;
    const booted = { sha256: backEnd.running(), gaveUpOn: backEnd.gaveUpOn() };
    if (this.#state.at === "idle") this.#run([{ kind: "clean" }]);
    this.#take({ kind: "booted", ...booted });
  }

  /** Where the update stands. */
  get state(): UpdateState {
    return this.#state;
  }

  /** Takes the district's word of what is to be installed; it has been verified. */
  assign(wanted: Wanted | undefined): void {
    this.#take({ kind: "assigned", wanted });
  }

  /** Ends what is being done. The next agent goes on from there. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the agent stops"));
    this.#doing.abort(this.#stop.signal.reason);
    await this.#work;
  }

  #take(event: UpdateEvent): void {
    if (this.#stop.signal.aborted) return;
    const { state, steps } = stepUpdate(this.#state, event);
    if (state !== this.#state) {
      // What belonged to the state before must not speak for this one.
      this.#doing.abort(new Error(`the update is ${state.at} now`));
      writeState(this.#options.stateFile, state);
      this.#state = state;
      this.#options.onState?.(state);
    }
    if (steps.length > 0) this.#run(steps);
  }

  #run(steps: readonly UpdateStep[]): void {
    const doing = this.#doing = new AbortController();
    if (this.#stop.signal.aborted) doing.abort(this.#stop.signal.reason);
    this.#work = this.#work.then(async () => {
      for (const step of steps) {
        if (doing.signal.aborted && step.kind !== "clean" && step.kind !== "report") return;
        await this.#do(step, doing.signal);
      }
    });
  }

  async #do(step: UpdateStep, signal: AbortSignal): Promise<void> {
    const { backEnd } = this.#options;
    try {
      switch (step.kind) {
        case "fetch":
          if (step.attempt > 1) await this.#options.clock.sleep(retryMs(step.attempt), signal);
          await backEnd.fetch(step.wanted, signal);
          return this.#take({ kind: "fetched" });
        case "stage":
          await backEnd.stage(step.wanted, signal);
          return this.#take({ kind: "staged" });
        case "await-clear":
          await this.#options.clear(signal);
          return this.#take({ kind: "clear" });
        case "switch":
          return await backEnd.switch(step.wanted);
        case "watch-health": {
          const wrong = await this.#options.health(signal);
          return this.#take(
            wrong === undefined ? { kind: "healthy" } : { kind: "unhealthy", detail: wrong },
          );
        }
        case "confirm":
          await this.#untilDone(() => backEnd.confirm(step.wanted), signal);
          return this.#take({ kind: "confirmed" });
        case "revert":
          return await this.#untilDone(() => backEnd.revert(), signal);
        case "clean":
          return await backEnd.clean();
        case "report":
          return this.#options.report(step.last);
        default:
          step satisfies never;
      }
    } catch (error) {
      if (signal.aborted) return;
      const fault = error instanceof UpdateFault
        ? error
        : new UpdateFault("internal", String(error), false, { cause: error });
      this.#take({
        kind: "fault",
        reason: fault.reason,
        detail: fault.message,
        final: fault.final,
      });
    }
  }

  /** There is no other way from here: what fails is tried again. */
  async #untilDone(act: () => Promise<void>, signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        return await act();
      } catch {
        await this.#options.clock.sleep(RETRY_MS_MIN, signal);
      }
    }
  }
}

function retryMs(attempt: number): number {
  return Math.min(RETRY_MS_MIN * 2 ** (attempt - 2), RETRY_MS_MAX);
}
