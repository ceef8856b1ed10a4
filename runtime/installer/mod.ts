/**
 * What an installer needs in the first hour: the doctor, learning what is wired, and trying inputs
 * and outputs. Everything here is told in data, in Chinese and English; the terminal commands are
 * one face of it.
 *
 * @module
 */
export { type DoctorHosts, type DoctorOptions, examine } from "./doctor/doctor.ts";
export type { DistrictReach } from "./doctor/district_check.ts";
export type { FoundReader, LineFinding, ReaderFinder } from "./doctor/bus_trial.ts";
export {
  bySeverity,
  type Check,
  type Finding,
  findingLines,
  SEVERITIES,
  type Severity,
  summaryLine,
} from "./doctor/finding.ts";
export { judgeRunning, parseHealth, type RunningBox } from "./doctor/running_check.ts";
export * from "./language.ts";
export {
  DRIVE_MS,
  IoBench,
  type IoInput,
  type IoOutput,
  type IoReader,
  type IoSensor,
  type IoSnapshot,
} from "./io/bench.ts";
export { type IoOrder, type IoPrompt, pressKey, screenLines } from "./io/screen.ts";
export { cardHex, printedNumber } from "./card_text.ts";
export { ConfigDraft, type DoorKind, type DraftDoor, type DraftList } from "./learn/draft.ts";
export { learn, type LearnStart } from "./learn/dialogue.ts";
export type { Pulse, PulseReader } from "./learn/gpio_watch.ts";
export { InputEnded, type Terminal } from "./learn/questions.ts";
export type { LearnHosts } from "./learn/watch.ts";
