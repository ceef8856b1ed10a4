/**
 * An input of two contacts that move together, one normally open and one normally closed, each on a GPIO
 * line: an emergency button or a fire panel where there is no converter for end-of-line resistors.
 *
 * @module
 */
import * as v from "valibot";
import type { Cancel, Clock } from "../../../hal/mod.ts";
import {
  defineDriver,
  type DeviceHost,
  type InputDriver,
  type InputFault,
  type InputLine,
} from "../../contract.ts";
import { GpioChipSchema, GpioLineSchema } from "../../gpio_schema.ts";
import { gpioInput } from "../gpio/mod.ts";

const ms = (max: number) => {
  const expected = `expected 0 to ${max} ms`;
  return v.pipe(
    v.number(expected),
    v.integer(expected),
    v.minValue(0, expected),
    v.maxValue(max, expected),
  );
};

const DualContactSchema = v.pipe(
  v.strictObject({
    chip: GpioChipSchema,
    /** Line of the contact that is open at rest. */
    normallyOpen: GpioLineSchema,
    /** Line of the contact that is closed at rest. */
    normallyClosed: GpioLineSchema,
    /** Whether a closed contact pulls its line low, as one to ground does. */
    activeLow: v.optional(v.boolean("expected true or false"), true),
    /** Pull of both lines. */
    bias: v.optional(
      v.picklist(
        ["as-is", "disabled", "pull-up", "pull-down"],
        "expected as-is, disabled, pull-up or pull-down",
      ),
      "pull-up",
    ),
    /** A level of one contact counts when it held this long. */
    debounceMs: v.optional(ms(1_000), 30),
    /** Longest that one contact may lag behind the other. */
    changeOverMs: v.optional(ms(5_000), 300),
    /** What the input says while the two contradict each other. */
    whenFault: v.optional(
      v.picklist(["unknown", "active"], "expected unknown or active"),
      "unknown",
    ),
  }),
  v.check(
    ({ normallyOpen, normallyClosed }) => normallyOpen !== normallyClosed,
    "expected two lines: normallyOpen and normallyClosed are the same",
  ),
);

/** Options of {@link dualContactInput}, parsed. */
export interface DualContactOptions {
  readonly chip: string;
  readonly normallyOpen: number;
  readonly normallyClosed: number;
  readonly activeLow: boolean;
  readonly bias: "as-is" | "disabled" | "pull-up" | "pull-down";
  readonly debounceMs: number;
  readonly changeOverMs: number;
  readonly whenFault: "unknown" | "active";
}

/**
 * Active when the open contact has closed and the closed one opened. Both open (a broken wire) or both
 * closed (a short, or a welded contact) for longer than the change-over is a `contradiction`: that
 * makes the level unknown, unless `whenFault` says otherwise. Until then the last level stands.
 */
export const dualContactInput: InputDriver<DualContactOptions> = defineDriver({
  id: "dual-contact",
  kind: "input",
  bus: "gpio",
  reference: "IEC 60947-5-1:2016 (make and break contacts of one actuator)",
  optionsSchema: DualContactSchema,
  parseOptions: (raw: unknown): DualContactOptions => v.parse(DualContactSchema, raw),
  open: async (host: DeviceHost, options: DualContactOptions, signal) => {
    const { chip, activeLow, bias, debounceMs } = options;
    await using stack = new AsyncDisposableStack();
    const follow = async (line: number) =>
      stack.use(
        await gpioInput.open(host, { chip, line, activeLow, bias, debounceMs }, signal),
      );
    const open = await follow(options.normallyOpen);
    const closed = await follow(options.normallyClosed);
    return new DualContact(host.clock, options, open, closed, stack.move());
  },
});

type State = "resting" | "operated" | "contradiction" | "unknown";

class DualContact implements InputLine, AsyncDisposable {
  readonly #clock: Clock;
  readonly #options: DualContactOptions;
  readonly #open: InputLine;
  readonly #closed: InputLine;
  readonly #lines: AsyncDisposableStack;
  readonly #listeners = new Set<(active: boolean | undefined, atMonotonicMs: number) => void>();
  #state: State = "unknown";
  /** Runs while the two contradict each other, until that counts. */
  #waiting: Cancel | undefined;

  constructor(
    clock: Clock,
    options: DualContactOptions,
    open: InputLine,
    closed: InputLine,
    lines: AsyncDisposableStack,
  ) {
    this.#clock = clock;
    this.#options = options;
    this.#open = open;
    this.#closed = closed;
    this.#lines = lines;
    for (const line of [open, closed]) line.onChange((_active, atMs) => this.#look(atMs));
    this.#look(clock.monotonicMs());
  }

  active(): boolean | undefined {
    switch (this.#state) {
      case "resting":
        return false;
      case "operated":
        return true;
      case "contradiction":
        return this.#options.whenFault === "active" ? true : undefined;
      case "unknown":
        return undefined;
      default:
        return this.#state satisfies never;
    }
  }

  fault(): InputFault | undefined {
    return this.#state === "contradiction" ? "contradiction" : undefined;
  }

  onChange(listener: (active: boolean | undefined, atMonotonicMs: number) => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#waiting?.();
    this.#listeners.clear();
    await this.#lines.disposeAsync();
  }

  #look(atMs: number): void {
    const open = this.#open.active();
    const closed = this.#closed.active();
    if (open === undefined || closed === undefined) return this.#settle("unknown", atMs);
    if (open !== closed) return this.#settle(open ? "operated" : "resting", atMs);
    if (this.#state === "contradiction") return;
    this.#waiting ??= this.#clock.schedule(this.#options.changeOverMs, () => {
      this.#settle("contradiction", this.#clock.monotonicMs());
    });
  }

  #settle(state: State, atMs: number): void {
    this.#waiting?.();
    this.#waiting = undefined;
    if (state === this.#state) return;
    this.#state = state;
    const active = this.active();
    for (const listener of [...this.#listeners]) listener(active, atMs);
  }
}
