/**
 * OSDP v2 card readers (IEC 60839-11-5), several on one RS-485 line.
 *
 * @module
 */
import { defineDriver, type ReaderBusDriver } from "../../contract.ts";
import { OsdpBus } from "./bus.ts";
import { type OsdpOptions, OsdpOptionsSchema, parseOsdpOptions } from "./options.ts";

export { OsdpBus } from "./bus.ts";
export type { OsdpBusCounts } from "./bus_counts.ts";
export type { Communication } from "./communication.ts";
export {
  discoverOsdp,
  OSDP_BAUD_RATES,
  type OsdpDiscovery,
  type OsdpDiscoveryHost,
  type OsdpDiscoveryOptions,
  type OsdpDiscoveryProgress,
  type OsdpFinding,
  type OsdpFoundReader,
  type OsdpSecurity,
} from "./discover.ts";
export {
  type DecoderCounts,
  encodeFrame,
  type Frame,
  type FrameCheck,
  FrameDecoder,
  type FrameFields,
  type FrameSeal,
  type FrameSequence,
  type SecurityBlock,
} from "./frame.ts";
export { keyFault, OsdpKeyError } from "./key.ts";
export { OsdpRequestError } from "./requests.ts";
export type { OsdpText } from "./text.ts";
export { type OsdpOptions, OsdpOptionsSchema, parseOsdpOptions } from "./options.ts";

export type { OsdpFileOptions, OsdpFileProgress, OsdpFileResult } from "./file_transfer.ts";
export type { Capability } from "./replies.ts";

/** OSDP v2 reader in clear text or the secure channel, 9600 to 230400 8N1. IEC 60839-11-5. */
export const osdp: ReaderBusDriver<OsdpOptions> = defineDriver({
  id: "osdp",
  kind: "card-reader",
  bus: "serial",
  reference: "IEC 60839-11-5:2020 (SIA OSDP v2.2)",
  serialDefaults: { baudRate: 9600 },
  devicesMax: 127,
  optionsSchema: OsdpOptionsSchema,
  parseOptions: parseOsdpOptions,
  open: (host, readers, signal) => OsdpBus.open(host, readers, signal),
});
