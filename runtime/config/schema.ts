/**
 * The shape of `box.yaml`: which hardware a box has and what it is wired to. Published as JSON
 * Schema in `docs/reference/box.schema.json`.
 *
 * Readers, outputs and inputs carry their driver's own options beside the fields named here; those
 * are parsed by the driver.
 *
 * @module
 */
import * as v from "valibot";
import {
  type DoorConfig,
  DoorSchema,
  type EmergencyConfig,
  EmergencySchema,
  type ReleaseConfig,
  ReleaseSchema,
  type SignalConfig,
  SignalSchema,
} from "./door_schema.ts";
import { durationMs, id } from "./shapes.ts";
import type { Rs485Settings } from "../../hal/mod.ts";

/** Bounds: one box controls one gate house or one corridor, not a campus. */
const PARTS_MAX = 64;

const timeZone = v.pipe(
  v.string("expected an IANA time zone such as Asia/Shanghai"),
  v.check((zone) => {
    try {
      Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(zone);
      return true;
    } catch {
      return false;
    }
  }, "expected an IANA time zone such as Asia/Shanghai"),
);

const BoxSchema = v.strictObject({
  /** Shown in the console and used in policy as `name/door`. */
  name: id,
  timezone: timeZone,
});

const ApiSchema = v.strictObject({
  /** Where `/healthz` and `/metrics` are served; loopback unless a monitoring host must reach it. */
  listen: v.optional(
    v.pipe(
      v.string("expected HOST:PORT"),
      v.regex(/^[^\s:]+:\d{1,5}$|^\[[0-9a-f:]+\]:\d{1,5}$/, "expected HOST:PORT"),
    ),
    "127.0.0.1:9180",
  ),
});

const GuardSchema = v.strictObject({
  /** The box counts as dead, and outputs go to `safe.onCrash`, when its doors stand still this long. */
  heartbeatMs: v.optional(durationMs(200, 60_000), 2_000),
});

const WatchdogSchema = v.strictObject({
  /** Petted while the doors are alive. */
  path: v.pipe(
    v.string("expected the path of a watchdog"),
    v.regex(/^\/dev\/watchdog\d{0,4}$/, "expected a watchdog such as /dev/watchdog0"),
  ),
  /** The machine is reset when the doors stand still, or the box stays away, this long. */
  timeoutMs: v.optional(durationMs(5_000, 3_600_000), 15_000),
});

/** Direction control of a half-duplex port whose driver switches it. */
const Rs485Schema = v.strictObject({
  /** Level of RTS while sending. */
  rtsOnSend: v.optional(v.boolean("expected true or false"), true),
  delayBeforeSendMs: v.optional(durationMs(0, 100), 0),
  delayAfterSendMs: v.optional(durationMs(0, 100), 0),
});

const BusSchema = v.variant("kind", [
  v.strictObject({
    id,
    kind: v.literal("serial"),
    /** `/dev/serial/by-id/…` names the same adapter after a restart or another socket. */
    path: v.pipe(
      v.string("expected the path of a serial port"),
      v.startsWith("/", "expected an absolute path such as /dev/serial/by-id/…"),
      v.maxLength(255),
    ),
    /** Without these the line is set as its devices come from the factory. */
    baudRate: v.optional(
      v.pipe(
        v.number("expected a baud rate"),
        v.integer("expected a whole baud rate"),
        v.minValue(300, "expected 300 to 4000000 baud"),
        v.maxValue(4_000_000, "expected 300 to 4000000 baud"),
      ),
    ),
    parity: v.optional(v.picklist(["none", "even", "odd"], "expected none, even or odd")),
    stopBits: v.optional(v.picklist([1, 2], "expected 1 or 2")),
    /** Only for a port that needs it: most USB adapters switch the direction by themselves. */
    rs485: v.optional(Rs485Schema),
  }),
  v.strictObject({
    id,
    /** A line without hardware, with simulated readers on it. */
    kind: v.literal("simulated"),
  }),
], "expected a bus of kind serial or simulated");

const ReaderSchema = v.looseObject({
  id,
  driver: v.string("expected a driver's id, such as osdp"),
  /** Of a reader on a serial line; one on GPIO lines has none. */
  bus: v.optional(id),
  /** The door that its cards are for; a reader of patrol tags has none. */
  door: v.optional(id),
  /** Which way its cards let people go; a door with one lock does not care. */
  direction: v.optional(v.picklist(["in", "out"], "expected in or out"), "in"),
  /** Whether what it reads are patrol tags, and so open nothing. */
  patrol: v.optional(v.boolean("expected true or false"), false),
});

const ExpanderSchema = v.looseObject({
  /** The `chip` of its lines. */
  id,
  driver: v.string("expected a driver's id, such as modbus"),
  /** The serial line that it is on. */
  bus: id,
});

const SensorSchema = v.looseObject({
  id,
  driver: v.string("expected a driver's id, such as thermistor"),
  /** A value is recorded when it differs by so much from the one recorded last, in its unit. */
  deltaMin: v.optional(
    v.pipe(
      v.number("expected 0.01 to 100000"),
      v.minValue(0.01, "expected 0.01 to 100000"),
      v.maxValue(100_000, "expected 0.01 to 100000"),
    ),
    1,
  ),
  /** It is recorded at most so often. */
  everyMs: v.optional(durationMs(1_000, 86_400_000), 60_000),
});

const BatonSchema = v.looseObject({
  id,
  driver: v.string("expected a driver's id"),
  /** The serial line of its cradle. */
  bus: id,
});

const OutputSchema = v.looseObject({
  id,
  /** `gpio`, `simulated`, or the driver of `reader`. */
  driver: v.string("expected a driver's id, such as gpio"),
});

const InputSchema = v.looseObject({
  id,
  /** `gpio`, `simulated`, or the driver of `reader`. */
  driver: v.string("expected a driver's id, such as gpio"),
});

const parts = <T extends v.GenericSchema>(item: T) =>
  v.optional(v.pipe(v.array(item, "expected a list"), v.maxLength(PARTS_MAX)), []);

/** One serial line, or one that is simulated. */
export type BusConfig =
  | {
    readonly id: string;
    readonly kind: "serial";
    readonly path: string;
    /** The driver's own, if absent; so for the next two. */
    readonly baudRate?: number | undefined;
    readonly parity?: "none" | "even" | "odd" | undefined;
    readonly stopBits?: 1 | 2 | undefined;
    readonly rs485?: Rs485Settings | undefined;
  }
  | { readonly id: string; readonly kind: "simulated" };

/** One reader, with its driver's options among the fields. */
export interface ReaderConfig {
  readonly id: string;
  readonly driver: string;
  /** Of a reader on a serial line. */
  readonly bus?: string | undefined;
  /** Of a reader of cards. */
  readonly door?: string | undefined;
  /** Which way its cards let people go. */
  readonly direction: "in" | "out";
  /** Whether it reads patrol tags instead of cards. */
  readonly patrol: boolean;
  /** Parsed by the driver. */
  readonly [option: string]: unknown;
}

/** One expander or patrol baton, with its driver's options among the fields. */
export interface BusDeviceConfig {
  readonly id: string;
  readonly driver: string;
  readonly bus: string;
  /** Parsed by the driver. */
  readonly [option: string]: unknown;
}

/** One output, input or sensor, with its driver's options among the fields. */
export interface PointConfig {
  readonly id: string;
  readonly driver: string;
  /** Parsed by the driver. */
  readonly [option: string]: unknown;
}

/** When a sensor's values are recorded. */
export interface SensorRecording {
  /** A value that differs by so much from the one recorded last, in the sensor's unit. */
  readonly deltaMin: number;
  /** Least time between two records, in ms. */
  readonly everyMs: number;
}

/** One sensor, with its driver's options among the fields. */
export interface SensorConfig extends PointConfig, SensorRecording {}

/** `box.yaml` as it was parsed, with defaults filled in. */
export interface BoxConfig {
  readonly box: { readonly name: string; readonly timezone: string };
  readonly api: { readonly listen: string };
  readonly guard: { readonly heartbeatMs: number };
  readonly watchdog?: { readonly path: string; readonly timeoutMs: number } | undefined;
  readonly buses: readonly BusConfig[];
  readonly expanders: readonly BusDeviceConfig[];
  readonly readers: readonly ReaderConfig[];
  readonly batons: readonly BusDeviceConfig[];
  readonly outputs: readonly PointConfig[];
  readonly inputs: readonly PointConfig[];
  readonly sensors: readonly SensorConfig[];
  readonly doors: readonly DoorConfig[];
  readonly release: readonly ReleaseConfig[];
  readonly emergency: readonly EmergencyConfig[];
  readonly signals: readonly SignalConfig[];
}

/** The schema of `box.yaml`, without the drivers' own options. */
export const BoxConfigSchema: v.GenericSchema<unknown, BoxConfig> = v.strictObject({
  box: BoxSchema,
  api: v.optional(ApiSchema, {}),
  guard: v.optional(GuardSchema, {}),
  watchdog: v.optional(WatchdogSchema),
  buses: parts(BusSchema),
  expanders: parts(ExpanderSchema),
  readers: parts(ReaderSchema),
  batons: parts(BatonSchema),
  outputs: parts(OutputSchema),
  inputs: parts(InputSchema),
  sensors: parts(SensorSchema),
  doors: parts(DoorSchema),
  release: parts(ReleaseSchema),
  emergency: parts(EmergencySchema),
  signals: parts(SignalSchema),
});

/** The fields that belong to the configuration and not to the driver. */
export const READER_FIELDS: readonly string[] = [
  "id",
  "driver",
  "bus",
  "door",
  "direction",
  "patrol",
];
/** The same for expanders and batons. */
export const BUS_DEVICE_FIELDS: readonly string[] = ["id", "driver", "bus"];
/** The same for outputs and inputs. */
export const POINT_FIELDS: readonly string[] = ["id", "driver"];
/** The same for sensors. */
export const SENSOR_FIELDS: readonly string[] = [...POINT_FIELDS, "deltaMin", "everyMs"];

/** An output or input that stands on a reader. */
export const ReaderPointSchema = v.strictObject({
  /** The reader that has it. */
  reader: id,
  /** Its number on that reader, from 0. */
  index: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(31)),
});
