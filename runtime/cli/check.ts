import { DRIVERS } from "../../drivers/registry.ts";
import { ConfigError, parseBoxConfig, type ResolvedConfig } from "../config/mod.ts";
import { EXIT, readArgs, UsageError } from "./usage.ts";

const HELP = `
gatehouse check --config FILE [--json]
gatehouse check --schema

Reads a box.yaml and says everything that is wrong with it, each fault with its line, its field and
what is expected. Opens no device.

  --config FILE   the box.yaml
  --schema        prints the JSON Schema of a box.yaml, for editors, instead
  --json          one JSON object: {"ok", "faults": [{"line", "column", "field", "message"}]}

Exit codes: 0 it is good, 2 bad usage, 3 it has faults or cannot be read.
`;

/** Reads the configuration in `path`. @throws ConfigError, or the error of reading the file. */
export async function loadConfig(path: string): Promise<ResolvedConfig> {
  return parseBoxConfig(await Deno.readTextFile(path), path, DRIVERS);
}

/** `gatehouse check`. */
export async function checkCommand(args: string[]): Promise<number> {
  const parsed = readArgs(args, {
    config: { type: "string" },
    schema: { type: "boolean" },
    json: { type: "boolean" },
  }, HELP);
  if (parsed === undefined) return EXIT.ok;
  const { config, schema, json } = parsed.values;
  if (schema) {
    // Loaded only here: a box never needs it.
    const { boxJsonSchema } = await import("../config/json_schema.ts");
    console.log(JSON.stringify(boxJsonSchema(DRIVERS), null, 2));
    return EXIT.ok;
  }
  if (config === undefined) throw new UsageError("--config is missing");
  try {
    const { readers, outputs, inputs, doors } = await loadConfig(config);
    if (json) console.log(JSON.stringify({ ok: true, faults: [] }));
    else {
      console.log(
        `${config}: good: ${doors.length} doors, ${readers.length} readers, ` +
          `${outputs.length} outputs, ${inputs.length} inputs`,
      );
    }
    return EXIT.ok;
  } catch (error) {
    return reportConfigError(error, config, json === true);
  }
}

/** Tells a person (or, as JSON, a program) why a configuration cannot be used. */
export function reportConfigError(error: unknown, path: string, json: boolean): number {
  const faults = error instanceof ConfigError
    ? error.faults
    : [{ line: 1, column: 1, field: "file", message: unreadable(error) }];
  if (json) console.log(JSON.stringify({ ok: false, faults }));
  else if (error instanceof ConfigError) console.error(error.message);
  else console.error(`${path}: ${unreadable(error)}`);
  return EXIT.badInput;
}

function unreadable(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file; name one with --config";
  if (error instanceof Deno.errors.PermissionDenied) {
    return "it may not be read; mind its permissions";
  }
  throw error;
}
