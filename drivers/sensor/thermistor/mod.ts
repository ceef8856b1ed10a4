/**
 * A temperature by an NTC thermistor and a converter.
 *
 * @module
 */
import * as v from "valibot";
import { AnalogSensor, dividedOhms } from "../../analog_sensor.ts";
import {
  AnalogChipSchema,
  ChannelSchema,
  OhmsSchema,
  ReferenceMvSchema,
} from "../../analog_schema.ts";
import { defineDriver, type DeviceHost, type SensorDriver } from "../../contract.ts";

const betaExpected = "expected B in kelvin, 1000 to 8000, from the thermistor's datasheet";
const coefficient = v.pipe(v.number("expected a coefficient"), v.finite("expected a coefficient"));

const ThermistorSchema = v.strictObject({
  chip: AnalogChipSchema,
  channel: ChannelSchema,
  /** Supply of the divider, where the converter has a reference of its own (ADS1115). */
  referenceMv: ReferenceMvSchema,
  /** The fixed resistor of the divider. */
  fixedOhms: OhmsSchema,
  /** Where the thermistor is: between the input and ground, or the supply. */
  side: v.optional(v.picklist(["ground", "supply"], "expected ground or supply"), "ground"),
  /** Its resistance at 25 °C. */
  r25Ohms: v.optional(OhmsSchema, 10_000),
  /** B-parameter, 25/85. */
  beta: v.optional(
    v.pipe(
      v.number(betaExpected),
      v.minValue(1_000, betaExpected),
      v.maxValue(8_000, betaExpected),
    ),
    3_950,
  ),
  /** Steinhart and Hart's A, B and C (1/K, for ohms) instead of the two above. */
  steinhartHart: v.optional(
    v.strictTuple([coefficient, coefficient, coefficient], "expected A, B and C"),
  ),
});

/** Options of {@link thermistor}, parsed. */
export interface ThermistorOptions {
  readonly chip: string;
  readonly channel: number;
  readonly referenceMv?: number | undefined;
  readonly fixedOhms: number;
  readonly side: "ground" | "supply";
  readonly r25Ohms: number;
  /** In kelvin. */
  readonly beta: number;
  readonly steinhartHart?: readonly [number, number, number] | undefined;
}

const ZERO_CELSIUS_K = 273.15;
const T25_K = ZERO_CELSIUS_K + 25;
/** What such sensors are made for; anything else is a wrong resistor or a broken wire. */
const CELSIUS_MIN = -55;
const CELSIUS_MAX = 150;
/** A room does not change faster. */
const AVERAGE_MS = 1_000;

/** Degrees Celsius, a value a second. */
export const thermistor: SensorDriver<ThermistorOptions> = defineDriver({
  id: "thermistor",
  kind: "sensor",
  bus: "analog",
  reference: "IEC 60539-1:2022 (NTC thermistors, B-value)",
  optionsSchema: ThermistorSchema,
  parseOptions: (raw: unknown): ThermistorOptions => v.parse(ThermistorSchema, raw),
  open: (host: DeviceHost, options: ThermistorOptions, signal) => {
    const { chip, channel, referenceMv } = options;
    const valueOf = (ratio: number) => celsiusOf(options, ratio);
    const settings = { chip, channel, referenceMv, unit: "Cel", averageMs: AVERAGE_MS, valueOf };
    return AnalogSensor.open(host, settings, signal);
  },
});

function celsiusOf(options: ThermistorOptions, ratio: number): number | undefined {
  const ohms = dividedOhms(ratio, options.fixedOhms, options.side);
  if (ohms === undefined) return undefined;
  const { r25Ohms, beta, steinhartHart } = options;
  const log = Math.log(ohms);
  const perKelvin = steinhartHart === undefined
    ? 1 / T25_K + Math.log(ohms / r25Ohms) / beta
    : steinhartHart[0] + steinhartHart[1] * log + steinhartHart[2] * log ** 3;
  const celsius = 1 / perKelvin - ZERO_CELSIUS_K;
  if (!(celsius >= CELSIUS_MIN && celsius <= CELSIUS_MAX)) return undefined;
  return Math.round(celsius * 10) / 10;
}
