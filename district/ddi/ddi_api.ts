import { basename } from "node:path";
import * as v from "valibot";
import type { Clock } from "../../hal/mod.ts";
import { BodyError, readBody } from "../body.ts";
import { DistrictError } from "../errors.ts";
import { faultFields, type Log } from "../log.ts";
import type { UpdateRepository } from "../rollouts/repository.ts";
import type {
  BoxRow,
  ControllerRow,
  Offer,
  RolloutStore,
  TargetReport,
} from "../store/contract.ts";
import { windowOpen } from "../rollouts/window.ts";
import { artifactResponse } from "./artifact.ts";
import type { Budget } from "./budget.ts";
import type { AssignmentDesk } from "./assignment_desk.ts";
import { Authenticator, BODY } from "./authenticator.ts";
import { Refusal } from "./refusal.ts";
import { ATTRIBUTES_MAX, type Feedback, parseConfigData, parseFeedback } from "./schemas.ts";

/** What the side of update clients needs. */
export interface DdiHost {
  readonly rollouts: RolloutStore;
  readonly repository: UpdateRepository;
  /** An enrolled box. */
  readonly box: (id: string) => Promise<BoxRow | undefined>;
  readonly assignments: AssignmentDesk;
  readonly clock: Clock;
  readonly log: Log;
  /** A client that has nothing to do asks again after this, below an hour. 5 minutes. */
  readonly pollS?: number;
  /** What downloads may take of the line; without it what there is. */
  readonly budget?: Budget;
}

/** A district is one of hawkBit's tenants, by the name that a fresh hawkBit has. */
export const DDI_PREFIX = "/DEFAULT/controller/v1/";
const POLL_S = 300;
/** What handlers know of a call. */
interface Call {
  readonly request: Request;
  readonly controller: ControllerRow;
  /** The body, where it had to be read to know who calls. */
  readonly body?: Uint8Array;
  /** Up to and with the controller's id, for links. */
  readonly base: string;
}

/**
 * The device's side of updates: Eclipse hawkBit's Direct Device Integration API, version 1, with
 * target tokens (https://eclipse.dev/hawkbit/rest-api/ddi/).
 */
export class DdiApi {
  readonly #host: DdiHost;
  readonly #authenticator: Authenticator;

  /** Does nothing by itself. */
  constructor(host: DdiHost) {
    this.#host = host;
    this.#authenticator = new Authenticator(host);
  }

  /** Answers any request below {@link DDI_PREFIX}. */
  async answer(request: Request, address: string): Promise<Response> {
    try {
      return await this.#route(request, address);
    } catch (error) {
      return this.#refused(error, request);
    }
  }

  async #route(request: Request, address: string): Promise<Response> {
    const { pathname, origin } = new URL(request.url);
    const [rawId = "", ...rest] = pathname.slice(DDI_PREFIX.length).split("/");
    const id = decode(rawId);
    const [what, number, third, filename] = rest;
    const isPart = what === "tuf" && number === "targets";
    const caller = await this.#authenticator.caller(id, request, address, isPart);
    const base = `${origin}${DDI_PREFIX}${encodeURIComponent(id)}`;
    const call: Call = { request, ...caller, base };
    if (what === "tuf" && (request.method === "GET" || request.method === "HEAD")) {
      return await this.#published(request, rest.slice(1).map(decode).join("/"));
    }
    switch (`${request.method} ${rest.length} ${what ?? ""} ${third ?? ""}`) {
      case "GET 0  ":
        return await this.#poll(call);
      case "GET 2 deploymentBase ":
        return await this.#deployment(call, actionId(number));
      case "POST 3 deploymentBase feedback":
        return await this.#feedback(call, actionId(number), false);
      case "GET 2 cancelAction ":
        return await this.#cancelAction(call, actionId(number));
      case "POST 3 cancelAction feedback":
        return await this.#feedback(call, actionId(number), true);
      case "GET 3 deploymentBase assignment":
        return await this.#assignment(call, actionId(number));
      case "PUT 1 configData ":
        return await this.#configData(call);
      case "GET 4 actions artifacts":
      case "HEAD 4 actions artifacts":
        return await this.#artifact(call, actionId(number), decode(filename!));
      default:
        throw new Refusal(404, `there is no ${request.method} ${pathname.slice(0, 200)}`);
    }
  }

  async #poll({ controller, base }: Call): Promise<Response> {
    const { rollouts, clock } = this.#host;
    const offer = await rollouts.offer(controller.id, clock.wallMs());
    const links: Record<string, { readonly href: string }> = {};
    if (offer !== undefined) {
      const rel = offer.what === "install" ? "deploymentBase" : "cancelAction";
      links[rel] = { href: `${base}/${rel}/${offer.actionId}` };
    }
    if (Object.keys(controller.attributes).length === 0) {
      links.configData = { href: `${base}/configData` };
    }
    const { pollS = POLL_S } = this.#host;
    const [minutes, seconds] = [Math.trunc(pollS / 60), pollS % 60].map((part) =>
      String(part).padStart(2, "0")
    );
    return answer({ config: { polling: { sleep: `00:${minutes}:${seconds}` } }, _links: links });
  }

  async #deployment({ controller, base }: Call, action: number): Promise<Response> {
    const { release, what, window } = await this.#open(controller, action);
    if (what === "cancel") throw new Refusal(404, `action ${action} is called off`);
    const isOpen = window === undefined || windowOpen(window, this.#host.clock.wallMs());
    const { path, kind, version, bytes, sha256, sha1 } = release;
    const filename = basename(path);
    const href = `${base}/actions/${action}/artifacts/${encodeURIComponent(filename)}`;
    return answer({
      id: String(action),
      deployment: {
        download: "forced",
        // Outside the window it is fetched, and not installed (hawkBit's maintenance window).
        update: isOpen ? "forced" : "skip",
        ...window === undefined ? {} : { maintenanceWindow: isOpen ? "available" : "unavailable" },
        chunks: [{
          part: kind,
          version,
          name: path,
          artifacts: [{
            filename,
            hashes: { sha1, sha256 },
            size: bytes,
            _links: { download: { href } },
          }],
        }],
      },
    });
  }

  /** Gatehouse's own: the signed word that this box is to install this (Uptane's director). */
  async #assignment({ controller }: Call, action: number): Promise<Response> {
    const { release, what } = await this.#open(controller, action);
    if (what === "cancel") throw new Refusal(404, `action ${action} is called off`);
    const bytes = await this.#host.assignments.assign(controller.id, action, release);
    return new Response(bytes, { headers: { "content-type": "application/json", ...NO_STORE } });
  }

  async #cancelAction({ controller }: Call, action: number): Promise<Response> {
    const { what } = await this.#open(controller, action);
    if (what !== "cancel") throw new Refusal(404, `action ${action} is not called off`);
    return answer({ id: String(action), cancelAction: { stopId: String(action) } });
  }

  async #feedback(call: Call, action: number, ofCancel: boolean): Promise<Response> {
    const { rollouts, clock } = this.#host;
    const feedback = parseFeedback(await this.#json(call));
    if (feedback.id !== undefined && feedback.id !== String(action)) {
      throw new Refusal(400, `id: the feedback is of action ${feedback.id.slice(0, 20)}`);
    }
    const report = ofCancel ? cancelReportOf(feedback) : reportOf(feedback);
    const outcome = await rollouts.report(call.controller.id, action, report, clock.wallMs());
    switch (outcome) {
      case "noted":
      case "same":
        return new Response(null, { status: 200, headers: NO_STORE });
      case "closed":
        throw new Refusal(410, `action ${action} ended otherwise before`);
      case "unknown":
        throw new Refusal(404, `this target has no action ${action}`);
      default:
        return outcome satisfies never;
    }
  }

  async #configData(call: Call): Promise<Response> {
    const { mode, data } = parseConfigData(await this.#json(call));
    const { id, attributes: before } = call.controller;
    let attributes: Readonly<Record<string, string>>;
    switch (mode) {
      case "merge":
        attributes = { ...before, ...data };
        break;
      case "replace":
        attributes = data;
        break;
      case "remove":
        attributes = Object.fromEntries(
          Object.entries(before).filter(([key]) => !Object.hasOwn(data, key)),
        );
        break;
      default:
        return mode satisfies never;
    }
    if (Object.keys(attributes).length > ATTRIBUTES_MAX) {
      throw new Refusal(400, `at most ${ATTRIBUTES_MAX} attributes are kept`);
    }
    await this.#host.rollouts.putAttributes(id, attributes);
    return new Response(null, { status: 200, headers: NO_STORE });
  }

  async #artifact(call: Call, action: number, filename: string): Promise<Response> {
    const { release } = await this.#open(call.controller, action);
    if (basename(release.path) !== filename) throw new Refusal(404, "no such artifact");
    const file = await this.#host.repository.open(release);
    const { bytes, sha256 } = release;
    const { budget } = this.#host;
    return await artifactResponse(call.request, file, { bytes, etag: `"${sha256}"` }, budget);
  }

  /** The TUF repository as a static server would serve it. */
  async #published(request: Request, path: string): Promise<Response> {
    const found = await this.#host.repository.openPublished(path);
    if (found === undefined) throw new Refusal(404, "no such file in the repository");
    // Metadata is small, and holds up everything else.
    const budget = path.startsWith("metadata/") ? undefined : this.#host.budget;
    return await artifactResponse(request, found.file, found, budget);
  }

  async #open(controller: ControllerRow, action: number): Promise<Offer> {
    const offer = await this.#host.rollouts.openAction(controller.id, action);
    if (offer === undefined) throw new Refusal(404, `this target has no open action ${action}`);
    return offer;
  }

  async #json({ request, body }: Call): Promise<unknown> {
    if (!/^application\/(hal\+)?json\b/i.test(request.headers.get("content-type") ?? "")) {
      if (!request.bodyUsed) await request.body?.cancel();
      throw new Refusal(415, "send content-type: application/json");
    }
    const bytes = body ?? await readBody(request, BODY, this.#host.clock);
    try {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    } catch {
      throw new Refusal(400, "the body is no JSON");
    }
  }

  #refused(error: unknown, request: Request): Response {
    if (error instanceof Refusal) return fault(error.status, error.message, error.headers);
    if (error instanceof v.ValiError) {
      const path = v.getDotPath(error.issues[0]);
      return fault(400, `${path === null ? "" : `${path}: `}${error.message}`.slice(0, 500));
    }
    if (error instanceof BodyError) {
      return fault(error.kind === "too-large" ? 413 : 408, error.message);
    }
    const { log } = this.#host;
    log.error("an update client's call failed", {
      path: new URL(request.url).pathname.slice(0, 200),
      ...faultFields(error),
    });
    // The repository is being copied, or is damaged: an operator's matter, and the client's to wait.
    if (error instanceof DistrictError) {
      return fault(503, "not at present", { "retry-after": "60" });
    }
    return fault(500, "the district failed; its log says why");
  }
}

const NO_STORE = { "cache-control": "no-store" } as const;

function answer(body: object): Response {
  return Response.json(body, { headers: NO_STORE });
}

/** hawkBit's shape of an error. */
function fault(
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return Response.json({ message }, { status, headers: { ...NO_STORE, ...headers } });
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Refusal(400, "the path is not encoded as it should");
  }
}

function actionId(text: string | undefined): number {
  if (!/^\d{1,15}$/.test(text ?? "")) throw new Refusal(404, "an action has a number");
  return Number(text);
}

function reportOf({ execution, finished, reason }: Feedback): TargetReport {
  switch (execution) {
    case "closed":
      if (finished === "success") return { kind: "installed" };
      if (finished === "failure") return { kind: "failed", reason };
      throw new Refusal(400, "status.result.finished: success or failure when closed");
    case "canceled":
      return { kind: "cancelled" };
    case "rejected":
    case "proceeding":
    case "scheduled":
    case "resumed":
    case "download":
    case "downloaded":
      return { kind: "progress" };
    default:
      return execution satisfies never;
  }
}

function cancelReportOf({ execution, finished }: Feedback): TargetReport {
  switch (execution) {
    case "closed":
      return finished === "failure" ? { kind: "cancel-refused" } : { kind: "cancelled" };
    case "canceled":
      return { kind: "cancelled" };
    case "rejected":
      return { kind: "cancel-refused" };
    case "proceeding":
    case "scheduled":
    case "resumed":
    case "download":
    case "downloaded":
      return { kind: "progress" };
    default:
      return execution satisfies never;
  }
}
