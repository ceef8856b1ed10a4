/**
 * A brightness by a photoresistor (LDR) and a converter.
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

const gammaExpected = "expected gamma, 0.3 to 1.5, from the photoresistor's datasheet";

const PhotoresistorSchema = v.strictObject({
  chip: AnalogChipSchema,
  channel: ChannelSchema,
  /** Supply of the divider, where the converter has a reference of its own (ADS1115). */
  referenceMv: ReferenceMvSchema,
  /** The fixed resistor of the divider. */
  fixedOhms: OhmsSchema,
  /** Where the photoresistor is: between the input and ground, or the supply. */
  side: v.optional(v.picklist(["ground", "supply"], "expected ground or supply"), "ground"),
  /** Its resistance at 10 lx: a GL5528 has 10 to 20 kΩ. */
  r10Ohms: v.optional(OhmsSchema, 15_000),
  /** How steeply it falls: log(R10 / R100). */
  gamma: v.optional(
    v.pipe(v.number(gammaExpected), v.minValue(0.3, gammaExpected), v.maxValue(1.5, gammaExpected)),
    0.7,
  ),
});

/** Options of {@link photoresistor}, parsed. */
export interface PhotoresistorOptions {
  readonly chip: string;
  readonly channel: number;
  readonly referenceMv?: number | undefined;
  readonly fixedOhms: number;
  readonly side: "ground" | "supply";
  readonly r10Ohms: number;
  readonly gamma: number;
}

/** Full sun; what is beyond it is a short. */
const LUX_MAX = 120_000;
const AVERAGE_MS = 1_000;

/** Lux, a value a second; good to a factor of two without a calibration. */
export const photoresistor: SensorDriver<PhotoresistorOptions> = defineDriver({
  id: "photoresistor",
  kind: "sensor",
  bus: "analog",
  reference: "GL55 series photoresistor datasheet (gamma between 10 and 100 lx)",
  optionsSchema: PhotoresistorSchema,
  parseOptions: (raw: unknown): PhotoresistorOptions => v.parse(PhotoresistorSchema, raw),
  open: (host: DeviceHost, options: PhotoresistorOptions, signal) => {
    const { chip, channel, referenceMv, fixedOhms, side, r10Ohms, gamma } = options;
    const valueOf = (ratio: number) => {
      const ohms = dividedOhms(ratio, fixedOhms, side);
      if (ohms === undefined) {
        // In the dark it is as good as a broken wire; full sun is a short.
        return (ratio > 0.5) === (side === "ground") ? 0 : undefined;
      }
      const lux = 10 * (r10Ohms / ohms) ** (1 / gamma);
      return lux > LUX_MAX ? undefined : Number(lux.toPrecision(3));
    };
    const settings = { chip, channel, referenceMv, unit: "lx", averageMs: AVERAGE_MS, valueOf };
    return AnalogSensor.open(host, settings, signal);
  },
});
