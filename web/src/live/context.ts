import { createContext, useContext, useEffect, useState, useSyncExternalStore } from "react";
import type { Api } from "../api/mod.ts";
import { every, nowMs } from "../clock.ts";
import type { LiveState, LiveStore } from "./store.ts";

/** What every page is given. */
export interface Console {
  readonly api: Api;
  readonly store: LiveStore;
}

/** Set by the shell once somebody is logged in. */
export const ConsoleContext: React.Context<Console | undefined> = createContext<
  Console | undefined
>(
  undefined,
);

/** The API and the live store; only inside the shell. */
export function useConsole(): Console {
  const value = useContext(ConsoleContext);
  if (value === undefined) throw new Error("outside of the shell");
  return value;
}

/** What is known now; draws again when the picked part changes. */
export function useLive<T>(pick: (state: LiveState) => T): T {
  const { store } = useConsole();
  return useSyncExternalStore(store.subscribe, () => pick(store.state()));
}

/** The time, fresh every `ms`. */
export function useNow(ms: number): number {
  const [now, setNow] = useState(nowMs);
  useEffect(() => every(ms, () => setNow(nowMs())), [ms]);
  return now;
}
