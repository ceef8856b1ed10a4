/**
 * Door control as a state machine: pure, on the monotonic clock. An input and the time go in; the
 * next state and the steps come out. `controller.ts` carries the steps out.
 *
 * Rules, in the order in which they win:
 * 1. A release (fire, evacuation) unlocks, whatever else holds.
 * 2. `free` stands unlocked; nothing about it alarms.
 * 3. An unlock by card, request to exit or command lasts `holdMs`. It ends early when the door has
 *    been opened and closed again; it is stretched while the door stands open, so that a bolt never
 *    meets an open door.
 * 4. A door that opens while it is neither unlocked nor free was forced. One that stays open
 *    `heldOpenMs` after the last unlock ended or the door opened, whichever is later, is held.
 *
 * @module
 */
import type { BoxEvent, DoorMode, UnlockCause } from "../../sync/wire/mod.ts";

/** What a hinged or sliding door is, for its control. Times in ms. */
export interface DoorTraits {
  readonly id: string;
  /**
   * - `strike`: locked without current (fail-secure)
   * - `magnet`: locked by current (fail-safe)
   */
  readonly kind: "strike" | "magnet";
  /** How long one unlock lasts. */
  readonly holdMs: number;
  /** How long it may stand open before it counts as held. */
  readonly heldOpenMs: number;
}

/** Which way somebody goes. */
export type Direction = "in" | "out";

/** Whose card opened. */
export interface Person {
  /** `Credential.id` of the policy. */
  readonly credential: number;
  /** `Cardholder.id` of the policy. */
  readonly cardholder: number;
}

/** One that is to be let through a turnstile or barrier. */
export interface Grant {
  readonly direction: Direction;
  readonly cause: UnlockCause;
  /** Whose card it was, where it was one. */
  readonly person: Person | undefined;
}

/** What happens to a door, turnstile or barrier. */
export type DoorInput =
  | {
    readonly kind: "unlock";
    readonly cause: "access" | "request-to-exit" | "command";
    /** Default `in`; a door does not care. */
    readonly direction?: Direction;
    /** Whose card it was, where it was one. */
    readonly person?: Person;
    /** Recorded first: why it was asked for. */
    readonly event?: BoxEvent;
  }
  | { readonly kind: "mode"; readonly mode: DoorMode }
  | { readonly kind: "release"; readonly active: boolean }
  | {
    /** The contact says so; `undefined` while it is unknown. */
    readonly kind: "contact";
    readonly open: boolean | undefined;
  }
  | {
    /** A turnstile's own sensor saw somebody through; without a direction where it cannot tell. */
    readonly kind: "passed";
    readonly direction: Direction | undefined;
  }
  | {
    /** A vehicle stands under a barrier's boom; `undefined` while that is unknown. */
    readonly kind: "loop";
    readonly occupied: boolean | undefined;
  }
  | { readonly kind: "time" };

/** An output of a turnstile or barrier, by what it does. */
export type DoorOutput = "in" | "out" | "raise" | "lower";

/** What is to be done, in this order. */
export type DoorStep =
  | {
    /** `revertAfterMs`: the longest that the lock may stay so if the box dies meanwhile. */
    readonly kind: "unlock";
    readonly revertAfterMs: number | undefined;
  }
  | { readonly kind: "lock" }
  | {
    /** Drives an output of a turnstile or barrier; `revertAfterMs` as with `unlock`. */
    readonly kind: "drive";
    readonly output: DoorOutput;
    readonly active: boolean;
    readonly revertAfterMs: number | undefined;
  }
  | { readonly kind: "record"; readonly event: BoxEvent };

/** A door's state. Times on the monotonic clock, in ms. */
export interface DoorState {
  readonly mode: DoorMode;
  readonly released: boolean;
  /** What the contact says; `undefined` without one, or while it is unknown. */
  readonly open: boolean | undefined;
  readonly unlocked: boolean;
  /** End of the momentary unlock, if one is running. */
  readonly unlockEndsMs: number | undefined;
  /** When an open door begins to count as held. */
  readonly heldFromMs: number | undefined;
  readonly alarm: "forced" | "held" | undefined;
}

/** A door at start: locked, in `mode`, its contact not read yet. */
export function initialDoorState(mode: DoorMode = "normal"): DoorState {
  return {
    mode,
    released: false,
    open: undefined,
    unlocked: false,
    unlockEndsMs: undefined,
    heldFromMs: undefined,
    alarm: undefined,
  };
}

/** The next state, the steps, and when `{ kind: "time" }` is due at the latest. */
export interface DoorTransition {
  readonly state: DoorState;
  readonly steps: readonly DoorStep[];
  readonly nextDeadlineMs: number | undefined;
}

type Draft = { -readonly [K in keyof DoorState]: DoorState[K] };

/** Unlocked for as long as it is so, with nothing about it that alarms. */
function standsFree(state: DoorState): boolean {
  return state.released || state.mode === "free";
}

/** Applies `input` at `nowMs`. */
export function stepDoor(
  traits: DoorTraits,
  before: DoorState,
  input: DoorInput,
  nowMs: number,
): DoorTransition {
  const state: Draft = { ...before };
  const records: BoxEvent[] = [];
  const door = traits.id;
  let cause: UnlockCause | undefined;

  switch (input.kind) {
    case "unlock":
      cause = input.cause;
      if (input.event !== undefined) records.push(input.event);
      state.unlockEndsMs = nowMs + traits.holdMs;
      if (state.open === true) state.heldFromMs = state.unlockEndsMs + traits.heldOpenMs;
      break;
    case "mode":
      if (input.mode !== state.mode) {
        state.mode = input.mode;
        records.push({ kind: "door.mode", door, mode: input.mode });
        // A lock-down ends whatever unlock was running.
        if (input.mode === "locked") state.unlockEndsMs = undefined;
        if (state.open === true) state.heldFromMs = nowMs + traits.heldOpenMs;
      }
      break;
    case "release":
      state.released = input.active;
      if (!input.active && state.open === true) state.heldFromMs = nowMs + traits.heldOpenMs;
      break;
    case "contact":
      if (input.open !== state.open) applyContact(traits, state, input.open, nowMs, records);
      break;
    case "passed":
    case "loop":
      // A door has neither.
      break;
    case "time":
      break;
    default:
      input satisfies never;
  }

  // The hold is over once its time is up and the door is not standing open.
  if (
    state.unlockEndsMs !== undefined && nowMs >= state.unlockEndsMs && state.open !== true
  ) {
    state.unlockEndsMs = undefined;
  }

  if (
    state.open === true && state.alarm === undefined && !standsFree(state) &&
    state.heldFromMs !== undefined && nowMs >= state.heldFromMs
  ) {
    state.alarm = "held";
    records.push({ kind: "door.held", door });
  }

  const steps: DoorStep[] = [];
  const unlocked = standsFree(state) || state.unlockEndsMs !== undefined;
  const renewed = cause !== undefined;
  if (unlocked && (!before.unlocked || renewed || standsFree(state) !== standsFree(before))) {
    steps.push({
      kind: "unlock",
      revertAfterMs: standsFree(state) ? undefined : state.unlockEndsMs! - nowMs,
    });
    const why: UnlockCause = cause ?? (state.released ? "release" : "free");
    records.push({ kind: "door.unlocked", door, cause: why });
  } else if (!unlocked && before.unlocked) {
    steps.push({ kind: "lock" });
    records.push({ kind: "door.relocked", door });
  }
  state.unlocked = unlocked;
  for (const event of records) steps.push({ kind: "record", event });
  return { state, steps, nextDeadlineMs: deadlineOf(state, nowMs) };
}

function applyContact(
  traits: DoorTraits,
  state: Draft,
  open: boolean | undefined,
  nowMs: number,
  records: BoxEvent[],
): void {
  const door = traits.id;
  const was = state.open;
  state.open = open;
  if (open === true) {
    records.push({ kind: "door.opened", door });
    state.heldFromMs = Math.max(nowMs, state.unlockEndsMs ?? nowMs) + traits.heldOpenMs;
    // Found open at start or after the contact was lost: nobody can say that it was forced.
    if (was === false && !standsFree(state) && state.unlockEndsMs === undefined) {
      state.alarm = "forced";
      records.push({ kind: "door.forced", door });
    }
    return;
  }
  state.heldFromMs = undefined;
  if (open === false && was === true) {
    records.push({ kind: "door.closed", door });
    // Somebody has passed: the unlock has done its work.
    state.unlockEndsMs = undefined;
  }
  if (open === false && state.alarm !== undefined) {
    state.alarm = undefined;
    records.push({ kind: "door.secured", door });
  }
}

function deadlineOf(state: DoorState, nowMs: number): number | undefined {
  const deadlines: number[] = [];
  if (state.unlockEndsMs !== undefined && state.open !== true) deadlines.push(state.unlockEndsMs);
  if (
    state.open === true && state.alarm === undefined && !standsFree(state) &&
    state.heldFromMs !== undefined
  ) {
    deadlines.push(state.heldFromMs);
  }
  return deadlines.length === 0 ? undefined : Math.max(nowMs, Math.min(...deadlines));
}

/** Whether the lock's coil carries current when the door is (un)locked. */
export function energised(kind: DoorTraits["kind"], unlocked: boolean): boolean {
  return kind === "magnet" ? !unlocked : unlocked;
}
