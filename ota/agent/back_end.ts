import type { FailureReason, Wanted } from "./machine.ts";

/**
 * What knows how one kind of payload is installed: the application's slots, the system image, a
 * reader's firmware. Every call may come again after a cut and then goes on from what is there.
 */
export interface BackEnd {
  /** The payload that runs, by the hash of its target; `undefined` when no update brought it. */
  running(): string | undefined;
  /** The payload that was given up on before it came up, if that has not been asked for yet. */
  gaveUpOn(): string | undefined;
  /** Brings what is wanted onto the box. @throws {@link UpdateFault} */
  fetch(wanted: Wanted, signal: AbortSignal): Promise<void>;
  /** Lays it beside what runs. @throws {@link UpdateFault} */
  stage(wanted: Wanted, signal: AbortSignal): Promise<void>;
  /** Has the next start try it, and asks for that start; the process may end any time from then on. */
  switch(wanted: Wanted): Promise<void>;
  /** Makes it the one that stays. */
  confirm(wanted: Wanted): Promise<void>;
  /** Has the next start take what stayed before, and asks for that start. */
  revert(): Promise<void>;
  /** Throws away what was fetched or staged and does not run. */
  clean(): Promise<void>;
}

/** Why a payload could not be fetched, staged or switched to. */
export class UpdateFault extends Error {
  /** For the district. */
  readonly reason: FailureReason;
  /** Whether trying again can help. */
  readonly final: boolean;

  /** Makes a fault. */
  constructor(reason: FailureReason, message: string, final: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = "UpdateFault";
    this.reason = reason;
    this.final = final;
  }
}
