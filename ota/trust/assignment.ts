/** An assignment names three payloads at most; more is an attack. */
export const ASSIGNMENT_BYTES_MAX = 64 << 10;

/** A file that a box may install. */
export interface TrustedTarget {
  /** Such as `app/0.2.0/gatehouse-arm64.tar.zst`. */
  readonly path: string;
  readonly lengthBytes: number;
  /** Lower-case hex of the SHA-256. */
  readonly sha256: string;
  /** What the publisher says of it, signed, but of no shape yet. */
  readonly custom: Readonly<Record<string, unknown>>;
}

/** What one box is to install, as its district has signed it. */
export interface Assignment {
  /** Grows with each assignment of a box. */
  readonly version: number;
  /** End of its validity, ISO 8601. */
  readonly expires: string;
  readonly targets: readonly TrustedTarget[];
}
