/**
 * What a reader shows and sounds for each feedback. Answers to a card are temporary patterns, so
 * that the reader returns to its resting state by itself even if the box dies meanwhile.
 *
 * @module
 */
import * as v from "valibot";
import type { ReaderFeedback } from "../../contract.ts";
import { COLOUR, type Command, type LedPattern } from "./commands.ts";
import { PRINTABLE_ASCII, TEXT_CHARACTERS_MAX, textCommand } from "./text.ts";

/** A buzzer command. */
export type Buzzer = Extract<Command, { kind: "buzzer" }>;

/** LED, buzzer and text for one feedback. */
export interface FeedbackPattern {
  /** It stays until the next one, and is shown again after the reader was away. */
  readonly resting: boolean;
  readonly led: Extract<Command, { kind: "led" }>;
  readonly buzzer: Buzzer | undefined;
  readonly text: Command | undefined;
}

/** What a reader does for each feedback. */
export type FeedbackPatterns = Readonly<Record<ReaderFeedback, FeedbackPattern>>;

/** Times on the wire are one byte of 100 ms units. */
const UNIT_MS = 100;
const PATTERN_MS_MAX = 25_500;

const time = (least: number) =>
  v.pipe(
    v.number("expected a time in ms"),
    v.integer("expected whole ms"),
    v.minValue(least, `expected ${least} to ${PATTERN_MS_MAX} ms`),
    v.maxValue(PATTERN_MS_MAX, `expected ${least} to ${PATTERN_MS_MAX} ms`),
  );
const COLOURS = Object.keys(COLOUR) as (keyof typeof COLOUR)[];
const colour = v.picklist(COLOURS, `expected one of ${COLOURS.join(", ")}`);

const LedSchema = v.strictObject({
  colour,
  /** Colour of the other half of a blink; default off. */
  other: v.exactOptional(colour),
  /** Without `offMs` it does not blink. */
  onMs: v.exactOptional(time(UNIT_MS)),
  offMs: v.exactOptional(time(0)),
  /** How long an answer to a card stays. */
  forMs: v.exactOptional(time(UNIT_MS)),
});

const BeepsSchema = v.strictObject({
  /** 0 is silent. */
  count: v.pipe(
    v.number("expected a number of beeps"),
    v.integer("expected a whole number"),
    v.minValue(0, "expected 0 to 20"),
    v.maxValue(20, "expected 0 to 20"),
  ),
  onMs: v.exactOptional(time(UNIT_MS)),
  offMs: v.exactOptional(time(0)),
});

const OneSchema = v.strictObject({
  led: v.exactOptional(LedSchema),
  beeps: v.exactOptional(BeepsSchema),
  /** For a reader with a display. */
  text: v.exactOptional(v.pipe(
    v.string("expected a text"),
    v.regex(PRINTABLE_ASCII, "expected printable ASCII: displays have no other letters"),
    v.maxLength(TEXT_CHARACTERS_MAX, `expected at most ${TEXT_CHARACTERS_MAX} characters`),
  )),
});

/** What box.yaml says otherwise than {@link FEEDBACK}. */
export const FeedbackSchema = v.strictObject({
  granted: v.exactOptional(OneSchema),
  denied: v.exactOptional(OneSchema),
  idle: v.exactOptional(OneSchema),
  locked: v.exactOptional(OneSchema),
  free: v.exactOptional(OneSchema),
  alarm: v.exactOptional(OneSchema),
});

/** Patterns by feedback, as far as they differ from the usual ones. */
export type FeedbackOptions = v.InferOutput<typeof FeedbackSchema>;

/** How long a text of an answer stays, where its LED does not say. */
const TEXT_S = 3;

const steady = (code: number): LedPattern => ({
  on100Ms: 1,
  off100Ms: 0,
  onColour: code,
  offColour: code,
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
  text: undefined,
});

const rest = (pattern: LedPattern, buzzer?: Buzzer): FeedbackPattern => ({
  resting: true,
  led: { kind: "led", leds: [{ reader: 0, led: 0, permanent: pattern }] },
  buzzer,
  text: undefined,
});

const beeps = (count: number, on100Ms: number, off100Ms: number): Buzzer => ({
  kind: "buzzer",
  reader: 0,
  tone: 2,
  on100Ms,
  off100Ms,
  count,
});

/** The usual patterns. Red rests, as doors do everywhere; a lockdown blinks so that it is seen to differ. */
export const FEEDBACK: FeedbackPatterns = {
  granted: answer(steady(COLOUR.green), 20, beeps(1, 2, 1)),
  denied: answer(blinking(2, COLOUR.red), 15, beeps(3, 1, 1)),
  idle: rest(steady(COLOUR.red)),
  locked: rest(blinking(10, COLOUR.red)),
  free: rest(steady(COLOUR.green)),
  alarm: rest(blinking(2, COLOUR.red, COLOUR.amber), beeps(10, 3, 3)),
};

/** The usual patterns, changed as box.yaml says. */
export function patternsOf(options: FeedbackOptions): FeedbackPatterns {
  return Object.fromEntries(
    Object.entries(FEEDBACK).map(([name, usual]) => [
      name,
      changed(usual, options[name as ReaderFeedback] ?? {}),
    ]),
  ) as unknown as FeedbackPatterns;
}

function changed(
  usual: FeedbackPattern,
  { led, beeps: sounds, text }: v.InferOutput<typeof OneSchema>,
): FeedbackPattern {
  const usualMs = (usual.led.leds[0]!.temporary?.timer100Ms ?? 0) * UNIT_MS;
  const forMs = led?.forMs ?? usualMs;
  const pattern = led === undefined ? undefined : ledPattern(led);
  return {
    resting: usual.resting,
    led: pattern === undefined
      ? usual.led
      : (usual.resting ? rest(pattern) : answer(pattern, units(forMs), beeps(0, 0, 0))).led,
    buzzer: sounds === undefined
      ? usual.buzzer
      : sounds.count === 0
      ? undefined
      : beeps(sounds.count, units(sounds.onMs ?? 200), units(sounds.offMs ?? 100)),
    text: text === undefined ? undefined : textCommand(
      usual.resting ? { text } : { text, forS: Math.max(TEXT_S, Math.ceil(forMs / 1_000)) },
    ),
  };
}

function ledPattern({ colour: on, other, onMs, offMs = 0 }: v.InferOutput<typeof LedSchema>) {
  if (offMs === 0) return steady(COLOUR[on]);
  return {
    on100Ms: units(onMs ?? offMs),
    off100Ms: units(offMs),
    onColour: COLOUR[on],
    offColour: COLOUR[other ?? "off"],
  };
}

/** Rounded, and never to nothing. */
function units(ms: number): number {
  return ms === 0 ? 0 : Math.max(1, Math.round(ms / UNIT_MS));
}
