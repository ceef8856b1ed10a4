import { useEffect, useState } from "react";
import { type ApiFault, faultOf, type RolloutView, type TargetView } from "../api/mod.ts";
import { every } from "../clock.ts";
import { useConsole } from "../live/mod.ts";

/** A rollout moves in steps of seconds. */
const LOOK_MS = 1_000;
/** Failed boxes that are shown; a rollout that has more was stopped long before. */
export const FAILURES_MAX = 100;

/** What is asked again and again while it is looked at. */
export interface Watched<T> {
  readonly value: T | undefined;
  readonly fault: ApiFault | undefined;
  /** Asks now. */
  readonly look: () => void;
}

/** Asks again each {@link LOOK_MS}, one question at a time. `key` names what is asked for. */
function useWatched<T>(key: string, ask: (signal: AbortSignal) => Promise<T>): Watched<T> {
  const [value, setValue] = useState<T>();
  const [fault, setFault] = useState<ApiFault>();
  const [count, setCount] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    let asking = false;
    const look = () => {
      if (asking || document.hidden) return;
      asking = true;
      ask(stop.signal).then((next) => {
        setValue(next);
        setFault(undefined);
      }, (error) => stop.signal.aborted || setFault(faultOf(error)))
        .finally(() => asking = false);
    };
    look();
    const end = every(LOOK_MS, look);
    return () => {
      end();
      stop.abort();
    };
  }, [key, count]);
  return { value, fault, look: () => setCount((n) => n + 1) };
}

/** Every rollout, newest first. */
export function useRollouts(): Watched<readonly RolloutView[]> {
  const { api } = useConsole();
  return useWatched("all", (signal) => api.rollouts(signal));
}

/** One rollout with its audit, and the boxes that failed. */
export function useRollout(
  id: number,
): Watched<{ readonly rollout: RolloutView; readonly failures: readonly TargetView[] }> {
  const { api } = useConsole();
  return useWatched(String(id), async (signal) => {
    const [rollout, failures] = await Promise.all([
      api.rollout(id, signal),
      api.rolloutTargets(id, { state: "failed", limit: FAILURES_MAX }, signal),
    ]);
    return { rollout, failures };
  });
}
