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
 * | `GET /api/releases` | → {@link ReleaseView}[], newest first |
 * | `GET /api/releases/published` | → {@link PublishedView}[]: what the TUF repository holds; 404, 422 |
 * | `POST /api/releases` | {@link ReleaseRequest} → {@link ReleaseView} (201); 404, 422 |
 * | `GET /api/controllers` | → {@link ControllerView}[], by id |
 * | `POST /api/controllers` | {@link ControllerRequest} → {@link ControllerToken} (201) |
 * | `DELETE /api/controllers/:id` | → 204; what it has not told counts as failed; 404 |
 * | `GET /api/rollouts` | → {@link RolloutView}[], newest first, at most 200 |
 * | `POST /api/rollouts` | {@link RolloutRequest} → {@link RolloutView} (201), a draft; 404, 422 |
 * | `GET /api/rollouts/:id` | → {@link RolloutView} with its audit |
 * | `POST /api/rollouts/:id/submit` | → {@link RolloutView}; 409 with why not |
 * | `POST /api/rollouts/:id/approve` | → {@link RolloutView}; 409 with why not |
 * | `POST /api/rollouts/:id/reject` | → {@link RolloutView}; 409 with why not |
 * | `POST /api/rollouts/:id/pause` | → {@link RolloutView}; 409 with why not |
 * | `POST /api/rollouts/:id/resume` | → {@link RolloutView}; 409 with why not |
 * | `POST /api/rollouts/:id/abort` | → {@link RolloutView}; 409 with why not |
 * | `POST /api/rollouts/:id/roll-back` | → {@link RollBackView}; 409 with why not |
 * | `GET /api/rollouts/:id/targets?after=&state=&limit=` | → {@link TargetView}[], at most 1,000 |
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

/** A published file that may be rolled out. */
export interface ReleaseView {
  /** Among the targets of the TUF repository. */
  readonly path: string;
  readonly kind: string;
  readonly version: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly addedMs: number;
}

/** A file that the TUF repository holds. */
export type PublishedView = Omit<ReleaseView, "addedMs">;

/** Names a published file. */
export interface ReleaseRequest {
  readonly path: string;
}

/** Whoever asks for updates over DDI. */
export interface ControllerView {
  readonly id: string;
  readonly addedMs: number;
  readonly labels: Readonly<Record<string, string>>;
  /** What it tells of itself. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** Adds a controller, or gives it a new token. */
export interface ControllerRequest {
  readonly id: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A controller's target token, shown once. */
export interface ControllerToken {
  readonly id: string;
  readonly token: string;
}

/** Which targets; what is left out chooses all. */
export interface TargetFilter {
  readonly ids?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
}

/** A rollout to be made. */
export interface RolloutRequest {
  readonly name: string;
  /** Path of a release. */
  readonly release: string;
  readonly filter?: TargetFilter;
  readonly groups: readonly {
    readonly name: string;
    readonly filter?: TargetFilter;
    /** Of those that match and stand in no group before, rounded up. */
    readonly percent: number;
    /** The next group begins when this share has installed it. */
    readonly successPercent: number;
    /** The rollout pauses when this share has failed. */
    readonly errorPercent: number;
  }[];
  /** When devices may switch; without it at any time. What is fetched before waits. */
  readonly window?: WindowView;
  /** Stays open after its last group: boxes that match the labels later get it too. */
  readonly standing?: boolean;
  /** A target that tells nothing for so long counts as failed; without it, it is waited for. */
  readonly silentAfterHours?: number;
}

/** Hours in a place's own time in which devices may switch to what they have fetched. */
export interface WindowView {
  /** IANA name, such as `Asia/Shanghai`. */
  readonly timezone: string;
  /** `days`: 1 Monday … 7 Sunday. `HH:MM`; a `to` that is not after `from` is on the next day. */
  readonly weekly: readonly {
    readonly days: readonly number[];
    readonly from: string;
    readonly to: string;
  }[];
  /** Dates without a switch, `YYYY-MM-DD`. */
  readonly notOn: readonly string[];
}

/** What takes a rollout back. */
export interface RollBackView {
  /** One for each release that boxes had before; they run. */
  readonly rollouts: readonly RolloutView[];
  /** Boxes of which no earlier release is known, or that is not published any more. */
  readonly left: readonly string[];
}

/** A rollout and how far it is. */
export interface RolloutView {
  readonly id: number;
  readonly name: string;
  readonly release: string;
  readonly createdBy: string;
  readonly createdMs: number;
  readonly status:
    | "draft"
    | "awaiting-approval"
    | "running"
    | "paused"
    | "standing"
    | "finished"
    | "aborted";
  /** While running or paused: the present group, from 0. */
  readonly group?: number;
  /** While paused. */
  readonly pausedBy?: "operator" | "errors";
  readonly groups: readonly {
    readonly name: string;
    readonly boxes: number;
    readonly successPercent: number;
    readonly errorPercent: number;
    readonly installed: number;
    readonly failed: number;
    /** The group of boxes that joined while it stood. */
    readonly joined?: boolean;
  }[];
  readonly window?: WindowView;
  /** Whether it stays open after its last group. */
  readonly standing?: boolean;
  readonly silentAfterHours?: number;
  /** Of one rollout, oldest first. An empty operator: the rollout by itself. */
  readonly audit?: readonly {
    readonly atMs: number;
    readonly operator: string;
    readonly what: RolloutAuditWord;
  }[];
}

/** What was done to a rollout, or what it did by itself. */
export type RolloutAuditWord =
  | {
    readonly kind:
      | "made"
      | "submitted"
      | "rejected"
      | "paused"
      | "resumed"
      | "aborted"
      | "finished"
      | "stays-open";
  }
  /** `approved` begins with the group too. */
  | { readonly kind: "approved" | "begins"; readonly group: string }
  | {
    /** By itself, for that many failed. */
    readonly kind: "stopped";
    readonly group: string;
    readonly failed: number;
    readonly boxes: number;
  }
  /** Another takes its place, or it was made to take another back. */
  | { readonly kind: "superseded" | "takes-back"; readonly rollout: number }
  | { readonly kind: "rolled-back"; readonly by: readonly number[] }
  /** Noted by an earlier version of the district. */
  | { readonly kind: "note"; readonly text: string };

/** Where one target of a rollout stands. */
export interface TargetView {
  /** DDI's action id; pages go on after it. */
  readonly actionId: number;
  readonly controllerId: string;
  readonly group: number;
  readonly state:
    | "waiting"
    | "offered"
    | "running"
    | "going-on"
    | "installed"
    | "failed"
    | "cancelled";
  /** Why it failed, in its own words. */
  readonly reason: string;
  readonly changedMs: number;
}
