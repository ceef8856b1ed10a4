/**
 * An update of one payload as a state machine: pure. What happened and the time go in; the next
 * state and what is to be done come out. The state is stored before anything is done, and whatever
 * is done can be done again: a box that is cut off anywhere goes on from what it finds.
 *
 * ```
 * idle ─assigned─▶ fetching ─fetched─▶ staging ─staged─▶ waiting ─window─▶ switching ─booted─▶ trial ─healthy─▶ confirming ─▶ idle
 *   ▲                 │                   │                 │                  │               │
 *   └──── failed ◀────┴───────────────────┴── withdrawn ────┘                  │               │ unhealthy
 *   └──── failed ◀──────────────────────────────── given up by the starter ────┴─ reverting ◀──┘
 * ```
 *
 * @module
 */

/** What is to be installed: a target of the repository, by its hash. */
export interface Wanted {
  /** Version for people. */
  readonly version: string;
  /** The target's path in the repository. */
  readonly path: string;
  /** SHA-256 of the target, in hex: its identity. */
  readonly sha256: string;
  /** The district's name of what asked for it, for its reports. */
  readonly action: string;
}

/** Why an update ended without being installed. */
export type FailureReason =
  | "refused"
  | "unreachable"
  | "no-space"
  | "spoilt"
  | "did-not-start"
  | "unhealthy"
  | "internal";

/** How the last update ended. */
export interface LastUpdate {
  readonly wanted: Wanted;
  readonly outcome: "installed" | "failed" | "withdrawn";
  readonly reason?: FailureReason;
  /** For a person. */
  readonly detail?: string;
}

/** Where an update stands. Times on the wall clock never matter; `attempts` bound everything. */
export type UpdateState =
  | { readonly at: "idle"; readonly last?: LastUpdate }
  | { readonly at: "fetching"; readonly wanted: Wanted; readonly attempts: number }
  | { readonly at: "staging"; readonly wanted: Wanted; readonly attempts: number }
  | { readonly at: "waiting"; readonly wanted: Wanted }
  | { readonly at: "switching"; readonly wanted: Wanted }
  | { readonly at: "trial"; readonly wanted: Wanted }
  | { readonly at: "confirming"; readonly wanted: Wanted }
  | {
    readonly at: "reverting";
    readonly wanted: Wanted;
    readonly reason: FailureReason;
    readonly detail: string;
  };

/** What happens to an update. */
export type UpdateEvent =
  /** The district's signed word; `undefined`: nothing is to be installed. */
  | { readonly kind: "assigned"; readonly wanted: Wanted | undefined }
  | { readonly kind: "fetched" }
  | { readonly kind: "staged" }
  | {
    readonly kind: "fault";
    readonly reason: FailureReason;
    readonly detail: string;
    /** Whether trying again can help. */
    readonly final: boolean;
  }
  /** A maintenance window is open and nothing alarms. */
  | { readonly kind: "clear" }
  | {
    /** The box has started. */
    readonly kind: "booted";
    /** The slot that runs; `undefined`: one that no update brought. */
    readonly sha256: string | undefined;
    /** The slot whose attempts the starter has used up since the last start. */
    readonly gaveUpOn: string | undefined;
  }
  | { readonly kind: "healthy" }
  | { readonly kind: "confirmed" }
  /** The health gate's time is over, or it has found that the new version cannot do its work. */
  | { readonly kind: "unhealthy"; readonly detail: string };

/** What is to be done after the state was stored. Each may be done again. */
export type UpdateStep =
  | { readonly kind: "fetch"; readonly wanted: Wanted; readonly attempt: number }
  | { readonly kind: "stage"; readonly wanted: Wanted }
  /** Ask for `clear` once a window is open and nothing alarms. */
  | { readonly kind: "await-clear" }
  /** Make the next start try the new slot, and start anew. */
  | { readonly kind: "switch"; readonly wanted: Wanted }
  /** Watch the health gate until `healthy` or `unhealthy`. */
  | { readonly kind: "watch-health" }
  /** Make the new slot the good one. */
  | { readonly kind: "confirm"; readonly wanted: Wanted }
  /** Make the next start take the good slot, and start anew. */
  | { readonly kind: "revert" }
  /** Throw away what was fetched or staged. */
  | { readonly kind: "clean" }
  | { readonly kind: "report"; readonly last: LastUpdate };

/** The next state and the steps to it. */
export interface UpdateTransition {
  readonly state: UpdateState;
  readonly steps: readonly UpdateStep[];
}

/** A line that drops each night gets through a week; a file that is gone is not asked for for ever. */
export const FETCH_ATTEMPTS_MAX = 50;
/** A card that fails three times to take what was verified is full or dying. */
export const STAGE_ATTEMPTS_MAX = 3;

/** What begins or goes on in `state`: asked at each start, after what `booted` led to. */
export function resume(state: UpdateState): readonly UpdateStep[] {
  switch (state.at) {
    case "idle":
      // Whoever was to hear of it may not have.
      return state.last === undefined ? [] : [{ kind: "report", last: state.last }];
    case "fetching":
      return [{ kind: "fetch", wanted: state.wanted, attempt: state.attempts }];
    case "staging":
      return [{ kind: "stage", wanted: state.wanted }];
    case "waiting":
      return [{ kind: "await-clear" }];
    case "switching":
      return [{ kind: "switch", wanted: state.wanted }];
    case "trial":
      return [{ kind: "watch-health" }];
    case "confirming":
      return [{ kind: "confirm", wanted: state.wanted }];
    case "reverting":
      return [{ kind: "revert" }];
    default:
      return state satisfies never;
  }
}

function enter(state: UpdateState, before: readonly UpdateStep[] = []): UpdateTransition {
  return { state, steps: [...before, ...resume(state)] };
}

function end(last: LastUpdate, before: readonly UpdateStep[] = []): UpdateTransition {
  return { state: { at: "idle", last }, steps: [...before, { kind: "report", last }] };
}

function failed(wanted: Wanted, reason: FailureReason, detail: string): UpdateTransition {
  return end({ wanted, outcome: "failed", reason, detail }, [{ kind: "clean" }]);
}

/** Applies `event`. What has no meaning in a state changes nothing. */
export function stepUpdate(state: UpdateState, event: UpdateEvent): UpdateTransition {
  const stay: UpdateTransition = { state, steps: [] };
  switch (event.kind) {
    case "assigned":
      return assigned(state, event.wanted);
    case "booted":
      return booted(state, event.sha256, event.gaveUpOn);
    case "fault":
      return fault(state, event);
    case "fetched":
      return state.at === "fetching"
        ? enter({ at: "staging", wanted: state.wanted, attempts: 1 })
        : stay;
    case "staged":
      return state.at === "staging" ? enter({ at: "waiting", wanted: state.wanted }) : stay;
    case "clear":
      return state.at === "waiting" ? enter({ at: "switching", wanted: state.wanted }) : stay;
    case "healthy":
      return state.at === "trial" ? enter({ at: "confirming", wanted: state.wanted }) : stay;
    case "confirmed":
      return state.at === "confirming" ? end({ wanted: state.wanted, outcome: "installed" }) : stay;
    case "unhealthy":
      return state.at === "trial"
        ? enter({
          at: "reverting",
          wanted: state.wanted,
          reason: "unhealthy",
          detail: event.detail,
        })
        : stay;
    default:
      return event satisfies never;
  }
}

function assigned(state: UpdateState, wanted: Wanted | undefined): UpdateTransition {
  const stay: UpdateTransition = { state, steps: [] };
  // Past the switch there is no way back but by the health gate.
  if (
    state.at === "switching" || state.at === "trial" || state.at === "confirming" ||
    state.at === "reverting"
  ) return stay;
  if (state.at === "idle") {
    if (wanted === undefined) return stay;
    const last = state.last;
    // The same assignment comes again and again; one that failed is not tried for ever.
    if (last?.wanted.sha256 === wanted.sha256 && last.wanted.action === wanted.action) return stay;
    return enter({ at: "fetching", wanted, attempts: 1 });
  }
  if (wanted?.sha256 === state.wanted.sha256) return stay;
  const withdrawn: LastUpdate = { wanted: state.wanted, outcome: "withdrawn" };
  const before: UpdateStep[] = [{ kind: "clean" }, { kind: "report", last: withdrawn }];
  if (wanted === undefined) return { state: { at: "idle", last: withdrawn }, steps: before };
  return enter({ at: "fetching", wanted, attempts: 1 }, before);
}

function booted(
  state: UpdateState,
  sha256: string | undefined,
  gaveUpOn: string | undefined,
): UpdateTransition {
  switch (state.at) {
    case "switching":
      if (sha256 === state.wanted.sha256) return enter({ at: "trial", wanted: state.wanted });
      // Either the switch was never made, or no start of the new slot came as far as this.
      return gaveUpOn === state.wanted.sha256
        ? failed(state.wanted, "did-not-start", "the new version did not come up")
        : { state, steps: resume(state) };
    case "trial":
    case "confirming":
      // The starter has given the new slot its attempts and gone back to the good one.
      return sha256 === state.wanted.sha256
        ? { state, steps: resume(state) }
        : failed(state.wanted, "did-not-start", "the new version ended before it was healthy");
    case "reverting":
      return sha256 === state.wanted.sha256
        ? { state, steps: resume(state) }
        : failed(state.wanted, state.reason, state.detail);
    default:
      return { state, steps: resume(state) };
  }
}

function fault(
  state: UpdateState,
  { reason, detail, final }: Extract<UpdateEvent, { kind: "fault" }>,
): UpdateTransition {
  switch (state.at) {
    case "fetching":
    case "staging": {
      const most = state.at === "fetching" ? FETCH_ATTEMPTS_MAX : STAGE_ATTEMPTS_MAX;
      if (final || state.attempts >= most) return failed(state.wanted, reason, detail);
      return enter({ ...state, attempts: state.attempts + 1 });
    }
    case "switching":
      return failed(state.wanted, reason, detail);
    default:
      return { state, steps: [] };
  }
}
