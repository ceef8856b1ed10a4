import type { Cancel, Clock } from "../../hal/mod.ts";
import type { CardReader, InputLine, OutputLine } from "../../drivers/contract.ts";
import type { BoxEvent, DoorMode } from "../../sync/wire/mod.ts";
import {
  type DoorInput,
  type DoorState,
  type DoorTraits,
  energised,
  initialDoorState,
  stepDoor,
} from "./machine.ts";

/** What a door is wired to. */
export interface DoorWiring {
  readonly lock: OutputLine;
  /** Active while the door is open. */
  readonly contact?: InputLine;
  /** Active while somebody asks to get out. */
  readonly requestToExit?: InputLine;
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

/**
 * One door: the only one that drives its lock. Runs {@link stepDoor} on inputs and deadlines and
 * carries out its steps, the lock first.
 */
export class DoorController implements Disposable {
  /** What the door is. */
  readonly traits: DoorTraits;
  readonly #wiring: DoorWiring;
  readonly #host: DoorHost;
  readonly #cancels: Cancel[] = [];
  #state: DoorState;
  #cancelDeadline: Cancel | undefined;
  #deadlineMs: number | undefined;
  #disposed = false;

  /** Drives the lock to locked (or as `mode` says) at once, and listens to its inputs. */
  constructor(traits: DoorTraits, wiring: DoorWiring, host: DoorHost, mode: DoorMode = "normal") {
    this.traits = traits;
    this.#wiring = wiring;
    this.#host = host;
    this.#state = initialDoorState(mode);
    wiring.lock.set(energised(traits.kind, mode === "free"));
    const { contact, requestToExit } = wiring;
    if (mode === "free") this.apply({ kind: "time" });
    if (contact !== undefined) {
      this.#cancels.push(contact.onChange((open) => this.apply({ kind: "contact", open })));
      this.apply({ kind: "contact", open: contact.active() });
    }
    if (requestToExit !== undefined) {
      this.#cancels.push(requestToExit.onChange((active) => {
        if (active === true) this.apply({ kind: "unlock", cause: "request-to-exit" });
      }));
    }
  }

  /** The state now. */
  get state(): DoorState {
    return this.#state;
  }

  /** Applies `input` now. Does nothing after disposal. */
  apply(input: DoorInput): void {
    if (this.#disposed) return;
    const nowMs = this.#host.clock.monotonicMs();
    const before = this.#state;
    const { state, steps, nextDeadlineMs } = stepDoor(this.traits, before, input, nowMs);
    this.#state = state;
    for (const step of steps) {
      switch (step.kind) {
        case "unlock": {
          const active = energised(this.traits.kind, true);
          // Only a coil that is energised to unlock can fall back to locked by itself.
          const revertAfterMs = active ? step.revertAfterMs : undefined;
          this.#wiring.lock.set(active, revertAfterMs === undefined ? {} : { revertAfterMs });
          break;
        }
        case "lock":
          this.#wiring.lock.set(energised(this.traits.kind, false));
          break;
        case "record":
          this.#host.record(step.event);
          break;
        default:
          step satisfies never;
      }
    }
    this.#cancelDeadline?.();
    this.#deadlineMs = nextDeadlineMs;
    this.#cancelDeadline = nextDeadlineMs === undefined
      ? undefined
      : this.#host.clock.schedule(nextDeadlineMs - nowMs, () => this.apply({ kind: "time" }));
    if (state.mode !== before.mode || state.released !== before.released) {
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
    if (this.#state.released || this.#state.mode === "free") return "free";
    return this.#state.mode === "locked" ? "locked" : "idle";
  }

  /** Stops listening and timing. The lock goes to its output's safe state when that is disposed. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#cancelDeadline?.();
    for (const cancel of this.#cancels) cancel();
  }
}
