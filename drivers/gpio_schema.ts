import * as v from "valibot";

/** The chip that a line is on, by name or label: `gpiochip0`, `pinctrl-bcm2711`. */
export const GpioChipSchema = v.pipe(
  v.string("expected a GPIO chip such as gpiochip0"),
  v.minLength(1, "expected a GPIO chip such as gpiochip0"),
  // The kernel holds 32 bytes for a label, its end included.
  v.maxLength(31, "expected a GPIO chip such as gpiochip0, at most 31 characters"),
);

/** Offset of a line on its chip, from 0. */
export const GpioLineSchema = v.pipe(
  v.number("expected the number of a line on the chip, from 0"),
  v.integer("expected the number of a line on the chip, from 0"),
  v.minValue(0, "expected the number of a line on the chip, from 0"),
  v.maxValue(1_023, "expected a line of at most 1023"),
);

/** Whether a low voltage means active. */
export const ActiveLowSchema = v.optional(v.boolean("expected true or false"), false);
