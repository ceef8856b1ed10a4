import type {
  BoxView,
  CardholderPage,
  CommandRequest,
  CommandView,
  EnrolmentToken,
  EventView,
  ImportReport,
  LoginRequest,
  PolicySettings,
  PublishedView,
  ReleaseView,
  RollBackView,
  RolloutRequest,
  RolloutView,
  Session,
  TargetView,
} from "../../../district/api/types.ts";
import { ApiFault, faultOfResponse } from "./fault.ts";

/** Most events that one call of {@link Api.events} gives. */
export const EVENTS_PAGE = 100;

/** Which events to list. */
export interface EventQuery {
  readonly box?: string | undefined;
  readonly lane?: EventView["lane"] | undefined;
  /** Only events that arrived before this one. */
  readonly beforeId?: number | undefined;
  readonly limit?: number | undefined;
}

/** What an operator may ask of a rollout. */
export type RolloutAction = "submit" | "approve" | "reject" | "pause" | "resume" | "abort";

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

interface Call {
  readonly query?: Query;
  readonly json?: unknown;
  readonly csv?: string | Blob;
  readonly signal?: AbortSignal | undefined;
}

/** The district's API, one method a call. Each throws {@link ApiFault}. */
export class Api {
  readonly #fetch: typeof fetch;

  /** `fetch` is the browser's. */
  constructor(fetch: typeof globalThis.fetch) {
    this.#fetch = fetch;
  }

  /** Logs in; the session stands in a cookie that no script sees. */
  login(request: LoginRequest): Promise<Session> {
    return this.#json("POST", "session", { json: request });
  }

  /** Who is logged in. */
  session(): Promise<Session> {
    return this.#json("GET", "session");
  }

  /** Logs out. */
  async logout(): Promise<void> {
    await this.#call("DELETE", "session");
  }

  /** Every box. */
  boxes(): Promise<BoxView[]> {
    return this.#json("GET", "boxes");
  }

  /** Makes a one-time token for a new box. */
  enrolmentToken(): Promise<EnrolmentToken> {
    return this.#json("POST", "enrolment-tokens", { json: {} });
  }

  /** Asks a box to do something. */
  command(boxId: string, request: CommandRequest): Promise<CommandView> {
    return this.#json("POST", `boxes/${encodeURIComponent(boxId)}/commands`, { json: request });
  }

  /** How a command went. */
  commandState(id: string): Promise<CommandView> {
    return this.#json("GET", `commands/${encodeURIComponent(id)}`);
  }

  /** Events, newest first. */
  events(query: EventQuery, signal?: AbortSignal): Promise<EventView[]> {
    return this.#json("GET", "events", { query: { limit: EVENTS_PAGE, ...query }, signal });
  }

  /** A page of cardholders whose name, number or card fits `search`. */
  cardholders(
    query: { readonly search: string; readonly offset: number; readonly limit: number },
    signal?: AbortSignal,
  ): Promise<CardholderPage> {
    return this.#json("GET", "cardholders", {
      query: { ...query, search: query.search || undefined },
      signal,
    });
  }

  /** Imports cardholders, or says what an import would do. A refused one is a report with faults. */
  async importCardholders(csv: Blob, dryRun: boolean): Promise<ImportReport> {
    try {
      return await this.#json("POST", "cardholders/import", { query: { dryRun }, csv });
    } catch (error) {
      const report = error instanceof ApiFault && error.status === 422 ? error.body : undefined;
      if (isImportReport(report)) return report;
      throw error;
    }
  }

  /** The policy but for the people. */
  policy(): Promise<PolicySettings> {
    return this.#json("GET", "policy");
  }

  /** Replaces the policy but for the people. */
  putPolicy(settings: PolicySettings): Promise<PolicySettings> {
    return this.#json("PUT", "policy", { json: settings });
  }

  /** What may be rolled out. */
  releases(): Promise<ReleaseView[]> {
    return this.#json("GET", "releases");
  }

  /** What the repository holds, a release or not yet. */
  published(): Promise<PublishedView[]> {
    return this.#json("GET", "releases/published");
  }

  /** Makes a published file a release; the district reads it from end to end. */
  addRelease(path: string): Promise<ReleaseView> {
    return this.#json("POST", "releases", { json: { path } });
  }

  /** Rollouts, newest first. */
  rollouts(signal?: AbortSignal): Promise<RolloutView[]> {
    return this.#json("GET", "rollouts", { signal });
  }

  /** A rollout with its audit. */
  rollout(id: number, signal?: AbortSignal): Promise<RolloutView> {
    return this.#json("GET", `rollouts/${id}`, { signal });
  }

  /** Makes a rollout, as a draft. */
  addRollout(request: RolloutRequest): Promise<RolloutView> {
    return this.#json("POST", "rollouts", { json: request });
  }

  /** Has a rollout go on, or not. */
  actOnRollout(id: number, action: RolloutAction): Promise<RolloutView> {
    return this.#json("POST", `rollouts/${id}/${action}`, { json: {} });
  }

  /** Ends a rollout and brings its boxes back to what they had. */
  rollBack(id: number): Promise<RollBackView> {
    return this.#json("POST", `rollouts/${id}/roll-back`, { json: {} });
  }

  /** Targets of a rollout in one state. */
  rolloutTargets(
    id: number,
    query: { readonly state: TargetView["state"]; readonly limit: number },
    signal?: AbortSignal,
  ): Promise<TargetView[]> {
    return this.#json("GET", `rollouts/${id}/targets`, { query, signal });
  }

  async #json<T>(method: string, path: string, call: Call = {}): Promise<T> {
    const response = await this.#call(method, path, call);
    try {
      // The shapes are checked by the district, which is of the same release and origin as this page.
      return await response.json() as T;
    } catch (cause) {
      throw new ApiFault("server", `${method} /api/${path}: no JSON`, { cause });
    }
  }

  async #call(method: string, path: string, call: Call = {}): Promise<Response> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) query.set(name, String(value));
    }
    const headers = new Headers({ accept: "application/json" });
    // A foreign page cannot set it without asking first, so no form can act in the operator's name.
    if (method !== "GET") headers.set("x-gatehouse-request", "1");
    if (call.json !== undefined) headers.set("content-type", "application/json");
    if (call.csv !== undefined) headers.set("content-type", "text/csv");
    let response: Response;
    try {
      response = await this.#fetch(`/api/${path}${query.size > 0 ? `?${query}` : ""}`, {
        method,
        headers,
        credentials: "same-origin",
        ...(call.json === undefined ? {} : { body: JSON.stringify(call.json) }),
        ...(call.csv === undefined ? {} : { body: call.csv }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      });
    } catch (cause) {
      if (call.signal?.aborted) throw cause;
      throw new ApiFault("unreachable", String(cause), { cause });
    }
    if (!response.ok) throw await faultOfResponse(response);
    return response;
  }
}

function isImportReport(value: unknown): value is ImportReport {
  return typeof value === "object" && value !== null && "faults" in value &&
    Array.isArray(value.faults);
}
