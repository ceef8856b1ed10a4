/**
 * `box.yaml`: its schema and its reader.
 *
 * @module
 */
export { ConfigError, type ConfigFault, parseBoxConfig, type ResolvedConfig } from "./parse.ts";
export type {
  AnyDriver,
  ResolvedBusDevice,
  ResolvedDevices,
  ResolvedPoint,
  ResolvedReader,
} from "./resolve.ts";
export {
  type BoxConfig,
  BoxConfigSchema,
  type BusConfig,
  type BusDeviceConfig,
  type DoorConfig,
  type PointConfig,
  type ReaderConfig,
} from "./schema.ts";
