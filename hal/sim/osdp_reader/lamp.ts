import type { Cancel, Clock } from "../../mod.ts";

/** Colours by their code on the wire. */
const COLOURS = [
  "off",
  "red",
  "green",
  "amber",
  "blue",
  "magenta",
  "cyan",
  "white",
] as const satisfies readonly SimulatedColour[];

/** A colour that a LED can show. */
export type SimulatedColour =
  | "off"
  | "red"
  | "green"
  | "amber"
  | "blue"
  | "magenta"
  | "cyan"
  | "white";

/** What its LED shows now. */
export interface SimulatedLed {
  readonly colour: SimulatedColour;
  /** Colour of the other half of a blink; equal to `colour` when steady. */
  readonly otherColour: SimulatedColour;
  /** It goes back to the permanent pattern by itself. */
  readonly temporary: boolean;
}

interface Pattern {
  readonly colour: number;
  readonly otherColour: number;
}

const DARK: Pattern = { colour: 0, otherColour: 0 };

/** The LED of a simulated reader: a permanent pattern, and a timed one above it (§6, LED). */
export class Lamp {
  /** Called when it is set, and when it goes back by itself. */
  readonly listeners: Set<(led: SimulatedLed, atMonotonicMs: number) => void> = new Set();
  readonly #clock: Clock;
  #permanent = DARK;
  #temporary: { pattern: Pattern; cancel: Cancel } | undefined;

  /** Makes a dark one. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What it shows. */
  shown(): SimulatedLed {
    const { colour, otherColour } = this.#temporary?.pattern ?? this.#permanent;
    return {
      colour: COLOURS[colour] ?? "off",
      otherColour: COLOURS[otherColour] ?? "off",
      temporary: this.#temporary !== undefined,
    };
  }

  /** Carries out one record of LED. */
  obey(record: Uint8Array): void {
    if (record[9] === 1) this.#permanent = { colour: record[12]!, otherColour: record[13]! };
    const timerMs = (record[7]! + 256 * record[8]!) * 100;
    if (record[2] !== 0) this.#endTemporary();
    if (record[2] === 2 && timerMs > 0) {
      const cancel = this.#clock.schedule(timerMs, () => {
        this.#temporary = undefined;
        this.#emit();
      });
      this.#temporary = { pattern: { colour: record[5]!, otherColour: record[6]! }, cancel };
    }
    this.#emit();
  }

  /** Power is lost: it is dark. */
  release(): void {
    this.#endTemporary();
    this.#permanent = DARK;
    this.#emit();
  }

  /** Ends what runs by itself. */
  stop(): void {
    this.#temporary?.cancel();
  }

  #endTemporary(): void {
    this.#temporary?.cancel();
    this.#temporary = undefined;
  }

  #emit(): void {
    const atMs = this.#clock.monotonicMs();
    for (const listener of this.listeners) listener(this.shown(), atMs);
  }
}
