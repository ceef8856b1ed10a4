/**
 * Relay and input boards by Modbus RTU, several on one RS-485 line.
 *
 * @module
 */
import { defineDriver, type ExpanderDriver } from "../../contract.ts";
import { ModbusBus } from "./bus.ts";
import { type ModbusOptions, ModbusOptionsSchema, parseModbusOptions } from "./options.ts";

export { type ModbusOptions } from "./options.ts";

/**
 * Board with relays, inputs or analog inputs, 9600 8N1 from the factory. Outputs and inputs are counted
 * from 0, each kind for itself.
 */
export const modbus: ExpanderDriver<ModbusOptions> = defineDriver({
  id: "modbus",
  kind: "expander",
  bus: "serial",
  reference: "Modbus over Serial Line V1.02; Modbus Application Protocol V1.1b3",
  serialDefaults: { baudRate: 9600 },
  devicesMax: 247,
  optionsSchema: ModbusOptionsSchema,
  parseOptions: parseModbusOptions,
  open: ModbusBus.open,
});
