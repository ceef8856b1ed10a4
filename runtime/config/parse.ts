// deno-lint-ignore-file no-explicit-any -- each driver parses its own options; here they only pass through
/**
 * Reads `box.yaml`. Every fault is named with its line, its field and what is expected, all of them
 * at once: an installer on a ladder should not mend them one by one.
 *
 * @module
 */
import * as v from "valibot";
import { isMap, isScalar, LineCounter, parseDocument } from "yaml";
import { resolveDoors } from "./resolve_doors.ts";
import { type AnyDriver, type Path, type ResolvedDevices, resolveDevices } from "./resolve.ts";
import { type BoxConfig, BoxConfigSchema } from "./schema.ts";

/** A box has a few dozen parts; a larger file is a mistake or an attack. */
const CONFIG_BYTES_MAX = 256 << 10;

/** The parts that have ids, each unique in its list. */
const LISTS = [
  "buses",
  "expanders",
  "readers",
  "batons",
  "outputs",
  "inputs",
  "sensors",
  "doors",
  "signals",
] as const;

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

/** A configuration whose references all lead somewhere. */
export interface ResolvedConfig extends ResolvedDevices {
  readonly box: BoxConfig["box"];
  readonly api: BoxConfig["api"];
  readonly guard: BoxConfig["guard"];
  readonly watchdog: BoxConfig["watchdog"];
  readonly buses: BoxConfig["buses"];
  readonly doors: BoxConfig["doors"];
  readonly release: BoxConfig["release"];
  readonly emergency: BoxConfig["emergency"];
  readonly signals: BoxConfig["signals"];
}

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

  const issuesOf = (cause: unknown, base: Path) => {
    if (!(cause instanceof v.ValiError)) throw cause;
    for (const issue of cause.issues) {
      const inner = (issue.path ?? []).map((p: { key: unknown }) => p.key as string | number);
      fault([...base, ...inner], plain(issue));
    }
  };

  for (const list of LISTS) {
    const seen = new Map<string, number>();
    for (const [index, item] of config[list].entries()) {
      const first = seen.get(item.id);
      if (first === undefined) seen.set(item.id, index);
      else {
        fault(
          [list, index, "id"],
          `${item.id} is the id of ${list}.${first} too; ids are unique`,
        );
      }
    }
  }

  const devices = resolveDevices(config, drivers, { fault, take, issuesOf });

  resolveDoors(config, fault);
  if (config.doors.length === 0) fault(["doors"], "a box has at least one door; add one");

  if (faults.length > 0) throw new ConfigError(file, faults);
  return {
    box: config.box,
    api: config.api,
    guard: config.guard,
    watchdog: config.watchdog,
    buses: config.buses,
    ...devices,
    doors: config.doors,
    release: config.release,
    emergency: config.emergency,
    signals: config.signals,
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
