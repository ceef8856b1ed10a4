import * as v from "valibot";
import type { RepositorySource } from "../trust/mod.ts";
import { ASSIGNMENT_BYTES_MAX } from "../trust/mod.ts";
import { type Deployment, DeploymentSchema, PollSchema } from "./schemas.ts";

/** The district's HTTP, with the box's signature under each request. */
export interface DistrictCalls {
  /** A call whose answer is at most `bytesMax`. @throws when there is none in time. */
  call(
    request: {
      readonly method: "GET" | "POST" | "PUT";
      readonly path: string;
      /** JSON. */
      readonly body?: string;
      readonly bytesMax: number;
    },
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly body: Uint8Array }>;
  /** A file from byte `fromByte` on, as {@link RepositorySource} has it. */
  open(
    path: string,
    signal: AbortSignal,
    fromByte: number,
    bytes?: number,
  ): ReturnType<RepositorySource["get"]>;
}

/** What a poll says. */
export interface Poll {
  /** The district's wish when to ask again. */
  readonly sleepMs: number;
  /** Actions to install, or to give up. */
  readonly install: number | undefined;
  readonly cancel: number | undefined;
  /** It wants to know what this box is. */
  readonly wantsAttributes: boolean;
}

/** How an action goes on; of DDI's words those that a box uses. */
export type Execution =
  | "download"
  | "downloaded"
  | "scheduled"
  | "proceeding"
  | "rejected"
  | "closed";

/** The district did not answer as it should. */
export class DdiError extends Error {
  /** HTTP's status; 0 when the answer made no sense. */
  readonly status: number;

  /** Makes one. */
  constructor(message: string, status: number, options?: ErrorOptions) {
    super(message, options);
    this.name = "DdiError";
    this.status = status;
  }
}

const ANSWER_BYTES_MAX = 64 << 10;
/** Below the fastest poll that makes sense, and above what a box may be silent. */
const SLEEP_MS = { min: 1_000, max: 86_400_000 } as const;
/** What a person reads of it. */
const DETAIL_CHARS_MAX = 900;

/** One box's calls. Errors are {@link DdiError} or what {@link DistrictCalls} throws. */
export class DdiClient {
  readonly #calls: DistrictCalls;
  readonly #base: string;

  /** Asks as box `boxId`. */
  constructor(calls: DistrictCalls, boxId: string) {
    this.#calls = calls;
    this.#base = `/DEFAULT/controller/v1/${boxId}`;
  }

  /** Where metadata and files come from. */
  source(): RepositorySource {
    return {
      get: (path, signal, fromByte = 0, bytes?: number) =>
        this.#calls.open(`${this.#base}/tuf/${encodePath(path)}`, signal, fromByte, bytes),
    };
  }

  /** Asks what there is to do. */
  async poll(signal: AbortSignal): Promise<Poll> {
    const { config, _links: links } = await this.#json("", PollSchema, signal);
    const [hours, minutes, seconds] = config.polling.sleep.split(":").map(Number) as [
      number,
      number,
      number,
    ];
    const sleepMs = ((hours * 60 + minutes) * 60 + seconds) * 1_000;
    return {
      sleepMs: Math.min(Math.max(sleepMs, SLEEP_MS.min), SLEEP_MS.max),
      install: actionOf(links.deploymentBase),
      cancel: actionOf(links.cancelAction),
      wantsAttributes: links.configData !== undefined,
    };
  }

  /** What `action` is to install. */
  async deployment(action: number, signal: AbortSignal): Promise<Deployment> {
    const { deployment } = await this.#json(`/deploymentBase/${action}`, DeploymentSchema, signal);
    const { name, version } = deployment.chunks[0]!;
    const [kind = ""] = name.split("/");
    return {
      kind,
      version,
      path: name,
      windowOpen: deployment.maintenanceWindow !== "unavailable",
    };
  }

  /** The district's signed word that this box is to install it. */
  async assignment(action: number, signal: AbortSignal): Promise<Uint8Array> {
    const path = `${this.#base}/deploymentBase/${action}/assignment`;
    const bytesMax = ASSIGNMENT_BYTES_MAX;
    return (await this.#ok({ method: "GET", path, bytesMax }, signal)).body;
  }

  /** Tells how `action` goes; `detail` is for a person. */
  async feedback(
    action: string,
    { of, execution, finished = "none", detail }: {
      readonly of: "deploymentBase" | "cancelAction";
      readonly execution: Execution;
      readonly finished?: "success" | "failure" | "none";
      readonly detail: string;
    },
    signal: AbortSignal,
  ): Promise<void> {
    const details = detail === "" ? [] : [detail.slice(0, DETAIL_CHARS_MAX)];
    await this.#ok({
      method: "POST",
      path: `${this.#base}/${of}/${action}/feedback`,
      body: JSON.stringify({ status: { execution, result: { finished }, details } }),
      bytesMax: ANSWER_BYTES_MAX,
    }, signal);
  }

  /** Tells what this box is. */
  async attributes(data: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void> {
    await this.#ok({
      method: "PUT",
      path: `${this.#base}/configData`,
      body: JSON.stringify({ mode: "replace", data }),
      bytesMax: ANSWER_BYTES_MAX,
    }, signal);
  }

  async #json<S extends v.GenericSchema>(path: string, schema: S, signal: AbortSignal) {
    const whole = this.#base + path;
    const bytesMax = ANSWER_BYTES_MAX;
    const { body } = await this.#ok({ method: "GET", path: whole, bytesMax }, signal);
    try {
      const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
      return v.parse(schema, JSON.parse(text)) as v.InferOutput<S>;
    } catch (cause) {
      const why = (cause as Error).message.slice(0, 200);
      throw new DdiError(`${whole}: the district's answer makes no sense: ${why}`, 0, { cause });
    }
  }

  async #ok(request: Parameters<DistrictCalls["call"]>[0], signal: AbortSignal) {
    const answer = await this.#calls.call(request, signal);
    if (answer.status >= 200 && answer.status < 300) return answer;
    const said = new TextDecoder().decode(answer.body).slice(0, 300);
    throw new DdiError(
      `${request.path}: the district answers ${answer.status} ${said}`,
      answer.status,
    );
  }
}

function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

/** An action's number is the last segment of its link; a link elsewhere is not followed. */
function actionOf(link: { readonly href: string } | undefined): number | undefined {
  const number = /\/(\d{1,15})(?:\?[^/]*)?$/.exec(link?.href ?? "")?.[1];
  return number === undefined ? undefined : Number(number);
}
