import { useCallback, useState } from "react";
import { type ApiFault, type BoxCommand, type CommandView, faultOf } from "../api/mod.ts";
import { nowMs } from "../clock.ts";
import { commandDeadlineMs, useConsole, useLive, useNow } from "../live/mod.ts";

/** How the last thing asked of a door went. */
export interface LastCommand {
  readonly command: BoxCommand;
  /** `sending` before the district took it, `lost` when no answer came in time. */
  readonly state: "sending" | "not-sent" | "lost" | CommandView["state"];
  readonly detail?: string;
  readonly fault?: ApiFault;
}

/** What was asked of one door, and asking. */
export interface DoorCommands {
  readonly last: LastCommand | undefined;
  readonly give: (command: BoxCommand) => Promise<void>;
  readonly isPending: (command: BoxCommand) => boolean;
  readonly dismiss: () => void;
}

/** How long an open or a mode is still wanted: an operator stands there and waits. */
const LIFE_MS = 10_000;
/** A good end is shown this long; a bad one until it is dismissed. */
const DONE_SHOWN_MS = 6_000;

interface Given {
  readonly command: BoxCommand;
  readonly id?: string;
  readonly fault?: ApiFault;
  /** By this computer's clock, which need not be the district's. */
  readonly givenMs: number;
}

/** Commands to one door, as this operator gives them here. */
export function useDoorCommands(boxId: string, door: string): DoorCommands {
  const { api, store } = useConsole();
  const [given, setGiven] = useState<Given>();
  const view = useLive((state) =>
    given?.id === undefined ? undefined : state.commands.get(given.id)
  );
  const now = useNow(1_000);

  const give = useCallback(async (command: BoxCommand) => {
    const givenMs = nowMs();
    setGiven({ command, givenMs });
    try {
      const answer = await api.command(boxId, { command, lifeMs: LIFE_MS });
      store.addCommand(answer);
      setGiven({ command, givenMs, id: answer.id });
    } catch (error) {
      setGiven({ command, givenMs, fault: faultOf(error) });
    }
  }, [api, store, boxId, door]);
  const dismiss = useCallback(() => setGiven(undefined), []);

  const last = given === undefined ? undefined : lastOf(given, view, now);
  return {
    last,
    give,
    dismiss,
    isPending: (command) =>
      (last?.state === "pending" || last?.state === "sending") &&
      JSON.stringify(last.command) === JSON.stringify(command),
  };
}

function lastOf(given: Given, view: CommandView | undefined, now: number): LastCommand | undefined {
  const { command, fault } = given;
  if (fault !== undefined) return { command, state: "not-sent", fault };
  if (view === undefined) return { command, state: "sending" };
  const waitMs = commandDeadlineMs(view) - view.issuedMs;
  if (view.state === "pending") {
    return { command, state: now - given.givenMs > waitMs ? "lost" : "pending" };
  }
  if (view.state === "done" && now - given.givenMs > DONE_SHOWN_MS) return undefined;
  return {
    command,
    state: view.state,
    ...(view.detail === undefined ? {} : { detail: view.detail }),
  };
}
