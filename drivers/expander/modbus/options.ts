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

/** A board has at most so many relays or inputs here; sold are 1 to 32. */
const LINES_MAX = 64;
/** Registers that one request reads at most (Application Protocol V1.1b3 §6.3). */
const CHANNELS_MAX = 125;

const register = (what: string) => whole(0, 0xffff, what);

const OutputsSchema = v.strictObject({
  /** Relays on the board. */
  count: whole(1, LINES_MAX, "the number of relays"),
  /**
   * How they are switched. `coil` is function 5. `waveshare` adds the maker's command that switches
   * for a time (coil 0x0200 + n, tenths of a second). `eletechsup` are boards with function 6 only:
   * register n, from 1, takes 0x0100 on, 0x0200 off, 0x06xx on for xx seconds.
   */
  commands: v.optional(
    v.picklist(
      ["coil", "waveshare", "eletechsup"],
      "expected coil, waveshare or eletechsup; the board's manual says whether it takes function 5",
    ),
    "coil",
  ),
  /** Address of the first relay; 0, and 1 for `eletechsup`. */
  at: v.optional(register("the address of the first relay")),
});

const InputsSchema = v.strictObject({
  /** Inputs on the board. */
  count: whole(1, LINES_MAX, "the number of inputs"),
  /** `discrete` is function 2; some boards have their inputs among the coils, function 1. */
  read: v.optional(v.picklist(["discrete", "coil"], "expected discrete or coil"), "discrete"),
  /** Address of the first input. */
  at: v.optional(register("the address of the first input"), 0),
});

const AnalogSchema = v.strictObject({
  /** Analog inputs on the board. */
  count: whole(1, CHANNELS_MAX, "the number of analog inputs"),
  /** `input` is function 4, `holding` function 3. */
  read: v.optional(v.picklist(["input", "holding"], "expected input or holding"), "input"),
  /** Address of the first register. */
  at: v.optional(register("the address of the first analog input"), 0),
  /** What the register says at the board's reference voltage: 4095 of a 12-bit converter, 10000 of one that counts millivolts to 10 V. */
  full: whole(1, 0xffff, "what the register says at full scale"),
});

/** Shape of the options of one board. */
export const ModbusOptionsSchema = v.pipe(
  v.strictObject({
    /** Unit address on the line. */
    address: whole(1, 247, "the board's address"),
    outputs: v.optional(OutputsSchema),
    inputs: v.optional(InputsSchema),
    analog: v.optional(AnalogSchema),
    /** How often inputs are read. More boards on a line than fit are read as often as they fit. */
    pollMs: v.optional(whole(10, 60_000, "the time between two reads in ms"), 50),
    /** Longest that the board takes to answer. */
    replyMs: v.optional(whole(10, 2_000, "the longest time to an answer in ms"), 150),
  }),
  v.check(
    ({ outputs, inputs, analog }) =>
      outputs !== undefined || inputs !== undefined || analog !== undefined,
    "expected outputs, inputs or analog: what the board has",
  ),
);

/** Options of one board, parsed. */
export interface ModbusOptions {
  readonly address: number;
  readonly outputs?: {
    readonly count: number;
    readonly commands: "coil" | "waveshare" | "eletechsup";
    readonly at?: number | undefined;
  } | undefined;
  readonly inputs?: {
    readonly count: number;
    readonly read: "discrete" | "coil";
    readonly at: number;
  } | undefined;
  readonly analog?: {
    readonly count: number;
    readonly read: "input" | "holding";
    readonly at: number;
    /** The register's value at the reference voltage. */
    readonly full: number;
  } | undefined;
  readonly pollMs: number;
  readonly replyMs: number;
}

/** Parses the options of one board. @throws a `ValiError` naming the field. */
export function parseModbusOptions(raw: unknown): ModbusOptions {
  return v.parse(ModbusOptionsSchema, raw);
}
