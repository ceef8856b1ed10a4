/**
 * Payloads that are a text which stands in for one that the box has.
 *
 * @module
 */
export { type Running, StandInBackEnd, type StandInParts } from "./back_end.ts";
export {
  notePaths,
  readNote,
  type StandInKind,
  type StandInNote,
  TEXT_BYTES_MAX,
  writeNote,
} from "./note.ts";
