/**
 * What a publisher did wrong, or met.
 *
 * - `key`: a key or passphrase that cannot be used
 * - `signatures`: too few of the keys that a role needs
 * - `metadata`: a file of the repository that is damaged, or that is not what was asked for
 * - `target`: a file that cannot be published
 */
export type RepositoryErrorKind = "key" | "signatures" | "metadata" | "target";

/** A fault of publishing. The message says what to do next. */
export class RepositoryError extends Error {
  /** What went wrong. */
  readonly kind: RepositoryErrorKind;

  /** Makes an error of `kind`. */
  constructor(kind: RepositoryErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RepositoryError";
    this.kind = kind;
  }
}
