/**
 * What a reader shows and sounds for each feedback. Answers to a card are temporary patterns, so
 * that the reader returns to its resting state by itself even if the box dies meanwhile.
 *
 * @module
 */
import type { ReaderFeedback } from "../../contract.ts";
import { COLOUR, type Command, type LedPattern } from "./commands.ts";

/** A buzzer command. */
export type Buzzer = Extract<Command, { kind: "buzzer" }>;

/** LED and buzzer for one feedback. */
export interface FeedbackPattern {
  /** It stays until the next one, and is shown again after the reader was away. */
  readonly resting: boolean;
  readonly led: Extract<Command, { kind: "led" }>;
  readonly buzzer: Buzzer | undefined;
}

const steady = (colour: number): LedPattern => ({
  on100Ms: 1,
  off100Ms: 0,
  onColour: colour,
  offColour: colour,
});

const blinking = (
  on100Ms: number,
  onColour: number,
  offColour: number = COLOUR.off,
): LedPattern => ({
  on100Ms,
  off100Ms: on100Ms,
  onColour,
  offColour,
});

const answer = (
  pattern: LedPattern,
  timer100Ms: number,
  beeps: Buzzer,
): FeedbackPattern => ({
  resting: false,
  led: { kind: "led", leds: [{ reader: 0, led: 0, temporary: { ...pattern, timer100Ms } }] },
  buzzer: beeps,
});

const rest = (pattern: LedPattern, buzzer?: Buzzer): FeedbackPattern => ({
  resting: true,
  led: { kind: "led", leds: [{ reader: 0, led: 0, permanent: pattern }] },
  buzzer,
});

const beeps = (count: number, on100Ms: number, off100Ms: number): Buzzer => ({
  kind: "buzzer",
  reader: 0,
  tone: 2,
  on100Ms,
  off100Ms,
  count,
});

/** The patterns. Red rests, as doors do everywhere; a lockdown blinks so that it is seen to differ. */
export const FEEDBACK: Readonly<Record<ReaderFeedback, FeedbackPattern>> = {
  granted: answer(steady(COLOUR.green), 20, beeps(1, 2, 1)),
  denied: answer(blinking(2, COLOUR.red), 15, beeps(3, 1, 1)),
  idle: rest(steady(COLOUR.red)),
  locked: rest(blinking(10, COLOUR.red)),
  free: rest(steady(COLOUR.green)),
  alarm: rest(blinking(2, COLOUR.red, COLOUR.amber), beeps(10, 3, 3)),
};
