/**
 * What sync needs of its host, and what it tells it.
 *
 * @module
 */
import type { Cancel, Clock } from "../hal/mod.ts";
import type { CommandMemory, EventSink, EventSource } from "../runtime/journal/contract.ts";
import type { SyncErrorKind } from "./errors.ts";
import type { BoxIdentity } from "./identity_store.ts";
import type { BoxCommand, BoxStatus, CommandOutcome, Lane, PolicyMessage } from "./wire/mod.ts";

/** Where sync writes what an installer wants to know. A structured log fits. */
export interface SyncLog {
  /** One line of no interest on a good day. */
  debug(message: string, fields?: Readonly<Record<string, string | number | boolean>>): void;
  /** One line about what changed. */
  info(message: string, fields?: Readonly<Record<string, string | number | boolean>>): void;
  /** One line about what somebody should look at. */
  warn(message: string, fields?: Readonly<Record<string, string | number | boolean>>): void;
  /** One line about what does not work. */
  error(message: string, fields?: Readonly<Record<string, string | number | boolean>>): void;
}

/** How the host carried a command out. */
export interface CommandResult {
  readonly outcome: CommandOutcome;
  /** For a person, why it was refused or failed; at most 500 characters are kept. */
  readonly detail?: string;
}

/** What sync gets from the box. */
export interface SyncOptions {
  readonly identity: BoxIdentity;
  readonly journal: EventSink & EventSource & CommandMemory;
  readonly clock: Clock;
  readonly log: SyncLog;
  /** The box as of now; asked on each change and every 10 s. */
  readonly status: () => BoxStatus;
  /** Calls back after anything in `status` but its counters has changed. */
  readonly onStatusChange: (listener: () => void) => Cancel;
  /** The version that the district's policy in force has; 0 without one. */
  readonly policyVersion: () => number;
  /**
   * Puts a policy in force and records that it was applied or refused. Resolves in both cases; it
   * rejects when it could not be stored, and is then called again after a while.
   */
  readonly applyPolicy: (message: PolicyMessage) => Promise<void>;
  /** Carries out a command that was verified, is in time and was not seen before. */
  readonly execute: (command: BoxCommand) => CommandResult | Promise<CommandResult>;
  /** Told the district's signed time as it becomes known, ms since 1970 at the moment of the call. */
  readonly onDistrictTime?: (districtWallMs: number) => void;
  /** Uniform in [0, 1), for jitter; `Math.random` unless a test wants to know. */
  readonly random?: () => number;
}

/** The last thing that went wrong. */
export interface SyncFault {
  readonly kind: SyncErrorKind;
  /** What it was, and what to do about it. */
  readonly message: string;
  /** On the box's clock. */
  readonly wallMs: number;
}

/** What sync has done since it started. */
export interface SyncCounters {
  readonly uploads: number;
  readonly uploadFailures: number;
  readonly uploadBytes: number;
  readonly eventsAcknowledged: number;
  readonly linksOpened: number;
  readonly commandsExecuted: number;
  readonly commandsExpired: number;
  /** Replays, and messages that were not for this box or not signed. */
  readonly messagesIgnored: number;
}

/** How sync is, for metrics and for the local console. */
export interface SyncState {
  /**
   * - `connected`: the link is up
   * - `connecting`: it is being opened
   * - `waiting`: it failed and is tried again later
   * - `stopped`: it is not tried again: withdrawn by the district, or shut down
   */
  readonly link: "connected" | "connecting" | "waiting" | "stopped";
  /** When the district last acknowledged anything, on the box's clock. */
  readonly lastAckWallMs: number | undefined;
  /** Durable events that the district has not acknowledged. */
  readonly backlogEvents: number;
  /** Lanes that the district will not take, each with the reason; tried again every ten minutes. */
  readonly lanesRefused: readonly { readonly lane: Lane; readonly reason: string }[];
  /** How far the box's wall clock is ahead of the district's; `undefined` while unknown. */
  readonly clockErrorMs: number | undefined;
  /** Gone again after the next success. */
  readonly fault: SyncFault | undefined;
  readonly counters: SyncCounters;
}

/** Sync at work. Disposal ends it and waits for what is in flight; twice is fine. */
export interface SyncHandle extends AsyncDisposable {
  /** As of now; costs nothing. */
  state(): SyncState;
}
