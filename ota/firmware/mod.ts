/**
 * Firmware of readers as a payload: fetched and verified by the updater, given to the readers by the box.
 *
 * @module
 */
export { FirmwareBackEnd, type FirmwareBackEndOptions } from "./back_end.ts";
