/**
 * What the district keeps. One port for every store; `contract_suite.ts` is what a store must pass.
 *
 * All methods are atomic: after a crash each has happened whole or not at all, and what has
 * resolved survives a power cut. Times are ms since 1970 on the district's clock.
 *
 * @module
 */
import type {
  BoxCommand,
  BoxStatus,
  CommandOutcome,
  Lane,
  LaneAck,
  RecordedEvent,
} from "../../sync/wire/mod.ts";
import type { CardholderPage, PolicySettings } from "../api/types.ts";
import type { RolloutStore } from "./rollout_contract.ts";

export type * from "./rollout_contract.ts";

/** One enrolled box. */
export interface BoxRow {
  readonly id: string;
  readonly name: string;
  /** Raw Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly enrolledMs: number;
  readonly lastSeenMs: number | undefined;
  readonly status: BoxStatus | undefined;
  readonly revoked: boolean;
}

/** How an enrolment ended. */
export type EnrolOutcome = "enrolled" | "token-unknown" | "token-used" | "token-expired";

/** A batch whose own chain, signature and events have been checked; whether it joins is the store's to see. */
export interface CheckedBatch {
  readonly lane: Lane;
  readonly epoch: number;
  readonly firstSeq: number;
  readonly prevHash: Uint8Array;
  /** Bytes and content of each event, and the chain hash after it. */
  readonly events: readonly {
    readonly bytes: Uint8Array;
    readonly recorded: RecordedEvent;
    readonly hash: Uint8Array;
  }[];
  readonly headSignature: Uint8Array;
  /** The box says that what is missing before `firstSeq` was dropped by the lane's policy. */
  readonly afterDrop: boolean;
}

/** One stored event. `id` grows with the order of arrival over all boxes. */
export interface EventRow {
  readonly id: number;
  readonly boxId: string;
  readonly epoch: number;
  readonly lane: Lane;
  readonly seq: number;
  readonly receivedMs: number;
  readonly recorded: RecordedEvent;
}

/** What an upload did. */
export interface IngestResult {
  readonly acks: readonly LaneAck[];
  /** Events that are new, in the order of their ids. */
  readonly stored: readonly EventRow[];
  /** Commands of this box whose result came with them. */
  readonly commands: readonly CommandRow[];
}

/** Which events to list, newest first. */
export interface EventQuery {
  readonly boxId?: string;
  readonly lane?: Lane;
  readonly beforeId?: number;
  readonly limit: number;
}

/** One lane's history as `verifyChains` found it. */
export interface ChainReport {
  readonly epoch: number;
  readonly lane: Lane;
  readonly headSeq: number;
  readonly events: number;
  /** Spans that the box gave up by policy. */
  readonly gaps: readonly { readonly afterSeq: number; readonly firstSeq: number }[];
  /** `undefined` when every hash, count and the head's signature hold. */
  readonly fault: string | undefined;
}

/** One command. */
export interface CommandRow {
  readonly id: string;
  readonly boxId: string;
  readonly command: BoxCommand;
  readonly operator: string;
  readonly issuedMs: number;
  readonly expiresMs: number;
  readonly outcome: CommandOutcome | undefined;
  readonly detail: string | undefined;
}

/** A session of an operator; kept by the hash of its token. */
export interface SessionRow {
  readonly username: string;
  readonly expiresMs: number;
}

/** One cardholder of an import, checked. */
export interface ImportRow {
  /** Line in the file where it stands first, for faults. */
  readonly line: number;
  readonly number: string;
  readonly name: string;
  /** `undefined` where the file has no such column: what is stored stays. */
  readonly accessLevels: readonly string[] | undefined;
  /** `null` empties it. */
  readonly validUntilMs: number | null | undefined;
  readonly active: boolean | undefined;
  /** All the cards of the person; `undefined` where the file has no card column. */
  readonly cards:
    | readonly { readonly line: number; readonly bits: number; readonly hex: string }[]
    | undefined;
}

/** What an import did, or would do. */
export interface ImportOutcome {
  readonly added: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly faults: readonly {
    readonly line: number;
    readonly field: string;
    readonly message: string;
  }[];
  /** The policy version that will carry it, when something was changed and stored. */
  readonly policyVersion: number | undefined;
}

/** A policy as it goes to boxes. */
export interface PolicyDocument {
  readonly version: number;
  /** zstd of the CBOR of a `Policy`. */
  readonly document: Uint8Array;
}

/** A line of the record of what operators did. */
export interface AuditRow {
  readonly atMs: number;
  /** Empty for what happened without one. */
  readonly operator: string;
  readonly action: string;
  readonly detail: string;
}

/** What a district keeps of boxes and their events. */
export interface BoxStore {
  /** Stores the SHA-256 of a token's secret. */
  addToken(secretHash: Uint8Array, expiresMs: number): Promise<void>;
  /** Uses the token up for this box; the same box with the same token again is `enrolled` too. */
  enrol(
    request: {
      readonly secretHash: Uint8Array;
      readonly boxId: string;
      readonly publicKey: Uint8Array;
      readonly name: string;
    },
    nowMs: number,
  ): Promise<EnrolOutcome>;
  /** One box, withdrawn ones too. */
  box(boxId: string): Promise<BoxRow | undefined>;
  /** Every box, withdrawn ones too, in the order of enrolment. */
  boxes(): Promise<readonly BoxRow[]>;
  /** Notes that a box was heard of, and its status if it told one. */
  noteSeen(boxId: string, lastSeenMs: number, status: BoxStatus | undefined): Promise<void>;
  /** False when there is no such box. */
  revoke(boxId: string): Promise<boolean>;
  /**
   * Takes what joins and is new; events, cursors and the results of commands in one transaction.
   * Overlaps are verified against what is stored and trimmed.
   */
  ingest(
    boxId: string,
    batches: readonly CheckedBatch[],
    nowMs: number,
  ): Promise<IngestResult>;
  /** How far a lane is stored; 0 before its first event. */
  cursor(boxId: string, epoch: number, lane: Lane): Promise<number>;
  /** Events as asked for, newest first. */
  events(query: EventQuery): Promise<readonly EventRow[]>;
  /** Recomputes every chain of a box from its stored bytes. */
  verifyChains(boxId: string): Promise<readonly ChainReport[]>;
}

/** What a district keeps of commands. */
export interface CommandStore {
  /** Stores a command before it is sent. */
  addCommand(command: CommandRow): Promise<void>;
  /** One command, whatever its state. */
  command(id: string): Promise<CommandRow | undefined>;
  /** Without a result and not expired, in the order they were issued. */
  pendingCommands(boxId: string, nowMs: number): Promise<readonly CommandRow[]>;
}

/** What a district keeps of operators. */
export interface OperatorStore {
  /** Adds an operator or replaces the password; sessions under the old one end. */
  setOperator(username: string, passwordHash: string): Promise<void>;
  /** What the password is checked against; `undefined` for a stranger. */
  passwordHash(username: string): Promise<string | undefined>;
  /** How many operators there are; 0 on the first start. */
  operatorCount(): Promise<number>;
  /** Sweeps those that have expired at `nowMs` as well. */
  addSession(tokenHash: Uint8Array, session: SessionRow, nowMs: number): Promise<void>;
  /** The session of a token, unless it has expired. */
  session(tokenHash: Uint8Array, nowMs: number): Promise<SessionRow | undefined>;
  /** Moves the end of a session. */
  extendSession(tokenHash: Uint8Array, expiresMs: number): Promise<void>;
  /** Ends a session; one that is not there is ended already. */
  endSession(tokenHash: Uint8Array): Promise<void>;
  /** Adds a line to the record of what operators did. */
  audit(row: AuditRow): Promise<void>;
  /** Newest first. */
  auditLog(limit: number): Promise<readonly AuditRow[]>;
}

/** What a district keeps of people and policy. */
export interface PeopleStore {
  /**
   * Takes a CSV file (`people/read.ts`) or checked rows. All or nothing: with faults, or on a dry
   * run, nothing changes. Does not hold up events, however many people there are.
   *
   * @throws `DistrictError` `busy` when too many wait already.
   */
  importCardholders(
    source: Uint8Array | readonly ImportRow[],
    dryRun: boolean,
  ): Promise<ImportOutcome>;
  /** A page of cardholders whose number or name contains `search`. */
  cardholders(
    query: { readonly search: string; readonly offset: number; readonly limit: number },
  ): Promise<CardholderPage>;
  /** Names of those that are still known. */
  cardholderNames(ids: readonly number[]): Promise<ReadonlyMap<number, string>>;
  /** Hours, holidays and access levels as they are now. */
  settings(): Promise<PolicySettings>;
  /** Access levels that some cardholder has. */
  accessLevelsInUse(): Promise<readonly string[]>;
  /** Replaces hours, holidays and access levels. @returns the policy version that will carry them. */
  putSettings(settings: PolicySettings): Promise<number>;
  /** The version that boxes should have: 0 before the first change. */
  wantedVersion(): Promise<number>;
  /** The version of the newest compiled policy; 0 before the first. */
  policyVersion(): Promise<number>;
  /** The newest compiled policy. */
  policy(): Promise<PolicyDocument | undefined>;
  /** Stores a compiled policy; the newest is what boxes get. */
  putPolicy(policy: PolicyDocument): Promise<void>;
}

/** Makes the document of what is stored now, without holding up anything else. */
export interface PolicyCompiler extends AsyncDisposable {
  /** Compiles it. @throws `DistrictError` when what is stored makes no policy. */
  compile(): Promise<PolicyDocument>;
}

/** The whole store. */
export interface DistrictStore
  extends BoxStore, CommandStore, OperatorStore, PeopleStore, AsyncDisposable {
  /** Releases, rollouts and whoever asks for them. */
  readonly rollouts: RolloutStore;
  /** A compiler on this store; the caller disposes of it. */
  policyCompiler(): PolicyCompiler;
}
