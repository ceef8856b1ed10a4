import { HalError } from "../error.ts";
import type { Watchdog, WatchdogHost, WatchdogSettings } from "../watchdog.ts";
import { cPath, errno, errnoName, kindOf, libc, O_CLOEXEC, O_WRONLY } from "./libc.ts";

/** `linux/watchdog.h`; the same on x64 and arm64. */
export const WATCHDOG_IOCTL = {
  setTimeout: 0xc0045706,
  getTimeout: 0x80045707,
  keepAlive: 0x80045705,
  getSupport: 0x80285700,
} as const;
/** `struct watchdog_info`. */
export const WATCHDOG_INFO_BYTES = 40;

/** Disarms at the next close, where the driver allows it ("magic close", watchdog-api.rst). */
const MAGIC_CLOSE = new TextEncoder().encode("V");
/** An hour: the kernel's drivers take less; longer is a mistake in units. */
const TIMEOUT_MS_MAX = 3_600_000;

/** Arms the hardware watchdogs of this machine (Documentation/watchdog/watchdog-api.rst). */
export function linuxWatchdogHost(): WatchdogHost {
  return {
    open: (settings, signal) =>
      new Promise<Watchdog>((resolve) => {
        signal.throwIfAborted();
        resolve(armWatchdog(settings));
      }),
  };
}

/** Arms a watchdog at once; see {@link WatchdogHost.open}. */
export function armWatchdog({ path, timeoutMs }: WatchdogSettings): Watchdog {
  if (!(timeoutMs >= 1_000 && timeoutMs <= TIMEOUT_MS_MAX)) {
    throw new HalError(
      "invalid",
      `watchdog ${path}: ${timeoutMs}: expected 1000 to ${TIMEOUT_MS_MAX} ms`,
    );
  }
  const fd = libc().open(cPath(path), O_WRONLY | O_CLOEXEC);
  if (fd < 0) throw refused(path, errno());
  // Before anything is written: by a slip in box.yaml this could be a disk.
  if (libc().ioctl(fd, WATCHDOG_IOCTL.getSupport, new Uint8Array(WATCHDOG_INFO_BYTES)) < 0) {
    const code = errno();
    libc().close(fd);
    throw new HalError("invalid", `watchdog ${path}: this is none (${errnoName(code)})`);
  }
  const seconds = new Int32Array([Math.round(timeoutMs / 1_000)]);
  const bytes = new Uint8Array(seconds.buffer);
  // Some have one fixed time: they say which, and it counts.
  if (
    libc().ioctl(fd, WATCHDOG_IOCTL.setTimeout, bytes) < 0 &&
    libc().ioctl(fd, WATCHDOG_IOCTL.getTimeout, bytes) < 0
  ) {
    const code = errno();
    libc().write(fd, MAGIC_CLOSE, 1n);
    libc().close(fd);
    throw new HalError(
      "invalid",
      `watchdog ${path}: it takes no ${timeoutMs} ms (${errnoName(code)})`,
    );
  }
  return new LinuxWatchdog(fd, path, seconds[0]! * 1_000);
}

class LinuxWatchdog implements Watchdog {
  readonly timeoutMs: number;
  readonly #path: string;
  #fd: number | undefined;

  constructor(fd: number, path: string, timeoutMs: number) {
    this.#fd = fd;
    this.#path = path;
    this.timeoutMs = timeoutMs;
  }

  pet(): void {
    if (this.#fd === undefined || libc().ioctlValue(this.#fd, WATCHDOG_IOCTL.keepAlive, 0n) < 0) {
      throw new HalError("disconnected", `watchdog ${this.#path}: it is gone`);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) {
      libc().write(fd, MAGIC_CLOSE, 1n);
      libc().close(fd);
    }
    return Promise.resolve();
  }
}

function refused(path: string, code: number): HalError {
  const kind = kindOf(code);
  const advice: Partial<Record<HalError["kind"], string>> = {
    "not-found": "there is none; load its driver, or leave watchdog out of box.yaml",
    "permission": "this process may not open it; give its user the device",
    "busy":
      "another program pets it, mostly systemd (RuntimeWatchdogSec=) or watchdogd; name another one, or stop that",
  };
  return new HalError(
    kind,
    `watchdog ${path}: ${advice[kind] ?? "it is refused"} (${errnoName(code)})`,
  );
}
