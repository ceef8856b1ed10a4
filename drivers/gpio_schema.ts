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

const CoilSchema = v.picklist(["released", "energised"], "expected released or energised");

/** How a coil is left in each of the cases. */
export interface SafeState {
  /** From the request of its line until the box first drives it. */
  readonly onBoot: "released" | "energised";
  /** When the box stops as it should. */
  readonly onExit: "released" | "energised";
  /** When the box dies or stands still; `keep` leaves it as it is. */
  readonly onCrash: "released" | "energised" | "keep";
}

/**
 * {@link SafeState}, or one word for all three. What is not said is `released`; `onCrash`, if not
 * said, is as `onExit`.
 */
export const SafeStateSchema = v.optional(
  v.union([
    CoilSchema,
    v.strictObject({
      onBoot: v.optional(CoilSchema, "released"),
      onExit: v.optional(CoilSchema, "released"),
      onCrash: v.optional(
        v.picklist(["released", "energised", "keep"], "expected released, energised or keep"),
      ),
    }),
  ], "expected released, energised, or { onBoot, onExit, onCrash }"),
  "released",
);

/** {@link SafeStateSchema}'s output with everything said. */
export function safeStateOf(safe: v.InferOutput<typeof SafeStateSchema>): SafeState {
  if (typeof safe === "string") return { onBoot: safe, onExit: safe, onCrash: safe };
  return { ...safe, onCrash: safe.onCrash ?? safe.onExit };
}

/** The level of an output for a coil's state; `keep` stays. */
export function levelOf<S extends "released" | "energised" | "keep">(
  coil: S,
): boolean | Extract<S, "keep"> {
  return coil === "keep" ? coil as Extract<S, "keep"> : coil === "energised";
}
