/**
 * What can go wrong between a box and its district, with what to do about it.
 *
 * - `unreachable`: no connection; the network, the address or the district's server
 * - `tls-untrusted`: a certificate that this box does not trust: a wrong server, or something in between
 * - `tls-clock`: the certificate is not valid at the time that this box's clock shows
 * - `timeout`: connected, but no answer in time
 * - `unsigned`: an answer without the district's signature: something in between answered
 * - `malformed`: a signed answer that makes no sense; the two ends are of different versions
 * - `refused`: the district said no; see {@link SyncError.refusal}
 * - `revoked`: the district withdrew this box; sync stops until it is enrolled again
 * - `token`: the enrolment token is malformed, unknown, used, or expired
 * - `fingerprint`: the server's CA certificate is not the one that the token names
 * - `identity`: the identity in the data folder is missing or damaged
 * - `internal`: the journal, or a fault of this program; it is tried again
 */
export type SyncErrorKind =
  | "unreachable"
  | "tls-untrusted"
  | "tls-clock"
  | "timeout"
  | "unsigned"
  | "malformed"
  | "refused"
  | "revoked"
  | "token"
  | "fingerprint"
  | "identity"
  | "internal";

/** A fault of sync. The message says what to do next where somebody can do something. */
export class SyncError extends Error {
  /** What went wrong. */
  readonly kind: SyncErrorKind;
  /** How long the district asked to be left alone. */
  readonly retryAfterMs: number;

  /** Makes an error of `kind`. */
  constructor(
    kind: SyncErrorKind,
    message: string,
    options: ErrorOptions & { readonly retryAfterMs?: number } = {},
  ) {
    super(message, options);
    this.name = "SyncError";
    this.kind = kind;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

/** The messages of an error and its causes in one line; Deno hides the reason deep in there. */
function messagesOf(error: unknown): string {
  const messages: string[] = [];
  let e = error;
  // No chain is longer; a cycle would be.
  while (e instanceof Error && messages.length < 8) {
    messages.push(e.message);
    e = e.cause;
  }
  return messages.join(": ");
}

/** The {@link SyncError} for a connection to `url` that failed with `cause`. */
export function connectionError(url: string, cause: unknown): SyncError {
  if (cause instanceof SyncError) return cause;
  const text = messagesOf(cause);
  // rustls' own names for what is wrong with a certificate.
  if (/NotValidYet|Expired|not valid yet|has expired/i.test(text)) {
    return new SyncError(
      "tls-clock",
      `${url}: its certificate is not valid at this box's time; check the box's date and time`,
      { cause },
    );
  }
  if (/certificate|UnknownIssuer|NotValidForName|BadSignature/i.test(text)) {
    return new SyncError(
      "tls-untrusted",
      `${url}: its certificate is not that of this box's district; something between may open TLS, or the district was set up anew (then enrol again): ${text}`,
      { cause },
    );
  }
  return new SyncError(
    "unreachable",
    `${url} cannot be reached; check the network, the address and that the district runs: ${text}`,
    { cause },
  );
}

/** The {@link SyncError} for something that failed on the box itself. */
export function internalError(cause: unknown): SyncError {
  return new SyncError("internal", `on the box itself: ${messagesOf(cause)}`, { cause });
}
