import type { Clock } from "../../../hal/mod.ts";
import type { DriverLog } from "../../contract.ts";

/** A broken or hostile reader repeats its fault fifty times a second; a log on an SD card must not. */
const REPEAT_MS_MIN = 10_000;

/**
 * A log in which each message comes at most once in 10 s, with how many were left out before it.
 * Messages are constants of the driver, so what is kept is bounded.
 */
export function quietLog(clock: Clock, log: DriverLog): DriverLog {
  const last = new Map<string, { sinceMs: number; leftOut: number }>();
  return (level, message, fields) => {
    const nowMs = clock.monotonicMs();
    const before = last.get(message);
    if (before !== undefined && nowMs - before.sinceMs < REPEAT_MS_MIN) {
      before.leftOut++;
      return;
    }
    last.set(message, { sinceMs: nowMs, leftOut: 0 });
    const leftOut = before?.leftOut ?? 0;
    log(level, message, leftOut === 0 ? fields : { ...fields, leftOut });
  };
}
