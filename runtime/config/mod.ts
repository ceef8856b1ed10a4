/**
 * `box.yaml`: its schema and its reader.
 *
 * @module
 */
export * from "./parse.ts";
export {
  type BoxConfig,
  BoxConfigSchema,
  type BusConfig,
  type DoorConfig,
  type PointConfig,
  type ReaderConfig,
} from "./schema.ts";
