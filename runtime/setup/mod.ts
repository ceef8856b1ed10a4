/**
 * What an installer tells a box before its first start: the settings file on the card's first
 * partition, written by `gatehouse flash` and read by the box.
 *
 * @module
 */
export {
  parseSetup,
  renderSetup,
  type Setup,
  SETUP_BYTES,
  SETUP_HEAD,
  SetupError,
  type SetupNetwork,
} from "./settings.ts";
export { type SetupFile, setupFiles } from "./network_files.ts";
