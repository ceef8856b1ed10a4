// deno-lint-ignore-file no-explicit-any -- each driver parses its own options; here they only pass through
/**
 * Reads `box.yaml`. Every fault is named with its line, its field and what is expected, all of them
 * at once: an installer on a ladder should not mend them one by one.
 *
 * @module
 */
import * as v from "valibot";
import { isMap, isScalar, LineCounter, parseDocument } from "yaml";
import type {
  GpioReaderDriver,
  InputDriver,
  OutputDriver,
  ReaderBusDriver,
} from "../../drivers/contract.ts";
import {
  type BoxConfig,
  BoxConfigSchema,
  POINT_FIELDS,
  READER_FIELDS,
  ReaderPointSchema,
} from "./schema.ts";

/** A box has a few dozen parts; a larger file is a mistake or an attack. */
const CONFIG_BYTES_MAX = 256 << 10;

/** One fault of a configuration. */
export interface ConfigFault {
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** Such as `readers.0.address`. */
  readonly field: string;
  /** What is wrong and what is expected. */
  readonly message: string;
}

/** A configuration with faults, sorted by line. */
export class ConfigError extends Error {
  /** All that is wrong. */
  readonly faults: readonly ConfigFault[];

  /** Makes an error that lists `faults` as `file:line:column: field: message`. */
  constructor(file: string, faults: readonly ConfigFault[]) {
    const sorted = faults.toSorted((a, b) => a.line - b.line || a.column - b.column);
    super(
      sorted.map((f) => `${file}:${f.line}:${f.column}: ${f.field}: ${f.message}`).join("\n"),
    );
    this.name = "ConfigError";
    this.faults = sorted;
  }
}

/** A driver of any kind, its options not known here. */
export type AnyDriver =
  | ReaderBusDriver<any>
  | GpioReaderDriver<any>
  | OutputDriver<any>
  | InputDriver<any>;

/** A reader with its driver and parsed options: on a bus, or on lines of its own. */
export type ResolvedReader =
  & { readonly id: string; readonly door: string; readonly options: unknown }
  & (
    | { readonly on: "bus"; readonly bus: string; readonly driver: ReaderBusDriver<any> }
    | { readonly on: "gpio"; readonly driver: GpioReaderDriver<any> }
  );

/** An output or input: on a reader, or by a driver of its own. */
export type ResolvedPoint<K extends "output" | "input"> =
  | {
    readonly id: string;
    readonly on: "reader";
    readonly reader: string;
    readonly index: number;
  }
  | {
    readonly id: string;
    readonly on: "gpio" | "simulated";
    readonly driver: Extract<AnyDriver, { kind: K }>;
    readonly options: unknown;
  };

/** A configuration whose references all lead somewhere. */
export interface ResolvedConfig {
  readonly box: BoxConfig["box"];
  readonly api: BoxConfig["api"];
  readonly buses: BoxConfig["buses"];
  readonly readers: readonly ResolvedReader[];
  readonly outputs: readonly ResolvedPoint<"output">[];
  readonly inputs: readonly ResolvedPoint<"input">[];
  readonly doors: BoxConfig["doors"];
  readonly release: BoxConfig["release"];
}

type Path = readonly (string | number)[];

/**
 * Reads the text of `box.yaml` (called `file` in messages), with `drivers` to choose from.
 *
 * @throws {@link ConfigError} with every fault.
 */
export function parseBoxConfig(
  text: string,
  file: string,
  drivers: readonly AnyDriver[],
): ResolvedConfig {
  if (text.length > CONFIG_BYTES_MAX) {
    throw new ConfigError(file, [{
      line: 1,
      column: 1,
      field: "file",
      message: `${text.length} characters; at most ${CONFIG_BYTES_MAX} are read`,
    }]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  if (document.errors.length > 0) {
    throw new ConfigError(
      file,
      document.errors.map((error) => ({
        ...at(error.pos[0]),
        field: "YAML",
        message: error.message,
      })),
    );
  }

  const faults: ConfigFault[] = [];
  const fault = (path: Path, message: string) => {
    faults.push({ ...at(offsetOf(document, path)), field: path.join(".") || "file", message });
  };
  const take = <S extends v.GenericSchema>(schema: S, raw: unknown, base: Path) => {
    const result = v.safeParse(schema, raw);
    if (result.success) return result.output as v.InferOutput<S>;
    for (const issue of result.issues) {
      fault([...base, ...(issue.path ?? []).map((p) => p.key as string | number)], plain(issue));
    }
    return undefined;
  };

  const config = take(BoxConfigSchema, plainValue(document, file), []);
  if (config === undefined) throw new ConfigError(file, faults);

  const optionsOf = (driver: AnyDriver, item: object, fields: readonly string[], path: Path) => {
    const raw = Object.fromEntries(Object.entries(item).filter(([key]) => !fields.includes(key)));
    try {
      return driver.parseOptions(raw);
    } catch (cause) {
      if (!(cause instanceof v.ValiError)) throw cause;
      for (const issue of cause.issues) {
        const inner = (issue.path ?? []).map((p: { key: unknown }) => p.key as string | number);
        fault([...path, ...inner], plain(issue));
      }
      return undefined;
    }
  };

  for (const list of ["buses", "readers", "outputs", "inputs", "doors"] as const) {
    const seen = new Map<string, number>();
    for (const [index, item] of config[list].entries()) {
      const first = seen.get(item.id);
      if (first === undefined) seen.set(item.id, index);
      else {fault(
          [list, index, "id"],
          `${item.id} is the id of ${list}.${first} too; ids are unique`,
        );}
    }
  }

  const readerDrivers = drivers.filter((d) => d.kind === "card-reader");
  const readers = config.readers.flatMap((reader, index): ResolvedReader[] => {
    const path: Path = ["readers", index];
    mustExist(fault, [...path, "door"], reader.door, config.doors, "door");
    const driver = readerDrivers.find((d) => d.id === reader.driver);
    if (driver === undefined) {
      fault([...path, "driver"], notOneOf("driver", reader.driver, readerDrivers.map((d) => d.id)));
      return [];
    }
    const { id, bus, door } = reader;
    const options = optionsOf(driver, reader, READER_FIELDS, path);
    if (driver.bus === "gpio") {
      if (bus !== undefined) {
        fault([...path, "bus"], `a ${driver.id} reader has lines of its own; remove the bus`);
      }
      return [{ id, door, options, on: "gpio", driver }];
    }
    if (bus === undefined) {
      fault([...path, "bus"], "this field is missing; it names the serial line of the reader");
      return [];
    }
    mustExist(fault, [...path, "bus"], bus, config.buses, "bus");
    return [{ id, door, options, on: "bus", bus, driver }];
  });
  oneAddressABus(config, fault);

  const points = <K extends "output" | "input">(
    kind: K,
    list: "outputs" | "inputs",
  ): ResolvedPoint<K>[] =>
    config[list].flatMap((item, index): ResolvedPoint<K>[] => {
      const path: Path = [list, index];
      if ("reader" in item) {
        const raw = Object.fromEntries(
          Object.entries(item).filter(([key]) => !POINT_FIELDS.includes(key)),
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
        } else if (reader.bus === undefined) {
          fault([...path, "reader"], `a ${reader.driver} reader has no ${list} of its own`);
        }
        return point === undefined ? [] : [{ id: item.id, on: "reader", ...point }];
      }
      // A simulated point takes the options of a GPIO one, over lines that are not there.
      const on = item.driver === "simulated" ? "simulated" : "gpio";
      const wanted = on === "simulated" ? "gpio" : item.driver;
      const driver = drivers.find((d) => d.kind === kind && d.id === wanted);
      if (driver === undefined) {
        const known = drivers.filter((d) => d.kind === kind).map((d) => d.id);
        fault([...path, "driver"], notOneOf("driver", item.driver, [...known, "simulated"]));
        return [];
      }
      const line = on === "simulated" ? { chip: `simulated-${list}`, line: index, ...item } : item;
      const options = optionsOf(driver, line, POINT_FIELDS, path);
      return [{ id: item.id, on, driver: driver as Extract<AnyDriver, { kind: K }>, options }];
    });
  const outputs = points("output", "outputs");
  const inputs = points("input", "inputs");

  const locks = new Map<string, string>();
  for (const [index, door] of config.doors.entries()) {
    const path: Path = ["doors", index];
    mustExist(fault, [...path, "lock"], door.lock, config.outputs, "output");
    const other = locks.get(door.lock);
    if (other !== undefined) {
      fault([...path, "lock"], `${door.lock} is the lock of door ${other} too`);
    }
    locks.set(door.lock, door.id);
    for (const role of ["contact", "requestToExit"] as const) {
      if (door[role] !== undefined) {
        mustExist(fault, [...path, role], door[role], config.inputs, "input");
      }
    }
  }
  for (const [index, release] of config.release.entries()) {
    mustExist(fault, ["release", index, "input"], release.input, config.inputs, "input");
  }
  if (config.doors.length === 0) fault(["doors"], "a box has at least one door; add one");

  if (faults.length > 0) throw new ConfigError(file, faults);
  return {
    box: config.box,
    api: config.api,
    buses: config.buses,
    readers,
    outputs,
    inputs,
    doors: config.doors,
    release: config.release,
  };
}

/** Aliases that unfold without end are stopped by the YAML library. */
function plainValue(document: ReturnType<typeof parseDocument>, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch (cause) {
    const message = `${(cause as Error).message}; write the value out`;
    throw new ConfigError(file, [{ line: 1, column: 1, field: "YAML", message }]);
  }
}

function mustExist(
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

function oneAddressABus(config: BoxConfig, fault: (path: Path, message: string) => void): void {
  const taken = new Map<string, string>();
  const driverOf = new Map<string, string>();
  for (const [index, reader] of config.readers.entries()) {
    if (reader.bus === undefined) continue;
    const place = `${reader.bus} ${String(reader.address)}`;
    const other = taken.get(place);
    if (other !== undefined) {
      fault(
        ["readers", index, "address"],
        `reader ${other} has this address on bus ${reader.bus} too; give each its own`,
      );
    }
    taken.set(place, reader.id);
    const driver = driverOf.get(reader.bus);
    if (driver !== undefined && driver !== reader.driver) {
      fault(["readers", index, "driver"], `bus ${reader.bus} is driven by ${driver} already`);
    }
    driverOf.set(reader.bus, reader.driver);
  }
}

/** Where the value at `path` stands in the text, or its nearest parent that is there. */
function offsetOf(document: ReturnType<typeof parseDocument>, path: Path): number {
  for (let depth = path.length; depth > 0; depth--) {
    const parent = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true);
    if (isMap(parent)) {
      const pair = parent.items.find((item) =>
        isScalar(item.key) && item.key.value === path[depth - 1]
      );
      const key = pair?.key;
      if (isScalar(key) && key.range) return key.range[0];
    }
    const node = document.getIn(path.slice(0, depth), true);
    if (typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range)) {
      return node.range[0];
    }
  }
  return 0;
}

/** Valibot's own messages speak of types; these speak of fields. */
function plain(issue: v.BaseIssue<any>): string {
  if (issue.type === "strict_object") {
    return issue.expected === "never"
      ? `this field is not known here; remove it or mend its name`
      : `this field is missing; it is required`;
  }
  if (issue.type === "object" || issue.type === "loose_object") {
    if (issue.received === "undefined") return `this field is missing; it is required`;
  }
  if (issue.received === "undefined") return `this field is missing; ${issue.message}`;
  return `${issue.message}, got ${issue.received}`;
}
