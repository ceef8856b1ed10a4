/** What a fault of the district is about. */
export type DistrictErrorKind =
  /** A file of the data folder cannot be read or used. */
  | "data"
  /** The store failed. */
  | "store"
  /** What an operator asked for cannot be done as it stands. */
  | "invalid"
  /** There is no such thing. */
  | "not-found"
  /** Too much at once; try again. */
  | "busy";

/** A fault that a person can act on; its message says how. */
export class DistrictError extends Error {
  /** What it is about. */
  readonly kind: DistrictErrorKind;

  /** Makes an error of `kind`. */
  constructor(kind: DistrictErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DistrictError";
    this.kind = kind;
  }
}
