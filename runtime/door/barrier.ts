/**
 * A vehicle barrier as a state machine: pure, on the monotonic clock, as `machine.ts` is for doors.
 *
 * Rules, in the order in which they win:
 * 1. The boom is never lowered while the loop under it is occupied, or while nobody knows whether it
 *    is. A vehicle that comes while the boom goes down raises it again.
 * 2. A release (fire, evacuation) raises it: fire engines get in.
 * 3. `free` stands raised; vehicles are counted, none is too many.
 * 4. One grant is one vehicle: raised, over the loop, lowered. Grants wait in a short queue, and the
 *    boom stays up between two of them. A grant that no vehicle used in `holdMs` is recorded as unused.
 * 5. A vehicle that follows without a grant is one too many.
 * 6. Up for `heldOpenMs` longer than a grant lasts is held; up without having been raised is forced.
 *
 * @module
 */
import type { BoxEvent, DoorMode, UnlockCause } from "../../sync/wire/mod.ts";
import type { Direction, DoorInput, DoorStep, Grant } from "./machine.ts";

/** What a barrier is, for its control. Times in ms. */
export interface BarrierTraits {
  readonly id: string;
  readonly kind: "barrier";
  /** How long one grant waits for its vehicle. */
  readonly holdMs: number;
  /** How long the boom may stay up beyond that. */
  readonly heldOpenMs: number;
  /** How long an order to a barrier with two of them lasts. */
  readonly pulseMs: number;
  /** Grants that may wait behind the vehicle that is let through. */
  readonly queueMax: number;
  /** From the loop being free to the order to lower. */
  readonly lowerDelayMs: number;
  /** How long the boom takes to come down. */
  readonly travelMs: number;
  /** Whether it is lowered by an order of its own; otherwise the one output holds it up. */
  readonly outputLower: boolean;
}

/** A barrier's state. Times on the monotonic clock, in ms. */
export interface BarrierState {
  readonly mode: DoorMode;
  readonly released: boolean;
  /** What the boom's contact says; `undefined` without one, or while it is unknown. */
  readonly open: boolean | undefined;
  /** Whether the boom was told to be up. */
  readonly unlocked: boolean;
  readonly alarm: "forced" | "held" | undefined;
  /** `undefined` while nobody knows. */
  readonly loop: boolean | undefined;
  /** Which vehicle is let through now, and whether it has reached the loop. */
  readonly current:
    | { readonly grant: Grant; readonly endsMs: number; readonly entered: boolean }
    | undefined;
  readonly queue: readonly Grant[];
  /** When the boom is to be lowered, if the loop lets it. */
  readonly lowerAtMs: number | undefined;
  /** Until when it is on its way down. */
  readonly loweringUntilMs: number;
  /** From when on it counts as held. */
  readonly heldFromMs: number | undefined;
  /** Vehicles too many since the last grant was used. */
  readonly tailgaters: number;
  /** Which way the last one went, for whoever follows. */
  readonly lastDirection: Direction;
  /** What the outputs were told, and the end of the order that runs. */
  readonly driven: { readonly raise: boolean; readonly lower: boolean };
  readonly pulseEndsMs: number | undefined;
}

/** The next state, the steps, and when `{ kind: "time" }` is due at the latest. */
export interface BarrierTransition {
  readonly state: BarrierState;
  readonly steps: readonly DoorStep[];
  readonly nextDeadlineMs: number | undefined;
}

/** A barrier at start: it is left as it stands until the first order, in `mode`. */
export function initialBarrierState(mode: DoorMode = "normal"): BarrierState {
  return {
    mode,
    released: false,
    open: undefined,
    unlocked: false,
    alarm: undefined,
    loop: undefined,
    current: undefined,
    queue: [],
    lowerAtMs: undefined,
    loweringUntilMs: -Infinity,
    heldFromMs: undefined,
    tailgaters: 0,
    lastDirection: "in",
    driven: { raise: false, lower: false },
    pulseEndsMs: undefined,
  };
}

/** Whether one more grant finds a place. */
export function barrierTakes(traits: BarrierTraits, state: BarrierState): boolean {
  if (standsFree(state)) return true;
  return state.queue.length + (state.current === undefined ? 0 : 1) <= traits.queueMax;
}

type Draft = { -readonly [K in keyof BarrierState]: BarrierState[K] };

function standsFree(state: BarrierState): boolean {
  return state.released || state.mode === "free";
}

/** Applies `input` at `nowMs`. */
export function stepBarrier(
  traits: BarrierTraits,
  before: BarrierState,
  input: DoorInput,
  nowMs: number,
): BarrierTransition {
  const state: Draft = { ...before };
  const records: BoxEvent[] = [];
  const door = traits.id;

  switch (input.kind) {
    case "unlock": {
      if (input.event !== undefined) records.push(input.event);
      if (standsFree(state)) break;
      const { direction = "in", cause, person } = input;
      state.queue = [...state.queue, { direction, cause, person }];
      break;
    }
    case "mode":
      if (input.mode === state.mode) break;
      state.mode = input.mode;
      records.push({ kind: "door.mode", door, mode: input.mode });
      if (input.mode === "locked") giveUp(traits, state, records);
      break;
    case "release":
      state.released = input.active;
      break;
    case "loop":
      if (input.occupied !== state.loop) {
        moveVehicle(traits, state, input.occupied, nowMs, records);
      }
      break;
    case "contact":
      if (input.open !== state.open) moveBoom(traits, state, input.open, nowMs, records);
      break;
    case "passed":
      // The loop tells.
      break;
    case "time":
      break;
    default:
      input satisfies never;
  }

  const { current } = state;
  if (current !== undefined && !current.entered && nowMs >= current.endsMs) {
    records.push(unused(traits, current.grant));
    state.current = undefined;
  }
  if (standsFree(state)) {
    [state.current, state.queue, state.heldFromMs] = [undefined, [], undefined];
  }
  let cause = takeNext(traits, before, state, nowMs);
  moveUpOrDown(traits, state, input.kind === "loop" ? traits.lowerDelayMs : 0, nowMs);
  if (
    state.alarm === undefined && state.unlocked && !standsFree(state) &&
    state.heldFromMs !== undefined && nowMs >= state.heldFromMs
  ) {
    state.alarm = "held";
    records.push({ kind: "door.held", door });
  }
  if (state.alarm === "held" && (!state.unlocked || standsFree(state))) {
    state.alarm = undefined;
    records.push({ kind: "door.secured", door });
  }

  const steps = drive(traits, before, state, nowMs);
  if (state.unlocked && !before.unlocked) {
    // Raised again for one that follows: the grant before it is why.
    cause ??= state.released ? "release" : state.mode === "free" ? "free" : "access";
  }
  if (cause !== undefined) records.push({ kind: "door.unlocked", door, cause });
  else if (!state.unlocked && before.unlocked) records.push({ kind: "door.relocked", door });
  for (const event of records) steps.push({ kind: "record", event });
  return { state, steps, nextDeadlineMs: deadlineOf(state, nowMs) };
}

/** Lets the next one go if nobody is let through now; why, if so. */
function takeNext(
  traits: BarrierTraits,
  before: BarrierState,
  state: Draft,
  nowMs: number,
): UnlockCause | undefined {
  const [grant, ...rest] = state.queue;
  if (grant === undefined || state.current !== undefined) return undefined;
  state.queue = rest;
  const endsMs = nowMs + traits.holdMs;
  // Before a lowered boom only the vehicle that waits for it can stand on the loop.
  const entered = state.loop === true && !before.unlocked;
  state.current = { grant, endsMs, entered };
  state.heldFromMs = endsMs + traits.heldOpenMs;
  return grant.cause;
}

function moveUpOrDown(
  traits: BarrierTraits,
  state: Draft,
  lowerDelayMs: number,
  nowMs: number,
): void {
  if (standsFree(state) || state.current !== undefined) {
    state.unlocked = true;
    state.lowerAtMs = undefined;
    return;
  }
  if (!state.unlocked) return;
  state.lowerAtMs ??= nowMs + lowerDelayMs;
  state.heldFromMs ??= nowMs + traits.heldOpenMs;
  // Rule 1: only a loop that is known to be free lets the boom down.
  if (state.loop !== false || nowMs < state.lowerAtMs) return;
  state.unlocked = false;
  [state.lowerAtMs, state.heldFromMs] = [undefined, undefined];
  state.loweringUntilMs = nowMs + traits.travelMs;
}

/** A vehicle came onto the loop, or left it. */
function moveVehicle(
  traits: BarrierTraits,
  state: Draft,
  occupied: boolean | undefined,
  nowMs: number,
  records: BoxEvent[],
): void {
  const was = state.loop;
  const { current } = state;
  state.loop = occupied;
  state.lowerAtMs = undefined;
  const passed = (direction: Direction) => {
    records.push({ kind: "door.passed", door: traits.id, direction });
    state.lastDirection = direction;
  };
  if (occupied === true) {
    const comesDown = nowMs < state.loweringUntilMs;
    if (standsFree(state)) return;
    if (current !== undefined) state.current = { ...current, entered: true };
    else if (was === false && (state.unlocked || comesDown)) {
      state.unlocked = true;
      state.tailgaters++;
      records.push({ kind: "door.tailgated", door: traits.id, count: state.tailgaters });
    } else if (comesDown) state.unlocked = true;
    return;
  }
  if (occupied === undefined) return;
  if (current?.entered) {
    passed(current.grant.direction);
    state.current = undefined;
    state.tailgaters = 0;
  } else if (was === true && state.unlocked) passed(state.lastDirection);
}

/** The boom's contact changed. */
function moveBoom(
  traits: BarrierTraits,
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
    if (was === false && !state.unlocked && nowMs >= state.loweringUntilMs) {
      state.alarm = "forced";
      records.push({ kind: "door.forced", door });
    }
  } else if (open === false) {
    if (was === true) records.push({ kind: "door.closed", door });
    if (!state.unlocked) state.loweringUntilMs = nowMs;
    if (state.alarm === "forced") {
      state.alarm = undefined;
      records.push({ kind: "door.secured", door });
    }
  }
}

/** A lock-down: whoever waits is not let through any more; one that is on its way is. */
function giveUp(traits: BarrierTraits, state: Draft, records: BoxEvent[]): void {
  const { current } = state;
  if (current !== undefined && !current.entered) {
    records.push(unused(traits, current.grant));
    state.current = undefined;
  }
  records.push(...state.queue.map((grant) => unused(traits, grant)));
  state.queue = [];
}

function unused(traits: BarrierTraits, { direction, person }: Grant): BoxEvent {
  return { kind: "access.unused", door: traits.id, direction, ...person };
}

/** The outputs as they must be now. */
function drive(
  traits: BarrierTraits,
  before: BarrierState,
  state: Draft,
  nowMs: number,
): DoorStep[] {
  let wanted = { raise: state.unlocked, lower: false };
  if (traits.outputLower) {
    // Once more for a release or a free barrier, whatever it is believed to do.
    const freed = standsFree(state) && !standsFree(before);
    const up = state.unlocked && (freed || !before.unlocked);
    const down = !state.unlocked && before.unlocked;
    if (up || down) state.pulseEndsMs = nowMs + traits.pulseMs;
    else if (state.pulseEndsMs !== undefined && nowMs >= state.pulseEndsMs) {
      state.pulseEndsMs = undefined;
    }
    const running = state.pulseEndsMs !== undefined;
    wanted = up || down
      ? { raise: up, lower: down }
      : { raise: running && state.driven.raise, lower: running && state.driven.lower };
  }
  const steps: DoorStep[] = [];
  // Off before on: never both orders at once.
  for (const active of [false, true]) {
    for (const output of ["raise", "lower"] as const) {
      if (wanted[output] !== active || state.driven[output] === active) continue;
      steps.push({ kind: "drive", output, active, revertAfterMs: undefined });
    }
  }
  state.driven = wanted;
  return steps;
}

function deadlineOf(state: BarrierState, nowMs: number): number | undefined {
  const { current, unlocked, alarm, heldFromMs, lowerAtMs, loop, pulseEndsMs } = state;
  const deadlines: number[] = [];
  if (current !== undefined && !current.entered) deadlines.push(current.endsMs);
  if (lowerAtMs !== undefined && loop === false) deadlines.push(lowerAtMs);
  if (unlocked && alarm === undefined && heldFromMs !== undefined) deadlines.push(heldFromMs);
  if (pulseEndsMs !== undefined) deadlines.push(pulseEndsMs);
  return deadlines.length === 0 ? undefined : Math.max(nowMs, Math.min(...deadlines));
}
