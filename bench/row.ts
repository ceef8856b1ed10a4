/** One measured figure beside the figure of a plainer way to do the same work. */
export interface BenchRow {
  /** The benchmark it belongs to: `tap`, `ota`, …. */
  readonly bench: string;
  /** What was measured, in words that stay the same from run to run. */
  readonly metric: string;
  /** The figure, in {@link BenchRow.unit}. */
  readonly value: number;
  /** Unit of both figures: `ms`, `1/s`, `MB`, `bytes/event`, … */
  readonly unit: string;
  /** What it is held against, measured in the same run; `target` where nothing comparable exists. */
  readonly baseline: string;
  /** The baseline's figure, in {@link BenchRow.unit}. */
  readonly baselineValue: number;
  /** `value / baselineValue`; whether large or small is good follows from the metric. */
  readonly ratio: number;
}
