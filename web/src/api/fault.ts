/** Why a call to the district failed, as far as the console must tell cases apart. */
export type FaultKind =
  /** No answer: the network, or the district is down. */
  | "unreachable"
  /** 401: not logged in, or not any more. */
  | "unauthenticated"
  /** 429: too many attempts; see {@link ApiFault.retryAfterSeconds}. */
  | "rate-limited"
  /** 422: what was sent is wrong, and the message says what. */
  | "invalid"
  /** The district says something else is wrong. */
  | "refused"
  /** 500 and above, or no JSON where JSON was due. */
  | "server";

/** A call to the district that failed. */
export class ApiFault extends Error {
  readonly kind: FaultKind;
  /** HTTP status; 0 without an answer. */
  readonly status: number;
  /** `error.code` of the answer, where it had one. */
  readonly code: string | undefined;
  /** How long to wait, from `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;
  /** The answer's body, parsed, where it was JSON: an import's faults are in it. */
  readonly body: unknown;

  /** `message` is the district's own sentence where it gave one. */
  constructor(
    kind: FaultKind,
    message: string,
    details: {
      readonly status?: number;
      readonly code?: string | undefined;
      readonly retryAfterSeconds?: number | undefined;
      readonly body?: unknown;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, { cause: details.cause });
    this.name = "ApiFault";
    this.kind = kind;
    this.status = details.status ?? 0;
    this.code = details.code;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.body = details.body;
  }
}

/** The fault in whatever was thrown. */
export function faultOf(error: unknown): ApiFault {
  return error instanceof ApiFault
    ? error
    : new ApiFault("server", String(error), { cause: error });
}

/** Makes the fault of an answer of 400 and above. */
export async function faultOfResponse(response: Response): Promise<ApiFault> {
  const body: unknown = await response.json().catch(() => undefined);
  const error = isRecord(body) && isRecord(body.error) ? body.error : undefined;
  const code = typeof error?.code === "string" ? error.code : undefined;
  const message = typeof error?.message === "string" ? error.message : response.statusText;
  const retryAfter = Number(response.headers.get("retry-after") ?? NaN);
  return new ApiFault(kindOf(response.status), message, {
    status: response.status,
    code,
    body,
    retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : undefined,
  });
}

function kindOf(status: number): FaultKind {
  if (status === 401) return "unauthenticated";
  if (status === 429) return "rate-limited";
  if (status === 422 || status === 400 || status === 413) return "invalid";
  return status >= 500 ? "server" : "refused";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
