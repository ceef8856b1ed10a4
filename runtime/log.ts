import type { Clock } from "../hal/mod.ts";
import type { DriverLog } from "../drivers/contract.ts";

/** Fields of a structured log line. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

/** Writes one line of JSON a call: `{"time","level","part","message",…fields}`. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log, its lines marked as of `part`. */
  part(part: string): Log;
}

/** Levels from the quietest up. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
/** One of them. */
export type LogLevel = typeof LOG_LEVELS[number];

/** A log that hands its lines (without the line feed) to `write`, from `level` up. */
export function jsonLog(
  clock: Clock,
  write: (line: string) => void,
  level: LogLevel = "info",
  part = "box",
): Log {
  const from = LOG_LEVELS.indexOf(level);
  const line = (lineLevel: LogLevel) => (message: string, fields: LogFields = {}) => {
    if (LOG_LEVELS.indexOf(lineLevel) < from) return;
    const time = new Date(clock.wallMs()).toISOString();
    write(JSON.stringify({ time, level: lineLevel, part, message, ...fields }));
  };
  return {
    debug: line("debug"),
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
    part: (name) => jsonLog(clock, write, level, name),
  };
}

/** `log` as a driver writes to it. */
export function driverLog(log: Log): DriverLog {
  return (level, message, fields) => log[level](message, fields);
}
