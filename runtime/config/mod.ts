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
  type BarrierConfig,
  DOOR_INPUTS,
  DOOR_OUTPUTS,
  type DoorConfig,
  doorPoints,
  type EmergencyConfig,
  type HingedConfig,
  type ReleaseConfig,
  SIGNAL_ALARMS,
  type SignalAlarm,
  type SignalConfig,
  type TurnstileConfig,
} from "./door_schema.ts";
export {
  type BoxConfig,
  BoxConfigSchema,
  type BusConfig,
  type BusDeviceConfig,
  type PointConfig,
  type ReaderConfig,
  type SensorConfig,
  type SensorRecording,
} from "./schema.ts";
