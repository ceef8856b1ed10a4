import type { InputLine, OutputLine } from "../../drivers/contract.ts";
import type { Cancel, Clock } from "../../hal/mod.ts";
import type { BoxEvent } from "../../sync/wire/mod.ts";
import {
  type AlarmChange,
  QUIET,
  type SignalInput,
  type SignalState,
  type SignalTraits,
  stepSignal,
} from "./machine.ts";

/** What a signal needs beside its traits. */
export interface SignalHost {
  readonly clock: Clock;
  readonly output: OutputLine;
  /** Silences it while it becomes active. */
  readonly silence: InputLine | undefined;
  readonly record: (event: BoxEvent) => void;
}

/** One siren or beacon: the only one that drives its output. */
export class SignalController implements Disposable {
  /** As in `box.yaml`. */
  readonly id: string;
  readonly #traits: SignalTraits;
  readonly #host: SignalHost;
  #state: SignalState = QUIET;
  #cancelDeadline: Cancel = () => {};
  readonly #cancelSilence: Cancel;

  /** Drives the output to quiet at once. */
  constructor(id: string, traits: SignalTraits, host: SignalHost) {
    this.id = id;
    this.#traits = traits;
    this.#host = host;
    host.output.set(false);
    this.#cancelSilence = host.silence?.onChange((active) => {
      if (active === true) this.silence("input");
    }) ?? (() => {});
  }

  /** Whether it sounds now. */
  get sounding(): boolean {
    return this.#state.sounding;
  }

  /** Takes notice of an alarm. */
  note(change: AlarmChange): void {
    this.#apply({ kind: "alarm", ...change });
  }

  /** Silences it until the next alarm; `false` when it does not sound. */
  silence(by: "input" | "command"): boolean {
    if (!this.sounding) return false;
    this.#apply({ kind: "silence" });
    this.#host.record({ kind: "signal.silenced", signal: this.id, by });
    return true;
  }

  /** Stops timing. The output goes to its safe state when that is disposed. */
  [Symbol.dispose](): void {
    this.#cancelDeadline();
    this.#cancelSilence();
  }

  #apply(input: SignalInput): void {
    const nowMs = this.#host.clock.monotonicMs();
    const was = this.#state.sounding;
    const { state, nextDeadlineMs } = stepSignal(this.#traits, this.#state, input, nowMs);
    this.#state = state;
    if (state.sounding !== was) this.#host.output.set(state.sounding);
    this.#cancelDeadline();
    this.#cancelDeadline = nextDeadlineMs === undefined
      ? () => {}
      : this.#host.clock.schedule(nextDeadlineMs - nowMs, () => this.#apply({ kind: "time" }));
  }
}
