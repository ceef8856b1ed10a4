/**
 * What the console and other programs see of a district over HTTP: the shapes of the bodies of
 * `/api/…`, all JSON. The OpenAPI document at `/api/openapi.json` is made from the schemas that
 * check them.
 *
 * | call | body → answer |
 * | --- | --- |
 * | `POST /api/session` | {@link LoginRequest} → {@link Session}, sets the cookie; 401, 429 |
 * | `GET /api/session` | → {@link Session}; 401 |
 * | `DELETE /api/session` | → 204 |
 * | `GET /api/boxes` | → {@link BoxView}[] |
 * | `POST /api/enrolment-tokens` | → {@link EnrolmentToken} |
 * | `POST /api/boxes/:boxId/commands` | {@link CommandRequest} → {@link CommandView} (202) |
 * | `GET /api/commands/:id` | → {@link CommandView} |
 * | `GET /api/events?box=&lane=&beforeId=&limit=` | → {@link EventView}[], newest first, at most 200 |
 * | `GET /api/live` | server-sent events, each `data:` a {@link LiveMessage} |
 * | `GET /api/cardholders?search=&offset=&limit=` | → {@link CardholderPage} |
 * | `POST /api/cardholders/import?dryRun=` | CSV (`text/csv`) → {@link ImportReport}; 422 with a report of all faults |
 * | `GET /api/policy` | → {@link PolicySettings} |
 * | `PUT /api/policy` | {@link PolicySettings} → the same; 422 |
 *
 * Each call but the first needs the session's cookie; calls that change something also need the
 * header `x-gatehouse-request: 1`, which a foreign page cannot send. Errors are {@link ApiError}.
 *
 * @module
 */
import type { BoxCommand, BoxStatus, CommandOutcome, DoorMode } from "../../sync/wire/mod.ts";
import type { AccessLevel, Holiday, Lane, RecordedEvent, Schedule } from "../../sync/wire/mod.ts";

/** The body of every answer of 400 and above. */
export interface ApiError {
  readonly error: {
    /** For programs: `unauthenticated`, `rate-limited`, `not-found`, `invalid`, `box-offline`, … */
    readonly code: string;
    /** For people: what is wrong and what to do. */
    readonly message: string;
  };
}

/** Name and password of an operator. */
export interface LoginRequest {
  readonly username: string;
  readonly password: string;
}

/** Who is logged in. */
export interface Session {
  readonly username: string;
  readonly districtName: string;
}

/** One box as the district knows it. */
export interface BoxView {
  readonly id: string;
  readonly name: string;
  readonly online: boolean;
  /** When it was last heard of, ms since 1970; absent before its first contact. */
  readonly lastSeenMs?: number;
  readonly enrolledMs: number;
  /** Its last status, also while offline. */
  readonly status?: Omit<BoxStatus, "kind" | "name">;
  /** The policy version it should have; older in `status` means that it is on its way. */
  readonly policyVersionWanted: number;
}

/** A one-time token for `gatehouse enrol`. It also pins the district's certificate. */
export interface EnrolmentToken {
  readonly token: string;
  readonly expiresMs: number;
  /** The line to run on the box. */
  readonly command: string;
}

/** What an operator asks of a box. */
export interface CommandRequest {
  readonly command: BoxCommand;
  /** How long it may still be carried out, default 30,000 ms. */
  readonly lifeMs?: number;
}

/** A command and how it went. */
export interface CommandView {
  readonly id: string;
  readonly boxId: string;
  readonly command: BoxCommand;
  readonly operator: string;
  readonly issuedMs: number;
  readonly expiresMs: number;
  /** `pending` until the box's result arrives or it expires. */
  readonly state: "pending" | CommandOutcome;
  readonly detail?: string;
}

/** One event at the district. */
export interface EventView extends RecordedEvent {
  /** Grows with the order of arrival; for paging. */
  readonly id: number;
  readonly boxId: string;
  readonly boxName: string;
  readonly epoch: number;
  readonly lane: Lane;
  readonly seq: number;
  readonly receivedMs: number;
  /** Name of the cardholder, where the event has one that is still known. */
  readonly cardholderName?: string;
}

/**
 * What `/api/live` sends, within a second of its happening. Of an upload with more than 200 events,
 * as when a backlog drains, only the newest 200 are sent; the others are in `GET /api/events`.
 */
export type LiveMessage =
  | { readonly kind: "event"; readonly event: EventView }
  | { readonly kind: "box"; readonly box: BoxView }
  | { readonly kind: "command"; readonly command: CommandView }
  /** This client was too slow and messages were dropped: read everything anew. */
  | { readonly kind: "resync" };

/** One cardholder with cards, as listed. */
export interface CardholderView {
  readonly id: number;
  /** The school's own number for the person; what an import is matched by. */
  readonly number: string;
  readonly name: string;
  readonly accessLevels: readonly string[];
  readonly active: boolean;
  readonly validFromMs?: number;
  readonly validUntilMs?: number;
  readonly cards: readonly {
    readonly id: number;
    readonly bits: number;
    readonly hex: string;
    readonly active: boolean;
  }[];
}

/** A page of cardholders. */
export interface CardholderPage {
  readonly total: number;
  readonly items: readonly CardholderView[];
}

/** What an import did, or would do. */
export interface ImportReport {
  readonly added: number;
  readonly changed: number;
  readonly unchanged: number;
  /** Line 1 is the header. */
  readonly faults: readonly {
    readonly line: number;
    readonly field: string;
    readonly message: string;
  }[];
  /** The policy version that carries it; absent on a dry run or with faults. */
  readonly policyVersion?: number;
}

/** The part of the policy that is no list of people. */
export interface PolicySettings {
  readonly holidays: readonly Holiday[];
  readonly schedules: readonly Schedule[];
  readonly accessLevels: readonly AccessLevel[];
}

export type { BoxCommand, BoxStatus, DoorMode };
