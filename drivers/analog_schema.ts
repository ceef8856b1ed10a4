import * as v from "valibot";

const expected = "expected a converter: an expander's id, or iio:device0";

/** The converter of an analog input: an expander's id, or the kernel's `iio:device0`. */
export const AnalogChipSchema = v.pipe(
  v.string(expected),
  v.minLength(1, expected),
  // As long as an id of box.yaml.
  v.maxLength(64, expected),
);

/** A channel of a converter, from 0. */
export const ChannelSchema = v.pipe(
  v.number("expected the number of an analog input, from 0"),
  v.integer("expected the number of an analog input, from 0"),
  v.minValue(0, "expected the number of an analog input, from 0"),
  v.maxValue(255, "expected an analog input of at most 255"),
);

/** A resistor in ohms. */
export const OhmsSchema = v.pipe(
  v.number("expected 1 to 10000000 ohms"),
  v.minValue(1, "expected 1 to 10000000 ohms"),
  v.maxValue(10_000_000, "expected 1 to 10000000 ohms"),
);

const mvExpected = "expected the supply of the divider in mV, 100 to 60000";

/** The voltage that counts as full scale, for a converter of the kernel's with a reference of its own. */
export const ReferenceMvSchema = v.optional(
  v.pipe(
    v.number(mvExpected),
    v.minValue(100, mvExpected),
    v.maxValue(60_000, mvExpected),
  ),
);
