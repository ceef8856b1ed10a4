// deno-lint-ignore-file no-explicit-any -- each driver parses its own options; here they only pass through
/**
 * Joins the devices of a `box.yaml` with their drivers: every reference leads somewhere, every option
 * is parsed by its driver.
 *
 * @module
 */
import type * as v from "valibot";
import type {
  ExpanderDriver,
  InputDriver,
  OutputDriver,
  PatrolBatonDriver,
  ReaderBusDriver,
  ReaderDriver,
  SensorDriver,
} from "../../drivers/contract.ts";
import {
  type BoxConfig,
  BUS_DEVICE_FIELDS,
  POINT_FIELDS,
  READER_FIELDS,
  ReaderPointSchema,
  SENSOR_FIELDS,
  type SensorRecording,
} from "./schema.ts";

/** A driver of any kind, its options not known here. */
export type AnyDriver =
  | ReaderBusDriver<any>
  | ReaderDriver<any>
  | OutputDriver<any>
  | InputDriver<any>
  | SensorDriver<any>
  | ExpanderDriver<any>
  | PatrolBatonDriver<any>;

/** A reader with its driver and parsed options: on a serial line, or on its own. */
export type ResolvedReader =
  & {
    readonly id: string;
    /** The door that its cards are for; `undefined` when it reads patrol tags. */
    readonly door: string | undefined;
    /** Which way its cards let people go. */
    readonly direction: "in" | "out";
    readonly options: unknown;
  }
  & (
    | { readonly on: "bus"; readonly bus: string; readonly driver: ReaderBusDriver<any> }
    | { readonly on: "own"; readonly driver: ReaderDriver<any> }
  );

/** An output, input or sensor: on a reader, or by a driver of its own. */
export type ResolvedPoint<K extends "output" | "input" | "sensor"> =
  | {
    readonly id: string;
    readonly on: "reader";
    readonly reader: string;
    readonly index: number;
  }
  | {
    readonly id: string;
    readonly on: "own" | "simulated";
    readonly driver: Extract<AnyDriver, { kind: K }>;
    readonly options: unknown;
  };

/** A sensor, and when its values are recorded. */
export type ResolvedSensor = ResolvedPoint<"sensor"> & { readonly record: SensorRecording };

/** An expander or baton on a serial line. */
export interface ResolvedBusDevice<K extends "expander" | "patrol-baton"> {
  readonly id: string;
  readonly bus: string;
  readonly driver: Extract<AnyDriver, { kind: K }>;
  readonly options: unknown;
}

/** The devices of a configuration. */
export interface ResolvedDevices {
  readonly expanders: readonly ResolvedBusDevice<"expander">[];
  readonly readers: readonly ResolvedReader[];
  readonly batons: readonly ResolvedBusDevice<"patrol-baton">[];
  readonly outputs: readonly ResolvedPoint<"output">[];
  readonly inputs: readonly ResolvedPoint<"input">[];
  readonly sensors: readonly ResolvedSensor[];
}

/** Where a value stands: keys and indexes from the root. */
export type Path = readonly (string | number)[];

/** How faults are told. */
export interface Faults {
  /** Notes a fault at `path`. */
  readonly fault: (path: Path, message: string) => void;
  /** Parses `raw` by `schema`; notes what is wrong, under `base`. */
  readonly take: <S extends v.GenericSchema>(
    schema: S,
    raw: unknown,
    base: Path,
  ) => v.InferOutput<S> | undefined;
  /** Notes the issues of a driver's `ValiError` under `base`; throws anything else. */
  readonly issuesOf: (cause: unknown, base: Path) => void;
}

/** Resolves the devices of `config`; what is wrong is told to `faults`. */
export function resolveDevices(
  config: BoxConfig,
  drivers: readonly AnyDriver[],
  faults: Faults,
): ResolvedDevices {
  const { fault, take } = faults;
  const optionsOf = (driver: AnyDriver, item: object, fields: readonly string[], path: Path) => {
    const raw = Object.fromEntries(Object.entries(item).filter(([key]) => !fields.includes(key)));
    try {
      return driver.parseOptions(raw);
    } catch (cause) {
      faults.issuesOf(cause, path);
      return undefined;
    }
  };

  const readerDrivers = drivers.filter((d) => d.kind === "card-reader");
  const readers = config.readers.flatMap((reader, index): ResolvedReader[] => {
    const path: Path = ["readers", index];
    const { id, bus, door, direction, patrol } = reader;
    if (door !== undefined) {
      mustExist(fault, [...path, "door"], door, config.doors, "door");
      if (patrol) fault([...path, "patrol"], "a reader of patrol tags opens no door; remove one");
    } else if (!patrol) {
      fault([...path, "door"], "this field is missing; or write patrol: true for patrol tags");
    }
    const driver = readerDrivers.find((d) => d.id === reader.driver);
    if (driver === undefined) {
      fault([...path, "driver"], notOneOf("driver", reader.driver, readerDrivers.map((d) => d.id)));
      return [];
    }
    const options = optionsOf(driver, reader, READER_FIELDS, path);
    if (driver.bus !== "serial") {
      if (bus !== undefined) {
        fault([...path, "bus"], `a ${driver.id} reader is on no bus; remove it`);
      }
      return [{ id, door, direction, options, on: "own", driver }];
    }
    if (bus === undefined) {
      fault([...path, "bus"], "this field is missing; it names the serial line of the reader");
      return [];
    }
    mustExist(fault, [...path, "bus"], bus, config.buses, "bus");
    return [{ id, door, direction, options, on: "bus", bus, driver }];
  });

  const busDevices = <K extends "expander" | "patrol-baton">(
    kind: K,
    list: "expanders" | "batons",
  ): ResolvedBusDevice<K>[] =>
    config[list].flatMap((item, index): ResolvedBusDevice<K>[] => {
      const path: Path = [list, index];
      mustExist(fault, [...path, "bus"], item.bus, config.buses, "bus");
      const known = drivers.filter((d) => d.kind === kind);
      const driver = known.find((d) => d.id === item.driver);
      if (driver === undefined) {
        fault([...path, "driver"], notOneOf("driver", item.driver, known.map((d) => d.id)));
        return [];
      }
      const options = optionsOf(driver, item, BUS_DEVICE_FIELDS, path);
      const { id, bus } = item;
      return [{ id, bus, driver: driver as Extract<AnyDriver, { kind: K }>, options }];
    });

  const points = <K extends "output" | "input" | "sensor">(
    kind: K,
    list: "outputs" | "inputs" | "sensors",
  ): ResolvedPoint<K>[] =>
    config[list].flatMap((item, index): ResolvedPoint<K>[] => {
      const fields = kind === "sensor" ? SENSOR_FIELDS : POINT_FIELDS;
      const path: Path = [list, index];
      if ("reader" in item) {
        const raw = Object.fromEntries(
          Object.entries(item).filter(([key]) => !fields.includes(key)),
        );
        const point = take(ReaderPointSchema, raw, path);
        const reader = config.readers.find((r) => r.id === item.reader);
        if (reader === undefined) {
          mustExist(fault, [...path, "reader"], String(item.reader), config.readers, "reader");
        } else if (reader.driver !== item.driver) {
          fault(
            [...path, "driver"],
            `reader ${reader.id} is driven by ${reader.driver}; write that`,
          );
        } else if (reader.bus === undefined || kind === "sensor") {
          fault([...path, "reader"], `a ${reader.driver} reader has no ${list} of its own`);
        }
        return point === undefined ? [] : [{ id: item.id, on: "reader", ...point }];
      }
      // A simulated point takes the options of a GPIO one, over lines that are not there.
      const on = item.driver === "simulated" ? "simulated" : "own";
      const wanted = on === "simulated" ? "gpio" : item.driver;
      const driver = drivers.find((d) => d.kind === kind && d.id === wanted);
      if (driver === undefined) {
        const known = drivers.filter((d) => d.kind === kind).map((d) => d.id);
        const simulated = kind === "sensor" ? [] : ["simulated"];
        fault([...path, "driver"], notOneOf("driver", item.driver, [...known, ...simulated]));
        return [];
      }
      const line = on === "simulated" ? { chip: `simulated-${list}`, line: index, ...item } : item;
      const options = optionsOf(driver, line, fields, path);
      return [{ id: item.id, on, driver: driver as Extract<AnyDriver, { kind: K }>, options }];
    });

  const devices = {
    expanders: busDevices("expander", "expanders"),
    readers,
    batons: busDevices("patrol-baton", "batons"),
    outputs: points("output", "outputs"),
    inputs: points("input", "inputs"),
    sensors: points("sensor", "sensors").map((point): ResolvedSensor => {
      const { deltaMin, everyMs } = config.sensors.find((sensor) => sensor.id === point.id)!;
      return { ...point, record: { deltaMin, everyMs } };
    }),
  };
  oneDriverABus(devices, config, fault);
  return devices;
}

/** Devices share a line only under one driver, each at its own address, and no more than fit. */
function oneDriverABus(
  { readers, expanders, batons }: ResolvedDevices,
  config: BoxConfig,
  fault: Faults["fault"],
): void {
  const places = [
    ...readers.flatMap((reader) => reader.on === "bus" ? [{ list: "readers", ...reader }] : []),
    ...expanders.map((expander) => ({ list: "expanders", ...expander })),
    ...batons.map((baton) => ({ list: "batons", ...baton })),
  ];
  for (const bus of config.buses) {
    const taken = new Map<unknown, string>();
    const [first, ...others] = places.filter((place) => place.bus === bus.id);
    if (first === undefined) continue;
    for (const [count, { list, id, driver, options }] of [first, ...others].entries()) {
      const items = config[list as "readers" | "expanders" | "batons"];
      const path: Path = [list, items.findIndex((item) => item.id === id)];
      if (driver !== first.driver) {
        fault([...path, "driver"], `bus ${bus.id} is driven by ${first.driver.id} already`);
        continue;
      }
      if (count >= driver.devicesMax) {
        fault(
          [...path, "bus"],
          `bus ${bus.id} has ${first.id} on it; ${driver.id} allows ${driver.devicesMax} a line`,
        );
      }
      const address = (options as { readonly address?: unknown } | undefined)?.address;
      const other = address === undefined ? undefined : taken.get(address);
      if (other !== undefined) {
        fault(
          [...path, "address"],
          `${list.slice(0, -1)} ${other} has this address on bus ${bus.id} too; give each its own`,
        );
      }
      taken.set(address, id);
    }
  }
}

/** Notes a fault unless `id` is that of one of `items`. */
export function mustExist(
  fault: (path: Path, message: string) => void,
  path: Path,
  id: string,
  items: readonly { readonly id: string }[],
  what: string,
): void {
  if (items.some((item) => item.id === id)) return;
  fault(path, notOneOf(what, id, items.map((item) => item.id)));
}

function notOneOf(what: string, id: string, known: readonly string[]): string {
  const list = known.length === 0 ? `there is none yet; add it` : `there are: ${known.join(", ")}`;
  return `no ${what} is called ${JSON.stringify(id)}; ${list}`;
}
