import * as v from "valibot";

const whole = (min: number, max: number, what: string) => {
  const expected = `expected ${what}, ${min} to ${max}`;
  return v.pipe(
    v.number(expected),
    v.integer(expected),
    v.minValue(min, expected),
    v.maxValue(max, expected),
  );
};

/** Firmata numbers pins up to this (protocol 2.5.1, set pin mode). */
export const PIN_MAX = 127;
/** Lines that are no pins: each stands for what the board's infrared sender sends. */
const INFRARED_LINE_MIN = 128;
const INFRARED_LINE_MAX = 255;
/** A room's remote controls; each takes a line. */
const INFRARED_MAX = 32;

/** Remote control codes that the sketch can send. The position is the number in its message. */
export const INFRARED_PROTOCOLS = ["nec", "samsung", "sony", "rc5"] as const;

const CodeSchema = v.strictObject({
  protocol: v.picklist(INFRARED_PROTOCOLS, `expected ${INFRARED_PROTOCOLS.join(", ")}`),
  /** Address of the device, as a receiver prints it. */
  address: whole(0, 0xffff, "the device's address"),
  /** Which key. */
  command: whole(0, 0xffff, "the key's code"),
  /** How often the code is repeated after the first time. */
  repeats: v.optional(whole(0, 20, "how often it is repeated"), 0),
});

const InfraredSchema = v.strictObject({
  /** Number by which an output asks for it. */
  line: whole(INFRARED_LINE_MIN, INFRARED_LINE_MAX, "a line that is no pin"),
  /** Sent when the output becomes active. */
  on: CodeSchema,
  /** Sent when it becomes inactive; without it nothing is. */
  off: v.optional(CodeSchema),
});

/** Shape of the options of one board. */
export const FirmataOptionsSchema = v.strictObject({
  /** How often analog inputs are sampled (protocol: sampling interval). */
  samplingMs: v.optional(whole(10, 16_000, "the sampling interval in ms"), 100),
  /** What the infrared sender sends; needs the sketch of docs/installer/arduino. */
  infrared: v.optional(
    v.pipe(v.array(InfraredSchema), v.maxLength(INFRARED_MAX, `at most ${INFRARED_MAX} lines`)),
    [],
  ),
});

/** One code of a remote control. */
export interface InfraredCode {
  readonly protocol: typeof INFRARED_PROTOCOLS[number];
  readonly address: number;
  readonly command: number;
  readonly repeats: number;
}

/** Options of one board, parsed. */
export interface FirmataOptions {
  readonly samplingMs: number;
  readonly infrared: readonly {
    readonly line: number;
    readonly on: InfraredCode;
    readonly off?: InfraredCode | undefined;
  }[];
}

/** Parses the options of one board. @throws a `ValiError` naming the field. */
export function parseFirmataOptions(raw: unknown): FirmataOptions {
  return v.parse(FirmataOptionsSchema, raw);
}
