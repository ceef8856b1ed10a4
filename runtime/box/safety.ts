/**
 * What gets people out and calls for help: release inputs, emergency buttons, sirens and beacons.
 *
 * @module
 */
import type { InputLine, OutputLine } from "../../drivers/contract.ts";
import type { Cancel, Clock } from "../../hal/mod.ts";
import type { BoxEvent } from "../../sync/wire/mod.ts";
import type { EmergencyConfig, ReleaseConfig, ResolvedConfig } from "../config/mod.ts";
import type { Log } from "../log.ts";
import { alarmsOf, SignalController } from "../signals/mod.ts";

/** Emergencies across restarts. */
export interface Latches {
  /** Whether the emergency of `input` stands. */
  has(input: string): boolean;
  /** Notes whether it stands. @throws when it cannot be stored; it holds until a restart all the same. */
  set(input: string, raised: boolean): void;
}

/** How an order ended: it is done, or why it is not. */
export type SafetyOutcome = { readonly done: true } | { readonly done: false; detail: string };

/** What {@link Safety} needs. */
export interface SafetyHost {
  readonly clock: Clock;
  readonly log: Log;
  readonly inputs: ReadonlyMap<string, InputLine>;
  readonly outputs: ReadonlyMap<string, OutputLine>;
  readonly latches: Latches;
  readonly record: (event: BoxEvent) => void;
  /** Told when the first release begins and when the last one ends, before it is recorded. */
  readonly onRelease: (active: boolean) => void;
}

/** Releases, emergency buttons and signals of one box, from construction to disposal. */
export class Safety implements Disposable {
  readonly #host: SafetyHost;
  readonly #emergencies: readonly EmergencyConfig[];
  readonly #signals: readonly SignalController[];
  readonly #releases = new Set<string>();
  readonly #cancels: Cancel[] = [];

  /** Makes the signals; {@link Safety.start} listens to the inputs. */
  constructor(config: Pick<ResolvedConfig, "emergency" | "signals">, host: SafetyHost) {
    this.#host = host;
    this.#emergencies = config.emergency;
    this.#signals = config.signals.map(({ id, output, on, forMs, silence }) =>
      new SignalController(id, { on, forMs }, {
        clock: host.clock,
        output: host.outputs.get(output)!,
        silence: silence === undefined ? undefined : host.inputs.get(silence)!,
        record: host.record,
      })
    );
  }

  /** Listens to release inputs and emergency buttons, and takes what is active already. */
  start(releases: readonly ReleaseConfig[]): void {
    for (const release of releases) this.#watchRelease(release);
    for (const emergency of this.#emergencies) this.#watchEmergency(emergency);
  }

  /** Lets sirens and beacons follow `event`. */
  note(event: BoxEvent): void {
    const changes = alarmsOf(event);
    for (const signal of this.#signals) for (const change of changes) signal.note(change);
  }

  /** Ends the emergency of `input`. */
  reset(input: string, by: "key" | "command"): SafetyOutcome {
    if (!this.#emergencies.some((one) => one.input === input)) {
      return { done: false, detail: `${input} is no emergency button of this box` };
    }
    if (!this.#host.latches.has(input)) return { done: false, detail: `${input} is not raised` };
    if (this.#host.inputs.get(input)!.active() === true) {
      return { done: false, detail: `${input} is still pressed; pull it out first` };
    }
    this.#latch(input, false);
    this.#host.record({ kind: "emergency.cleared", input, by });
    return { done: true };
  }

  /** Silences a siren or beacon until the next alarm. */
  silence(id: string): SafetyOutcome {
    const signal = this.#signals.find((one) => one.id === id);
    if (signal === undefined) return { done: false, detail: `${id} is no signal of this box` };
    if (!signal.silence("command")) return { done: false, detail: `${id} does not sound` };
    return { done: true };
  }

  /** Stops listening. Outputs go to their safe state when they are disposed. */
  [Symbol.dispose](): void {
    for (const cancel of this.#cancels) cancel();
    for (const signal of this.#signals) signal[Symbol.dispose]();
  }

  #watchRelease({ input, normally }: ReleaseConfig): void {
    const line = this.#host.inputs.get(input)!;
    const follow = (level: boolean | undefined) => {
      // An input that fell silent, or whose supervised wire is broken, keeps what it last said: the
      // fault is an alarm of its own. A plain loop that is cut is a level, and releases.
      if (level === undefined) return;
      const active = level === (normally === "open");
      if (active === this.#releases.has(input)) return;
      if (active) this.#releases.add(input);
      else this.#releases.delete(input);
      this.#host.onRelease(this.#releases.size > 0);
      this.#host.record({ kind: active ? "release.activated" : "release.cleared", input });
    };
    this.#cancels.push(line.onChange(follow));
    follow(line.active());
  }

  #watchEmergency({ input, reset }: EmergencyConfig): void {
    const { inputs, latches, record, log } = this.#host;
    const button = inputs.get(input)!;
    const raise = () => {
      this.#latch(input, true);
      record({ kind: "emergency.raised", input });
    };
    // Raised before a restart: told to the district already, but sirens must sound again.
    if (latches.has(input)) this.note({ kind: "emergency.raised", input });
    else if (button.active() === true) raise();
    this.#cancels.push(button.onChange((active) => {
      if (active === true) raise();
    }));
    if (reset === undefined) return;
    this.#cancels.push(
      inputs.get(reset)!.onChange((active) => {
        if (active !== true) return;
        const outcome = this.reset(input, "key");
        if (!outcome.done) log.warn("emergency not reset", { detail: outcome.detail });
      }),
    );
  }

  #latch(input: string, raised: boolean): void {
    try {
      this.#host.latches.set(input, raised);
    } catch (cause) {
      this.#host.log.error("emergency not stored: a restart will forget it", {
        input,
        cause: String(cause),
      });
    }
  }
}
