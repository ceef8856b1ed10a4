/**
 * Simulated OSDP readers (IEC 60839-11-5) on the far end of a serial line, for tests and the demo.
 *
 * @module
 */
export {
  type ReceivedCommand,
  type ReplyBody,
  type SimulatedBeep,
  type SimulatedColour,
  type SimulatedLed,
  SimulatedOsdpReader,
  type SimulatedReaderFaults,
  type SimulatedReaderOptions,
} from "./device.ts";
export { type SimulatedOsdpLine, simulateOsdpReaders } from "./line.ts";
