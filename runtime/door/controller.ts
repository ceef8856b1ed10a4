import type { Cancel, Clock } from "../../hal/mod.ts";
import type { CardReader, InputLine, OutputLine } from "../../drivers/contract.ts";
import type { BoxEvent, DoorMode } from "../../sync/wire/mod.ts";
import { barrierTakes, type BarrierTraits, initialBarrierState, stepBarrier } from "./barrier.ts";
import {
  type Direction,
  type DoorInput,
  type DoorState,
  type DoorStep,
  type DoorTraits,
  energised,
  initialDoorState,
  stepDoor,
} from "./machine.ts";
import {
  initialTurnstileState,
  stepTurnstile,
  turnstileTakes,
  type TurnstileTraits,
} from "./turnstile.ts";

/** What a door, turnstile or barrier is. */
export type PortalTraits = DoorTraits | TurnstileTraits | BarrierTraits;

/** What is known of any of them. */
export type PortalState = Pick<DoorState, "mode" | "released" | "open" | "unlocked" | "alarm">;

/** What a door is wired to. */
export interface DoorWiring {
  /** A door's lock, a turnstile's way in, what raises a barrier. */
  readonly lock: OutputLine;
  /** A turnstile's way out, what lowers a barrier. */
  readonly second?: OutputLine;
  /** Active while the door is open, the boom up. */
  readonly contact?: InputLine;
  /** Active while somebody asks to get out. */
  readonly requestToExit?: InputLine;
  /** Active while a vehicle is under the boom. */
  readonly loop?: InputLine;
  /** Each becomes active once for each passage; without a direction where it tells none. */
  readonly passages: readonly {
    readonly input: InputLine;
    readonly direction: Direction | undefined;
  }[];
  /** Told when the door's mode changes. */
  readonly readers: readonly CardReader[];
}

/** What a controller needs beside its door. */
export interface DoorHost {
  readonly clock: Clock;
  /** Records an event; called after the lock was driven. */
  readonly record: (event: BoxEvent) => void;
  /** Called after each change of state. */
  readonly onChange: (door: DoorController) => void;
}

/** A state machine with its state, whichever it is. */
interface Moving {
  state(): PortalState;
  takes(): boolean;
  apply(
    input: DoorInput,
    nowMs: number,
  ): { readonly steps: readonly DoorStep[]; readonly nextDeadlineMs: number | undefined };
}

function moving<S extends PortalState>(
  initial: S,
  step: (state: S, input: DoorInput, nowMs: number) => {
    readonly state: S;
    readonly steps: readonly DoorStep[];
    readonly nextDeadlineMs: number | undefined;
  },
  takes: (state: S) => boolean,
): Moving {
  let state = initial;
  return {
    state: () => state,
    takes: () => takes(state),
    apply: (input, nowMs) => {
      const next = step(state, input, nowMs);
      state = next.state;
      return next;
    },
  };
}

function machineOf(traits: PortalTraits, mode: DoorMode): Moving {
  switch (traits.kind) {
    case "strike":
    case "magnet":
      return moving(
        initialDoorState(mode),
        (state, input, nowMs) => stepDoor(traits, state, input, nowMs),
        () => true,
      );
    case "turnstile":
      return moving(
        initialTurnstileState(mode),
        (state, input, nowMs) => stepTurnstile(traits, state, input, nowMs),
        (state) => turnstileTakes(traits, state),
      );
    case "barrier":
      return moving(
        initialBarrierState(mode),
        (state, input, nowMs) => stepBarrier(traits, state, input, nowMs),
        (state) => barrierTakes(traits, state),
      );
    default:
      return traits satisfies never;
  }
}

/** Whether a portal's first output carries current when it is (un)locked. */
export function carriesCurrent(kind: PortalTraits["kind"], unlocked: boolean): boolean {
  return energised(kind === "magnet" ? "magnet" : "strike", unlocked);
}

/**
 * One door, turnstile or barrier: the only one that drives its outputs. Runs its state machine on inputs
 * and deadlines and carries out the steps, outputs first.
 */
export class DoorController implements Disposable {
  /** What the door is. */
  readonly traits: PortalTraits;
  readonly #wiring: DoorWiring;
  readonly #host: DoorHost;
  readonly #machine: Moving;
  readonly #cancels: Cancel[] = [];
  #cancelDeadline: Cancel | undefined;
  #deadlineMs: number | undefined;
  #disposed = false;

  /** Drives the lock to locked (or as `mode` says) at once, and listens to its inputs. */
  constructor(traits: PortalTraits, wiring: DoorWiring, host: DoorHost, mode: DoorMode = "normal") {
    this.traits = traits;
    this.#wiring = wiring;
    this.#host = host;
    this.#machine = machineOf(traits, mode);
    const isDoor = traits.kind === "strike" || traits.kind === "magnet";
    // What moves by a pulse is freed by the first step below, not by its resting level.
    wiring.lock.set(carriesCurrent(traits.kind, isDoor && mode === "free"));
    wiring.second?.set(false);
    if (mode === "free") this.apply({ kind: "time" });
    this.#follow(wiring.contact, (open) => this.apply({ kind: "contact", open }));
    this.#follow(wiring.loop, (occupied) => this.apply({ kind: "loop", occupied }));
    for (const { input, direction } of wiring.passages) {
      this.#cancels.push(input.onChange((active) => {
        if (active === true) this.apply({ kind: "passed", direction });
      }));
    }
    if (wiring.requestToExit !== undefined) {
      this.#cancels.push(wiring.requestToExit.onChange((active) => {
        if (active !== true || !this.takesGrant()) return;
        this.apply({ kind: "unlock", cause: "request-to-exit", direction: "out" });
      }));
    }
  }

  /** The state now. */
  get state(): PortalState {
    return this.#machine.state();
  }

  /** Whether one more can be let through; a turnstile's queue may be full. */
  takesGrant(): boolean {
    return this.#machine.takes();
  }

  /** Applies `input` now. Does nothing after disposal. */
  apply(input: DoorInput): void {
    if (this.#disposed) return;
    const nowMs = this.#host.clock.monotonicMs();
    const before = this.state;
    const { steps, nextDeadlineMs } = this.#machine.apply(input, nowMs);
    for (const step of steps) this.#do(step);
    this.#cancelDeadline?.();
    this.#deadlineMs = nextDeadlineMs;
    this.#cancelDeadline = nextDeadlineMs === undefined
      ? undefined
      : this.#host.clock.schedule(nextDeadlineMs - nowMs, () => this.apply({ kind: "time" }));
    const { mode, released } = this.state;
    if (mode !== before.mode || released !== before.released) {
      for (const reader of this.#wiring.readers) reader.show(this.restingFeedback());
    }
    if (steps.length > 0) this.#host.onChange(this);
  }

  /** How long ago something was due that has not been done yet, in ms; 0 when nothing is. */
  overdueMs(): number {
    if (this.#deadlineMs === undefined || this.#disposed) return 0;
    return Math.max(0, this.#host.clock.monotonicMs() - this.#deadlineMs);
  }

  /** What the door's readers show while nobody is there. */
  restingFeedback(): "idle" | "free" | "locked" {
    const { mode, released } = this.state;
    if (released || mode === "free") return "free";
    return mode === "locked" ? "locked" : "idle";
  }

  /** Stops listening and timing. The lock goes to its output's safe state when that is disposed. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#cancelDeadline?.();
    for (const cancel of this.#cancels) cancel();
  }

  #follow(input: InputLine | undefined, tell: (active: boolean | undefined) => void): void {
    if (input === undefined) return;
    this.#cancels.push(input.onChange(tell));
    tell(input.active());
  }

  #do(step: DoorStep): void {
    const { lock, second } = this.#wiring;
    switch (step.kind) {
      case "unlock": {
        const active = carriesCurrent(this.traits.kind, true);
        // Only a coil that is energised to unlock can fall back to locked by itself.
        set(lock, active, active ? step.revertAfterMs : undefined);
        break;
      }
      case "lock":
        lock.set(carriesCurrent(this.traits.kind, false));
        break;
      case "drive": {
        const isFirst = step.output === "in" || step.output === "raise";
        const output = isFirst ? lock : second;
        if (output !== undefined) set(output, step.active, step.revertAfterMs);
        break;
      }
      case "record":
        this.#host.record(step.event);
        break;
      default:
        step satisfies never;
    }
  }
}

function set(output: OutputLine, active: boolean, revertAfterMs: number | undefined): void {
  output.set(active, revertAfterMs === undefined ? {} : { revertAfterMs });
}
