/**
 * The JSON Schema of `box.yaml`, made from the schemas that read it, so that an editor completes
 * and checks what the box will take.
 *
 * @module
 */
import { toJsonSchema } from "@valibot/to-json-schema";
import type { GenericSchema } from "valibot";
import type { AnyDriver } from "./resolve.ts";
import { BoxConfigSchema, ReaderPointSchema } from "./schema.ts";

type JsonObject = Record<string, unknown>;

function convert(schema: GenericSchema): JsonObject {
  // What JSON Schema cannot say (that a time zone exists) is left to `gatehouse check`.
  const { $schema: _dialect, ...rest } = toJsonSchema(schema, { errorMode: "ignore" });
  return rest as JsonObject;
}

/** `base` (fields of the configuration) and a driver's options as one object that takes no more. */
function join(base: JsonObject, driver: string, options: JsonObject, leaveOut: string[] = []) {
  const wanted = (name: string) => !leaveOut.includes(name);
  const properties = options.properties as JsonObject;
  return {
    type: "object",
    properties: {
      ...base.properties as JsonObject,
      driver: { const: driver },
      ...Object.fromEntries(Object.entries(properties).filter(([name]) => wanted(name))),
    },
    required: [
      ...base.required as string[],
      ...(options.required as string[] ?? []).filter(wanted),
    ],
    additionalProperties: false,
  };
}

/** A reader's own fields: one on a serial line names its bus, any other has none. */
function readerBase(reader: JsonObject, bus: AnyDriver["bus"]): JsonObject {
  const { bus: busSchema, ...others } = reader.properties as JsonObject;
  const required = reader.required as string[];
  return bus === "serial"
    ? { properties: { ...others, bus: busSchema }, required: [...required, "bus"] }
    : { properties: others, required };
}

/** The schema (JSON Schema draft 7) of `box.yaml` with the options of `drivers`. */
export function boxJsonSchema(drivers: readonly AnyDriver[]): JsonObject {
  const schema = convert(BoxConfigSchema);
  const lists = schema.properties as Record<string, { items: JsonObject }>;
  const readers = drivers.filter((driver) => driver.kind === "card-reader");
  const readerPoint = convert(ReaderPointSchema);
  const reader = lists.readers!.items;
  lists.readers!.items = {
    anyOf: readers.map((driver) =>
      join(readerBase(reader, driver.bus), driver.id, convert(driver.optionsSchema))
    ),
  };
  const ofKind = (kind: AnyDriver["kind"]) => drivers.filter((driver) => driver.kind === kind);
  for (
    const [list, kind] of [
      ["expanders", "expander"],
      ["batons", "patrol-baton"],
      ["sensors", "sensor"],
    ] as const
  ) {
    const base = lists[list]!.items;
    lists[list]!.items = {
      anyOf: ofKind(kind).map((driver) => join(base, driver.id, convert(driver.optionsSchema))),
    };
  }
  for (const [list, kind] of [["outputs", "output"], ["inputs", "input"]] as const) {
    const base = lists[list]!.items;
    const own = ofKind(kind);
    // Stand in for lines that are not there, and so need no chip.
    const plain = own.filter((driver) => driver.id === "gpio");
    lists[list]!.items = {
      anyOf: [
        ...own.map((driver) => join(base, driver.id, convert(driver.optionsSchema))),
        ...plain.map((driver) =>
          join(base, "simulated", convert(driver.optionsSchema), ["chip", "line"])
        ),
        ...readers.filter((driver) => driver.bus === "serial")
          .map((driver) => join(base, driver.id, readerPoint)),
      ],
    };
  }
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Gatehouse box.yaml",
    ...schema,
  };
}
