import type { Clock } from "../hal/mod.ts";
import type { DriverLog } from "./contract.ts";

/** What is told one by one; a broken cable must not fill the disk. */
const TOLD_A_MINUTE = 5;
const MINUTE_MS = 60_000;

/** Warnings about what a device sends, at most five a minute; of the others only how many there were. */
export class LimitedLog {
  readonly #clock: Clock;
  readonly #log: DriverLog;
  #count = 0;
  #fromMs = -Infinity;

  /** Tells `log`. */
  constructor(clock: Clock, log: DriverLog) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Warns, unless there was enough of it. */
  warn(message: string, fields?: Readonly<Record<string, string | number | boolean>>): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#fromMs > MINUTE_MS) {
      if (this.#count > TOLD_A_MINUTE) {
        this.#log("warn", "there were more warnings of this device", {
          count: this.#count - TOLD_A_MINUTE,
        });
      }
      this.#count = 0;
      this.#fromMs = nowMs;
    }
    if (++this.#count <= TOLD_A_MINUTE) this.#log("warn", message, fields);
  }
}
