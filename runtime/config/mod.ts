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
  ResolvedSensor,
} from "./resolve.ts";
export {
  type BoxConfig,
  BoxConfigSchema,
  type BusConfig,
  type BusDeviceConfig,
  type DoorConfig,
  type PointConfig,
  type ReaderConfig,
  type SensorConfig,
  type SensorRecording,
} from "./schema.ts";
