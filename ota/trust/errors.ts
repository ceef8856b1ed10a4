/**
 * Why an update is not trusted, or cannot be looked at.
 *
 * - `unreachable`: the source gave no answer, or an answer that is no file
 * - `too-large`, `too-slow`: the source sends more than is allowed, or hardly anything (endless data, slow retrieval)
 * - `refused`: signatures, versions or hashes are not what the roles allow; somebody tampers, or the publisher erred
 * - `expired`: metadata is older than it may be: a publisher who stopped, a freeze attack, or a clock that runs ahead
 * - `store`: what is kept on this box cannot be read or written
 */
export type TrustErrorKind =
  | "unreachable"
  | "too-large"
  | "too-slow"
  | "refused"
  | "expired"
  | "store";

/** A fault of trust. The message says what to do next where somebody can do something. */
export class TrustError extends Error {
  /** What went wrong. */
  readonly kind: TrustErrorKind;

  /** Makes an error of `kind`. */
  constructor(kind: TrustErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "TrustError";
    this.kind = kind;
  }
}
