/**
 * A turnstile or speed gate as a state machine: pure, on the monotonic clock, as `machine.ts` is for
 * doors.
 *
 * Rules, in the order in which they win:
 * 1. A release (fire, evacuation) opens both ways, whatever else holds.
 * 2. `free` stands open both ways; passages are counted, nobody is too many.
 * 3. One grant is one passage. Grants wait in a short queue and are let through one after the other,
 *    in the order of the cards, whichever way each goes.
 * 4. A grant that nobody used in `holdMs` is over, and recorded as unused; whoever had begun to go in
 *    time is still counted for it.
 * 5. Somebody who goes without a grant is one too many, and counted until the next grant is used.
 *
 * Without sensors nothing is known of passages: each grant opens for `holdMs`, a further one renews it.
 *
 * @module
 */
import type { BoxEvent, DoorMode, UnlockCause } from "../../sync/wire/mod.ts";
import type { Direction, DoorInput, DoorStep, Grant } from "./machine.ts";

/** What a turnstile is, for its control. Times in ms. */
export interface TurnstileTraits {
  readonly id: string;
  readonly kind: "turnstile";
  /** How long one grant waits for its passage. */
  readonly holdMs: number;
  /** How long an output is on for one grant; `undefined`: until the passage, or `holdMs`. */
  readonly pulseMs: number | undefined;
  /** Grants that may wait behind the one that is let through. */
  readonly queueMax: number;
  /** Whether its sensors tell of passages. */
  readonly feedback: boolean;
  /** Whether the way out has an output of its own; otherwise the way in serves both. */
  readonly outputOut: boolean;
}

/** A turnstile's state. Times on the monotonic clock, in ms. */
export interface TurnstileState {
  readonly mode: DoorMode;
  readonly released: boolean;
  /** It has no contact that tells. */
  readonly open: undefined;
  readonly unlocked: boolean;
  readonly alarm: undefined;
  /** Who is let through now. */
  readonly current:
    | { readonly grant: Grant; readonly endsMs: number; readonly pulseEndsMs: number }
    | undefined;
  /** Who waits behind. */
  readonly queue: readonly Grant[];
  /** Whose time is up, and who may have begun to go in time. */
  readonly late: readonly { readonly grant: Grant; readonly untilMs: number }[];
  /** The next release comes not before. */
  readonly restUntilMs: number;
  /** Persons too many since the last grant was used. */
  readonly tailgaters: number;
  /** What the outputs were told. */
  readonly driven: { readonly in: boolean; readonly out: boolean };
}

/** The next state, the steps, and when `{ kind: "time" }` is due at the latest. */
export interface TurnstileTransition {
  readonly state: TurnstileState;
  readonly steps: readonly DoorStep[];
  readonly nextDeadlineMs: number | undefined;
}

/** An arm that was pushed in time has turned by then; slow gates report at the end of the passage. */
const LATE_MS = 2_000;
/** Between two releases, so that a turnstile which counts edges sees two. */
const REST_MS = 300;

/** A turnstile at start: closed, in `mode`. */
export function initialTurnstileState(mode: DoorMode = "normal"): TurnstileState {
  return {
    mode,
    released: false,
    open: undefined,
    unlocked: false,
    alarm: undefined,
    current: undefined,
    queue: [],
    late: [],
    restUntilMs: -Infinity,
    tailgaters: 0,
    driven: { in: false, out: false },
  };
}

/** Whether one more grant finds a place. */
export function turnstileTakes(traits: TurnstileTraits, state: TurnstileState): boolean {
  if (!traits.feedback || standsFree(state)) return true;
  return state.queue.length + (state.current === undefined ? 0 : 1) <= traits.queueMax;
}

type Draft = { -readonly [K in keyof TurnstileState]: TurnstileState[K] };

function standsFree(state: TurnstileState): boolean {
  return state.released || state.mode === "free";
}

/** Applies `input` at `nowMs`. */
export function stepTurnstile(
  traits: TurnstileTraits,
  before: TurnstileState,
  input: DoorInput,
  nowMs: number,
): TurnstileTransition {
  const state: Draft = { ...before };
  const records: BoxEvent[] = [];
  let renewed = false;

  switch (input.kind) {
    case "unlock": {
      if (input.event !== undefined) records.push(input.event);
      // Whoever finds it standing open needs no grant of his own.
      if (standsFree(state)) break;
      const { direction = "in", cause, person } = input;
      state.queue = [...state.queue, { direction, cause, person }];
      if (!traits.feedback) {
        [state.current, renewed] = [undefined, true];
        state.restUntilMs = nowMs;
      }
      break;
    }
    case "mode":
      if (input.mode === state.mode) break;
      state.mode = input.mode;
      records.push({ kind: "door.mode", door: traits.id, mode: input.mode });
      if (input.mode === "locked") giveUp(traits, state, records);
      break;
    case "release":
      state.released = input.active;
      break;
    case "passed":
      pass(traits, state, input.direction, nowMs, records);
      break;
    case "contact":
    case "loop":
      // A turnstile has neither.
      break;
    case "time":
      break;
    default:
      input satisfies never;
  }

  if (standsFree(state)) {
    // They go as they like: their grants are neither used nor unused.
    [state.current, state.queue, state.late] = [undefined, [], []];
  }
  if (state.current !== undefined && nowMs >= state.current.endsMs) {
    const { grant } = state.current;
    state.current = undefined;
    state.restUntilMs = nowMs + REST_MS;
    if (traits.feedback) state.late = [...state.late, { grant, untilMs: nowMs + LATE_MS }];
  }
  for (const { grant, untilMs } of state.late) {
    if (nowMs >= untilMs) records.push(unused(traits, grant));
  }
  state.late = state.late.filter(({ untilMs }) => nowMs < untilMs);

  let cause: UnlockCause | undefined;
  const [next, ...rest] = state.queue;
  if (next !== undefined && state.current === undefined && nowMs >= state.restUntilMs) {
    state.queue = rest;
    const pulseEndsMs = nowMs + Math.min(traits.pulseMs ?? traits.holdMs, traits.holdMs);
    state.current = { grant: next, endsMs: nowMs + traits.holdMs, pulseEndsMs };
    cause = next.cause;
  }

  const steps = drive(traits, state, renewed, nowMs);
  state.unlocked = standsFree(state) || state.current !== undefined;
  if (state.unlocked && (!before.unlocked || cause !== undefined)) {
    cause ??= state.released ? "release" : "free";
    records.push({ kind: "door.unlocked", door: traits.id, cause });
  } else if (!state.unlocked && before.unlocked) {
    records.push({ kind: "door.relocked", door: traits.id });
  }
  for (const event of records) steps.push({ kind: "record", event });
  return { state, steps, nextDeadlineMs: deadlineOf(state, nowMs) };
}

/** Somebody went through. */
function pass(
  traits: TurnstileTraits,
  state: Draft,
  direction: Direction | undefined,
  nowMs: number,
  records: BoxEvent[],
): void {
  const fits = (grant: Grant) => direction === undefined || grant.direction === direction;
  const passed = (way: Direction) =>
    records.push({ kind: "door.passed", door: traits.id, direction: way });
  if (standsFree(state)) return void passed(direction ?? "in");
  const late = state.late.find(({ grant }) => fits(grant));
  if (late !== undefined) {
    state.late = state.late.filter((one) => one !== late);
    state.tailgaters = 0;
    return void passed(late.grant.direction);
  }
  if (state.current !== undefined && fits(state.current.grant)) {
    passed(state.current.grant.direction);
    state.current = undefined;
    state.restUntilMs = nowMs + REST_MS;
    state.tailgaters = 0;
    return;
  }
  passed(direction ?? "in");
  state.tailgaters++;
  records.push({ kind: "door.tailgated", door: traits.id, count: state.tailgaters });
}

/** A lock-down: whoever waits is not let through any more. */
function giveUp(traits: TurnstileTraits, state: Draft, records: BoxEvent[]): void {
  const grants = [
    ...state.late.map(({ grant }) => grant),
    ...(state.current === undefined ? [] : [state.current.grant]),
    ...state.queue,
  ];
  if (traits.feedback) records.push(...grants.map((grant) => unused(traits, grant)));
  [state.current, state.queue, state.late] = [undefined, [], []];
}

function unused(traits: TurnstileTraits, { direction, person }: Grant): BoxEvent {
  return { kind: "access.unused", door: traits.id, direction, ...person };
}

/** The outputs as they must be now. */
function drive(
  traits: TurnstileTraits,
  state: Draft,
  renewed: boolean,
  nowMs: number,
): DoorStep[] {
  const free = standsFree(state);
  const { current } = state;
  const pulsing = current !== undefined && nowMs < current.pulseEndsMs;
  const way = traits.outputOut ? current?.grant.direction : "in";
  const wanted = { in: free || (pulsing && way === "in"), out: free || (pulsing && way === "out") };
  const steps: DoorStep[] = [];
  for (const output of traits.outputOut ? ["in", "out"] as const : ["in"] as const) {
    const active = wanted[output];
    if (active === state.driven[output] && !(active && renewed)) continue;
    const revertAfterMs = active && !free ? current!.pulseEndsMs - nowMs : undefined;
    steps.push({ kind: "drive", output, active, revertAfterMs });
  }
  state.driven = wanted;
  // Off before on: some gates take two orders at once for neither.
  return steps.sort((a, b) =>
    Number("active" in a && a.active) - Number("active" in b && b.active)
  );
}

function deadlineOf(state: TurnstileState, nowMs: number): number | undefined {
  const { current, queue, late, restUntilMs } = state;
  const deadlines = late.map(({ untilMs }) => untilMs);
  if (current !== undefined) {
    deadlines.push(current.endsMs);
    if (nowMs < current.pulseEndsMs) deadlines.push(current.pulseEndsMs);
  } else if (queue.length > 0) deadlines.push(restUntilMs);
  return deadlines.length === 0 ? undefined : Math.max(nowMs, Math.min(...deadlines));
}
