/**
 * A siren or beacon as a state machine: pure, on the monotonic clock. It sounds while an alarm that it
 * follows stands, not longer than `forMs` for each, until it is silenced; a new alarm ends the silence.
 *
 * @module
 */
import type { BoxEvent } from "../../sync/wire/mod.ts";
import type { SignalAlarm } from "../config/mod.ts";

/** What a signal follows, for its control. */
export interface SignalTraits {
  readonly on: readonly SignalAlarm[];
  /** The longest that it sounds for one alarm, in ms; `undefined`: as long as the alarm stands. */
  readonly forMs: number | undefined;
}

/** What an event means to signals. */
export interface AlarmChange {
  readonly alarm: SignalAlarm;
  /** What it is about; the same as long as it is the same alarm. */
  readonly topic: string;
  /** `once`: it has no end that anybody tells. */
  readonly change: "raised" | "cleared" | "once";
}

/** What happens to a signal. */
export type SignalInput =
  | ({ readonly kind: "alarm" } & AlarmChange)
  | { readonly kind: "silence" }
  | { readonly kind: "time" };

/** A signal's state. Times on the monotonic clock, in ms. */
export interface SignalState {
  /** Until when it sounds for each standing alarm, by topic. As many as there are parts, at most. */
  readonly standing: ReadonlyMap<string, number>;
  readonly silenced: boolean;
  readonly sounding: boolean;
}

/** The next state, and when `{ kind: "time" }` is due at the latest. */
export interface SignalTransition {
  readonly state: SignalState;
  readonly nextDeadlineMs: number | undefined;
}

/** How long an alarm without an end is sounded where `forMs` does not say: enough to be noticed. */
const ONCE_MS = 30_000;

/** A signal at start: quiet. */
export const QUIET: SignalState = { standing: new Map(), silenced: false, sounding: false };

/** Applies `input` at `nowMs`. */
export function stepSignal(
  { on, forMs }: SignalTraits,
  before: SignalState,
  input: SignalInput,
  nowMs: number,
): SignalTransition {
  const standing = new Map(before.standing);
  let { silenced } = before;
  switch (input.kind) {
    case "alarm": {
      if (!on.includes(input.alarm)) break;
      const topic = `${input.alarm}/${input.topic}`;
      if (input.change === "cleared") standing.delete(topic);
      else {
        const longestMs = forMs ?? (input.change === "once" ? ONCE_MS : Infinity);
        standing.set(topic, nowMs + longestMs);
        silenced = false;
      }
      break;
    }
    case "silence":
      silenced = standing.size > 0;
      break;
    case "time":
      break;
    default:
      input satisfies never;
  }
  for (const [topic, untilMs] of standing) if (nowMs >= untilMs) standing.delete(topic);
  if (standing.size === 0) silenced = false;
  const untilMs = Math.min(...standing.values());
  return {
    state: { standing, silenced, sounding: standing.size > 0 && !silenced },
    nextDeadlineMs: untilMs === Infinity ? undefined : untilMs,
  };
}

/** What `event` means to signals; nothing, mostly. */
export function alarmsOf(event: BoxEvent): readonly AlarmChange[] {
  const one = (alarm: SignalAlarm, topic: string, active: boolean): readonly AlarmChange[] => [
    { alarm, topic, change: active ? "raised" : "cleared" },
  ];
  switch (event.kind) {
    case "door.forced":
      return one("forced", event.door, true);
    case "door.held":
      return one("held", event.door, true);
    case "door.secured":
      return [...one("forced", event.door, false), ...one("held", event.door, false)];
    case "door.tailgated":
      return [{ alarm: "tailgated", topic: event.door, change: "once" }];
    case "reader.tamper":
      return one("tamper", event.reader, event.active);
    case "reader.power":
      return one("power", event.reader, event.failed);
    case "release.activated":
    case "release.cleared":
      return one("release", event.input, event.kind === "release.activated");
    case "emergency.raised":
    case "emergency.cleared":
      return one("emergency", event.input, event.kind === "emergency.raised");
    case "input.fault":
      return one("fault", event.input, event.fault !== "none");
    case "reader.offline":
    case "reader.online":
      return one("offline", `reader ${event.reader}`, event.kind === "reader.offline");
    case "expander.offline":
    case "expander.online":
      return one("offline", `expander ${event.expander}`, event.kind === "expander.offline");
    default:
      return [];
  }
}
