/**
 * The doors of `box.yaml`, and what belongs to people's safety: releases, emergency buttons, sirens and
 * beacons.
 *
 * @module
 */
import * as v from "valibot";
import { durationMs, id } from "./shapes.ts";

/** More waiting than this is a crowd that nobody can tell apart any more. */
const queueMax = v.pipe(
  v.number("expected 0 to 10"),
  v.integer("expected 0 to 10"),
  v.minValue(0, "expected 0 to 10"),
  v.maxValue(10, "expected 0 to 10"),
);

const HingedSchema = v.strictObject({
  id,
  /** The output that drives its lock. */
  lock: id,
  kind: v.picklist(["strike", "magnet"]),
  /** How long one grant unlocks. */
  holdMs: v.optional(durationMs(100, 600_000), 5_000),
  /** How long it may stand open before it alarms. */
  heldOpenMs: v.optional(durationMs(1_000, 86_400_000), 30_000),
  /** The input that is active while the door is open. */
  contact: v.optional(id),
  /** The input that is active while somebody asks to get out. */
  requestToExit: v.optional(id),
});

const TurnstileSchema = v.strictObject({
  id,
  kind: v.literal("turnstile"),
  /** The output that lets one in. */
  lock: id,
  /** The output that lets one out; without it `lock` serves both ways. */
  lockOut: v.optional(id),
  /** How long one grant waits for its passage. */
  holdMs: v.optional(durationMs(100, 600_000), 5_000),
  /** How long the output is on for one grant; without it until the passage, or `holdMs`. */
  pulseMs: v.optional(durationMs(50, 60_000)),
  /** The input that becomes active once for each who goes in, and so out; or one for both ways. */
  passageIn: v.optional(id),
  passageOut: v.optional(id),
  passage: v.optional(id),
  /** Grants that may wait behind the one that is let through. */
  queueMax: v.optional(queueMax, 3),
  /** The input by which somebody is let out. */
  requestToExit: v.optional(id),
});

const BarrierSchema = v.strictObject({
  id,
  kind: v.literal("barrier"),
  /** The output that raises the boom: for as long as it is on, or by a pulse where there is `lower`. */
  lock: id,
  /** The output whose pulse lowers it. */
  lower: v.optional(id),
  /** The input that is active while a vehicle is under the boom. It is never lowered meanwhile. */
  loop: id,
  /** The input that is active while the boom is up. */
  contact: v.optional(id),
  /** The input by which a vehicle is let out: a button, or a loop before the boom. */
  requestToExit: v.optional(id),
  /** How long one grant waits for its vehicle. */
  holdMs: v.optional(durationMs(1_000, 600_000), 20_000),
  /** How long the boom may stay up beyond that before it alarms. */
  heldOpenMs: v.optional(durationMs(1_000, 86_400_000), 60_000),
  /** How long an order lasts, where there are two. */
  pulseMs: v.optional(durationMs(50, 10_000), 500),
  /** From the loop being free to lowering. */
  lowerDelayMs: v.optional(durationMs(0, 60_000), 1_000),
  /** How long the boom takes to come down. */
  travelMs: v.optional(durationMs(500, 60_000), 5_000),
  /** Grants that may wait behind the vehicle that is let through. */
  queueMax: v.optional(queueMax, 1),
});

/** A hinged or sliding door. */
export interface HingedConfig {
  readonly id: string;
  readonly lock: string;
  readonly kind: "strike" | "magnet";
  readonly holdMs: number;
  readonly heldOpenMs: number;
  readonly contact?: string | undefined;
  readonly requestToExit?: string | undefined;
}

/** A turnstile or speed gate. */
export interface TurnstileConfig {
  readonly id: string;
  readonly lock: string;
  readonly lockOut?: string | undefined;
  readonly kind: "turnstile";
  readonly holdMs: number;
  readonly pulseMs?: number | undefined;
  readonly passageIn?: string | undefined;
  readonly passageOut?: string | undefined;
  readonly passage?: string | undefined;
  readonly queueMax: number;
  readonly requestToExit?: string | undefined;
}

/** A vehicle barrier. */
export interface BarrierConfig {
  readonly id: string;
  readonly lock: string;
  readonly lower?: string | undefined;
  readonly loop: string;
  readonly kind: "barrier";
  readonly contact?: string | undefined;
  readonly requestToExit?: string | undefined;
  readonly holdMs: number;
  readonly heldOpenMs: number;
  readonly pulseMs: number;
  readonly lowerDelayMs: number;
  readonly travelMs: number;
  readonly queueMax: number;
}

/** One door of any kind. Ids are those of outputs and inputs. */
export type DoorConfig = HingedConfig | TurnstileConfig | BarrierConfig;

/** Fields of a door that name an input, whatever its kind. */
export const DOOR_INPUTS = [
  "contact",
  "requestToExit",
  "loop",
  "passage",
  "passageIn",
  "passageOut",
] as const;

/** Fields of a door that name an output, whatever its kind. */
export const DOOR_OUTPUTS = ["lock", "lockOut", "lower"] as const;

/** The inputs and outputs that `door` names, by the field that names each. */
export function doorPoints(
  door: DoorConfig,
): Readonly<Partial<Record<typeof DOOR_INPUTS[number] | typeof DOOR_OUTPUTS[number], string>>> {
  const fields: { readonly [field: string]: unknown } = { ...door };
  return Object.fromEntries(
    [...DOOR_INPUTS, ...DOOR_OUTPUTS].flatMap((field) =>
      typeof fields[field] === "string" ? [[field, fields[field]]] : []
    ),
  );
}

/** The schema of one door. */
export const DoorSchema: v.GenericSchema<unknown, DoorConfig> = v.variant(
  "kind",
  [HingedSchema, TurnstileSchema, BarrierSchema],
  "expected strike, magnet, turnstile or barrier",
);

/** One input that unlocks every door. */
export interface ReleaseConfig {
  readonly input: string;
  /** `closed`: it releases while the input is not active, as when a wire of a closed loop is cut. */
  readonly normally: "open" | "closed";
}

/** The schema of one release. */
export const ReleaseSchema: v.GenericSchema<unknown, ReleaseConfig> = v.strictObject({
  /** The input that, while active, unlocks every door: a fire panel's dry contact, a break-glass. */
  input: id,
  /** `closed`: it unlocks them while the input is not active. */
  normally: v.optional(v.picklist(["open", "closed"], "expected open or closed"), "open"),
});

/** One emergency button. */
export interface EmergencyConfig {
  readonly input: string;
  readonly reset?: string | undefined;
}

/** The schema of one emergency button. */
export const EmergencySchema: v.GenericSchema<unknown, EmergencyConfig> = v.strictObject({
  /** The input that is active while the button is pressed. */
  input: id,
  /** The input of the key switch that ends the emergency; without it only the district can. */
  reset: v.optional(id),
});

/** What a siren or beacon can follow. */
export const SIGNAL_ALARMS = [
  "forced",
  "held",
  "tailgated",
  "tamper",
  "power",
  "release",
  "emergency",
  "fault",
  "offline",
] as const;

/** One of {@link SIGNAL_ALARMS}. */
export type SignalAlarm = typeof SIGNAL_ALARMS[number];

/** One siren or beacon. */
export interface SignalConfig {
  readonly id: string;
  readonly output: string;
  readonly on: readonly SignalAlarm[];
  readonly forMs?: number | undefined;
  readonly silence?: string | undefined;
}

/** The schema of one siren or beacon. */
export const SignalSchema: v.GenericSchema<unknown, SignalConfig> = v.strictObject({
  id,
  /** The output that sounds or lights it. */
  output: id,
  /** The alarms that it follows. */
  on: v.pipe(
    v.array(v.picklist(SIGNAL_ALARMS, `expected one of ${SIGNAL_ALARMS.join(", ")}`)),
    v.minLength(1, "expected at least one alarm"),
    v.maxLength(SIGNAL_ALARMS.length, "expected each alarm once"),
  ),
  /** The longest that it sounds for one alarm; without it for as long as the alarm stands. */
  forMs: v.optional(durationMs(1_000, 3_600_000)),
  /** The input that silences it until the next alarm. */
  silence: v.optional(id),
});
