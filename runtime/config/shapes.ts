import * as v from "valibot";

/** Ids appear in events, policy and the console; they are short and safe in a URL. */
export const id: v.GenericSchema<string> = v.pipe(
  v.string("expected an id"),
  v.regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "expected an id: a-z 0-9 . _ -, at most 64 characters"),
);

/** A time in whole ms, from `min` to `max`. */
export const durationMs = (min: number, max: number): v.GenericSchema<number> =>
  v.pipe(
    v.number(`expected a time in ms`),
    v.integer("expected whole ms"),
    v.minValue(min, `expected ${min} to ${max} ms`),
    v.maxValue(max, `expected ${min} to ${max} ms`),
  );
