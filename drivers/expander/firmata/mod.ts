/**
 * An Arduino with StandardFirmata as an I/O board.
 *
 * @module
 */
import { defineDriver, type ExpanderDriver } from "../../contract.ts";
import { FirmataBoard } from "./board.ts";
import { type FirmataOptions, FirmataOptionsSchema, parseFirmataOptions } from "./options.ts";

export { type FirmataOptions, INFRARED_PROTOCOLS, type InfraredCode } from "./options.ts";

/** Arduino on USB, 57600 8N1. Lines are pin numbers, channels those of A0, A1 and so on. */
export const firmata: ExpanderDriver<FirmataOptions> = defineDriver({
  id: "firmata",
  kind: "expander",
  bus: "serial",
  reference: "Firmata protocol 2.5.1",
  serialDefaults: { baudRate: 57_600 },
  devicesMax: 1,
  optionsSchema: FirmataOptionsSchema,
  parseOptions: parseFirmataOptions,
  open: FirmataBoard.open,
});
