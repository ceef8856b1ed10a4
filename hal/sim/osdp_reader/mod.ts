/**
 * Simulated OSDP readers (IEC 60839-11-5) on the far end of a serial line, for tests and the demo.
 *
 * @module
 */
export { SimulatedOsdpReader } from "./device.ts";
export type { SimulatedFile, SimulatedFileOptions } from "./file_sink.ts";
export type { ReceivedCommand } from "./frames.ts";
export type { SimulatedColour, SimulatedLed } from "./lamp.ts";
export type {
  SimulatedBeep,
  SimulatedReaderFaults,
  SimulatedReaderOptions,
  SimulatedText,
} from "./options.ts";
export { type SimulatedOsdpLine, simulateOsdpReaders } from "./line.ts";
