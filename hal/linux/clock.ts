import type { Cancel, Clock, WallQuality } from "../clock.ts";
import { libc } from "./libc.ts";

const CLOCK_MONOTONIC = 1;
/** `STA_UNSYNC` of `struct timex` (`linux/timex.h`). */
const STA_UNSYNC = 0x0040;
/** `sizeof(struct timex)` is 208 on 64-bit Linux; some room is left. */
const TIMEX_BYTES = 256;
const TIMEX_STATUS_OFFSET = 40;
/** A source of time comes and goes within minutes; a system call for each event would be waste. */
const QUALITY_CACHE_MS = 5_000;
/** `setTimeout` fires at once beyond this. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

class TimerClock implements Clock {
  readonly #originMs: number;
  readonly #readQuality: () => WallQuality;
  #quality: WallQuality = "unsynchronised";
  #qualityReadMs = -Infinity;

  constructor(originMs: number, readQuality: () => WallQuality) {
    this.#originMs = originMs;
    this.#readQuality = readQuality;
  }

  monotonicMs(): number {
    return this.#originMs + performance.now();
  }

  wallMs(): number {
    return Date.now();
  }

  wallQuality(): WallQuality {
    const nowMs = performance.now();
    if (nowMs - this.#qualityReadMs >= QUALITY_CACHE_MS) {
      this.#quality = this.#readQuality();
      this.#qualityReadMs = nowMs;
    }
    return this.#quality;
  }

  sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = () => {
        cancel();
        reject(signal.reason);
      };
      const cancel = this.schedule(delayMs, () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  schedule(delayMs: number, callback: () => void): Cancel {
    // NaN is a caller's bug that setTimeout would hide as "at once".
    if (Number.isNaN(delayMs)) throw new RangeError("schedule: the delay is not a number");
    const dueMs = performance.now() + delayMs;
    let timer: ReturnType<typeof setTimeout>;
    const arm = () => {
      // Timers have whole milliseconds and may fire a fraction early; a hold must not be short.
      const leftMs = Math.ceil(dueMs - performance.now());
      if (leftMs <= 0) return callback();
      timer = setTimeout(arm, Math.min(leftMs, TIMEOUT_MS_MAX));
    };
    timer = setTimeout(arm, Math.min(Math.max(Math.ceil(delayMs), 0), TIMEOUT_MS_MAX));
    return () => clearTimeout(timer);
  }
}

/** CLOCK_MONOTONIC minus `performance.now()`, in ms: both run off the same kernel clock. */
function monotonicOriginMs(): number {
  const timespec = new BigInt64Array(2);
  let best = { widthMs: Infinity, originMs: 0 };
  // The narrowest of some brackets, in case the scheduler steps in between the two readings.
  for (let i = 0; i < 8; i++) {
    const beforeMs = performance.now();
    libc().clock_gettime(CLOCK_MONOTONIC, timespec);
    const afterMs = performance.now();
    const widthMs = afterMs - beforeMs;
    if (widthMs < best.widthMs) {
      const kernelMs = Number(timespec[0]!) * 1e3 + Number(timespec[1]!) / 1e6;
      best = { widthMs, originMs: kernelMs - (beforeMs + afterMs) / 2 };
    }
  }
  return best.originMs;
}

function kernelWallQuality(): WallQuality {
  const timex = new Uint8Array(TIMEX_BYTES);
  // Mode 0 only reads. It fails under a seccomp filter that denies @clock (systemd's ProtectClock):
  // then nothing is known, and nothing known counts as bad.
  if (libc().adjtimex(timex) < 0) return "unsynchronised";
  const status = new DataView(timex.buffer).getInt32(TIMEX_STATUS_OFFSET, true);
  return (status & STA_UNSYNC) === 0 ? "synchronised" : "unsynchronised";
}

/**
 * The clocks of this machine: `CLOCK_MONOTONIC` (the scale of kernel GPIO time stamps) and the wall
 * clock, whose quality is the kernel's `STA_UNSYNC` (adjtimex(2)), looked up at most every 5 s.
 *
 * @throws `HalError` `unsupported` without `--allow-ffi`.
 */
export function linuxClock(): Clock {
  return new TimerClock(monotonicOriginMs(), kernelWallQuality);
}

/**
 * A clock for a program without devices, and so without `--allow-ffi` (the district): monotonic time
 * counts from the process's start, and `wallQuality` is what the operator answers for.
 */
export function processClock(wallQuality: WallQuality = "synchronised"): Clock {
  return new TimerClock(0, () => wallQuality);
}
