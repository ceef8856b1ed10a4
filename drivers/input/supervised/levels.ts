/**
 * What the voltage at a supervised input means. The loop and a pull-up divide the supply; in the loop
 * sit a contact and its end-of-line resistors.
 *
 * @module
 */

/** What a loop can be found in. `resting` and `operated` are the contact's. */
export type LoopState = "short" | "resting" | "operated" | "open";

/** The loop. Resistors in ohms. */
export interface LoopCircuit {
  readonly contact: "normally-open" | "normally-closed";
  /** From the supply to the input. */
  readonly pullUpOhms: number;
  /** In the loop, in series with the contact; without it a short cannot be told from a closed contact. */
  readonly seriesOhms?: number | undefined;
  /** Across the contact; without it a broken wire cannot be told from an open contact. */
  readonly parallelOhms?: number | undefined;
  /** How far resistors, wire and supply are off together, as a share: 0.1 is 10 %. */
  readonly tolerance: number;
  /** Supply of the pull-up as a share of the converter's reference. */
  readonly supplyRatio: number;
}

/** One state, and the samples that it is between. */
export interface LoopLevel {
  readonly state: LoopState;
  readonly from: number;
  readonly to: number;
}

/** Between two states there must be room for noise: so much of the converter's range. */
const GAP_MIN = 0.02;

/**
 * The states that the circuit can tell apart, lowest sample first, without gaps between them: a sample
 * belongs to the state whose band, tolerances considered, is nearest.
 *
 * @throws RangeError for resistors by which two states would look alike.
 */
export function loopLevels(circuit: LoopCircuit): readonly LoopLevel[] {
  const { contact, pullUpOhms, seriesOhms, parallelOhms, tolerance, supplyRatio } = circuit;
  const closedOhms = seriesOhms ?? 0;
  const openOhms = parallelOhms === undefined ? Infinity : closedOhms + parallelOhms;
  const sample = (ohms: number, off: number) => {
    const pullUp = pullUpOhms * (1 - off);
    const divided = ohms === Infinity ? 1 : ohms * (1 + off) / (ohms * (1 + off) + pullUp);
    return Math.min(divided * supplyRatio * (ohms === Infinity ? 1 + off : 1), 1);
  };
  const [closed, open] = contact === "normally-open"
    ? ["operated", "resting"] as const
    : ["resting", "operated"] as const;
  const loops: readonly (readonly [LoopState, number])[] = [
    ...(seriesOhms === undefined ? [] : [["short", 0] as const]),
    [closed, closedOhms],
    [open, openOhms],
    ...(parallelOhms === undefined ? [] : [["open", Infinity] as const]),
  ];
  const bands = loops.map(([state, ohms]) => ({
    state,
    low: sample(ohms, -tolerance),
    high: sample(ohms, tolerance),
  }));
  return bands.map(({ state, low, high }, i) => {
    const before = bands[i - 1];
    const after = bands[i + 1];
    if (after !== undefined && after.low - high < GAP_MIN) {
      throw new RangeError(
        `${state} (up to ${high.toFixed(3)} of full scale) and ${after.state} (from ` +
          `${after.low.toFixed(3)}) cannot be told apart by these resistors; take a pull-up and ` +
          `end-of-line resistors of about one size, and a smaller tolerance`,
      );
    }
    return {
      state,
      from: before === undefined ? -Infinity : (before.high + low) / 2,
      to: after === undefined ? Infinity : (high + after.low) / 2,
    };
  });
}

/**
 * The state of a sample. `last` is kept until the sample is beyond its border by `hysteresis`, so that
 * noise at a border does not flap.
 */
export function stateOf(
  levels: readonly LoopLevel[],
  ratio: number,
  last: LoopState | undefined,
  hysteresis: number,
): LoopState {
  const kept = levels.find(({ state }) => state === last);
  if (kept !== undefined && ratio >= kept.from - hysteresis && ratio <= kept.to + hysteresis) {
    return kept.state;
  }
  return levels.find(({ from, to }) => ratio >= from && ratio < to)!.state;
}
