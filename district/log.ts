import type { Clock } from "../hal/mod.ts";

/** Fields of a structured log line. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

/** Writes one line of JSON a call: `{"time","level","part","message",…fields}`. Never secrets. */
export interface Log {
  /** What went as it should. */
  info(message: string, fields?: LogFields): void;
  /** What somebody should know. */
  warn(message: string, fields?: LogFields): void;
  /** What failed. */
  error(message: string, fields?: LogFields): void;
}

/** A log that hands its lines (without the line feed) to `write`. */
export function jsonLog(clock: Clock, write: (line: string) => void): Log {
  const line = (level: string) => (message: string, fields: LogFields = {}) => {
    const time = new Date(clock.wallMs()).toISOString();
    write(JSON.stringify({ time, level, part: "district", message, ...fields }));
  };
  return { info: line("info"), warn: line("warn"), error: line("error") };
}

/** What to log of something that was thrown. */
export function faultFields(error: unknown): LogFields {
  return error instanceof Error
    ? { detail: error.message, ...(error.stack === undefined ? {} : { stack: error.stack }) }
    : { detail: String(error) };
}
