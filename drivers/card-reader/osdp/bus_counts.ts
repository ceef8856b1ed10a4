/** What a line has seen, for metrics and diagnosis. */
export interface OsdpBusCounts {
  readonly sent: number;
  readonly answered: number;
  readonly missed: number;
  /** Frames that answered nothing: late, doubled, or from a wrong address. */
  readonly stray: number;
  readonly badChecks: number;
  readonly garbageBytes: number;
  readonly reopened: number;
}
