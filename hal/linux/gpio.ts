import type { Clock } from "../clock.ts";
import { HalError } from "../error.ts";
import type { GpioEdge, GpioHost, GpioLine, GpioSettings } from "../gpio.ts";
import type { GuardClient } from "./guard/client.ts";
import {
  encodeLineRequest,
  encodeLineValues,
  GPIO_EVENT_RISING,
  GPIO_IOCTL,
  GPIO_LAYOUT,
} from "./gpio_abi.ts";
import {
  cPath,
  cString,
  ERRNO,
  errno,
  errnoName,
  kindOf,
  libc,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
} from "./libc.ts";
import { Poller, POLLGONE, POLLIN } from "./poller.ts";

const F_SETFL = 4;
/** Chips looked through for a label; a Raspberry Pi 5 has 6. */
const CHIPS_MAX = 64;
/** `debounce_period_us` has 32 bits; no contact bounces for longer than this. */
const DEBOUNCE_MS_MAX = 60_000;
/** Edges taken by one read. */
const EVENTS_A_READ = 16;

/** What the GPIO host uses of a box's guard. */
export type GpioGuard = Pick<GuardClient, "claim" | "hold" | "release">;

/**
 * Requests lines of this machine's GPIO chips (`/dev/gpiochip*`, character device v2). Edges are
 * stamped by the kernel on `CLOCK_MONOTONIC`, the scale of `linuxClock`, which is to be given.
 *
 * With a `guard`, outputs that say `onCrash` are held by it too. A line that it held while no box was
 * there is taken over as it stands, without a gap: not `initial` counts, but the level at which it was
 * left, until it is written or the guard is told that the box is ready.
 */
export function linuxGpioHost(_clock: Clock, guard?: GpioGuard): GpioHost {
  return {
    request: async (settings, signal) => await requestLine(settings, guard, signal),
  };
}

/** Drives the line behind a descriptor. @throws {@link HalError} `disconnected`. */
export function driveGpioFd(fd: number, active: boolean): void {
  if (libc().ioctl(fd, GPIO_IOCTL.setValues, encodeLineValues(active)) >= 0) return;
  throw new HalError("disconnected", `drive a GPIO line: the chip is gone (${errnoName(errno())})`);
}

async function requestLine(
  settings: GpioSettings,
  guard: GpioGuard | undefined,
  signal: AbortSignal,
): Promise<GpioLine> {
  signal.throwIfAborted();
  const { chip, line, direction, activeLow = false, onCrash, debounceMs = 0 } = settings;
  const what = `GPIO line ${line} of ${chip}`;
  if (!Number.isInteger(line) || line < 0 || line > 0xffff) {
    throw new HalError("invalid", `${what}: expected a line from 0`);
  }
  if (!(debounceMs >= 0 && debounceMs <= DEBOUNCE_MS_MAX)) {
    throw new HalError("invalid", `${what}: debounce: expected 0 to ${DEBOUNCE_MS_MAX} ms`);
  }
  const { fd: chipFd, name, lines } = openChip(chip);
  try {
    if (line >= lines) {
      throw new HalError("not-found", `${what}: the chip has lines 0 to ${lines - 1}`);
    }
    const id = `${name}/${line}`;
    const fd = await takeOver(id, settings, guard) ?? requestFd(chipFd, settings);
    const guarded = direction === "output" && onCrash !== undefined ? guard : undefined;
    const made = new LinuxGpioLine(fd, settings, guarded && { guard: guarded, id });
    if (onCrash !== undefined) {
      guarded?.hold({ id, fd, activeLow, onCrash, redrive: () => made.redrive() });
    }
    return made;
  } finally {
    libc().close(chipFd);
  }
}

function requestFd(chipFd: number, settings: GpioSettings): number {
  const request = encodeLineRequest(settings);
  if (libc().ioctl(chipFd, GPIO_IOCTL.getLine, request) < 0) throw refused(settings, errno());
  const fd = new DataView(request.buffer).getInt32(GPIO_LAYOUT.lineRequest.fd, true);
  if (libc().fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
    const code = errno();
    libc().close(fd);
    throw refused(settings, code);
  }
  return fd;
}

/** The descriptor that the guard holds for an output, if it has one that still works. */
async function takeOver(
  id: string,
  { direction, activeLow = false, onCrash }: GpioSettings,
  guard: GpioGuard | undefined,
): Promise<number | undefined> {
  const claimed = await guard?.claim(id);
  if (claimed === undefined) return undefined;
  const works = libc().ioctl(claimed.fd, GPIO_IOCTL.getValues, encodeLineValues(false)) >= 0;
  const same = direction === "output" && onCrash !== undefined && activeLow === claimed.activeLow;
  if (works && same) return claimed.fd;
  // The chip was pulled meanwhile, or box.yaml means another thing by the line.
  libc().close(claimed.fd);
  await guard?.release(id, false);
  return undefined;
}

function refused(settings: GpioSettings, code: number): HalError {
  const what = `GPIO line ${settings.line} of ${settings.chip}`;
  if (code === ERRNO.EBUSY) {
    return new HalError(
      "busy",
      `${what}: a driver or another process holds it (see gpioinfo); after a crash of the box it is its guard: start the box, or kill that`,
    );
  }
  // What the chip's driver says when the line has no interrupt.
  if (settings.direction === "input" && (code === ERRNO.ENXIO || code === ERRNO.EOPNOTSUPP)) {
    return new HalError("unsupported", `${what}: it cannot report edges; use another line`);
  }
  return new HalError(kindOf(code), `${what}: the request is refused (${errnoName(code)})`);
}

function openChip(chip: string): { fd: number; name: string; lines: number } {
  const byName = /^gpiochip\d{1,4}$/.test(chip);
  const names = byName ? [chip] : Array.from({ length: CHIPS_MAX }, (_, i) => `gpiochip${i}`);
  let denied: number | undefined;
  for (const name of names) {
    const fd = libc().open(cPath(`/dev/${name}`), O_RDWR | O_CLOEXEC);
    if (fd < 0) {
      const code = errno();
      if (kindOf(code) === "not-found") continue;
      denied ??= code;
      continue;
    }
    const info = new Uint8Array(GPIO_LAYOUT.chipInfo.bytes);
    const known = libc().ioctl(fd, GPIO_IOCTL.chipInfo, info) >= 0;
    const { label, labelBytes, lines } = GPIO_LAYOUT.chipInfo;
    if (known && (byName || cString(info.subarray(label, label + labelBytes)) === chip)) {
      return { fd, name, lines: new DataView(info.buffer).getUint32(lines, true) };
    }
    libc().close(fd);
    if (byName) throw new HalError("invalid", `/dev/${name}: this is not a GPIO chip`);
  }
  if (denied !== undefined) {
    const advice = "add this process's user to the group of /dev/gpiochip*";
    throw new HalError(kindOf(denied), `GPIO chip ${chip}: ${advice} (${errnoName(denied)})`);
  }
  throw new HalError("not-found", `GPIO chip ${chip}: there is none of this name or label`);
}

/** A chip's label, `undefined` when it may not be opened. `name` is such as `gpiochip0`. */
export function chipLabel(name: string): string | undefined {
  const fd = libc().open(cPath(`/dev/${name}`), O_RDWR | O_CLOEXEC);
  if (fd < 0) return undefined;
  const info = new Uint8Array(GPIO_LAYOUT.chipInfo.bytes);
  const known = libc().ioctl(fd, GPIO_IOCTL.chipInfo, info) >= 0;
  libc().close(fd);
  const { label, labelBytes } = GPIO_LAYOUT.chipInfo;
  return known ? cString(info.subarray(label, label + labelBytes)) : undefined;
}

class LinuxGpioLine implements GpioLine {
  readonly settings: GpioSettings;
  readonly #fd: number;
  readonly #libc = libc();
  readonly #poller: Poller;
  readonly #guarded: { readonly guard: GpioGuard; readonly id: string } | undefined;
  #driven: boolean | undefined;
  #waiting = false;
  #idle: (() => void) | undefined;
  #disposal: Promise<void> | undefined;

  constructor(
    fd: number,
    settings: GpioSettings,
    guarded: { readonly guard: GpioGuard; readonly id: string } | undefined,
  ) {
    this.#fd = fd;
    this.settings = settings;
    this.#guarded = guarded;
    this.#poller = new Poller(fd, POLLIN);
  }

  read(): boolean {
    this.#open();
    const values = encodeLineValues(false);
    if (this.#libc.ioctl(this.#fd, GPIO_IOCTL.getValues, values) < 0) throw this.#gone("read");
    return values[GPIO_LAYOUT.lineValues.bits] === 1;
  }

  write(active: boolean): void {
    this.#open();
    if (this.settings.direction !== "output") throw this.#fault("invalid", "it is an input");
    this.#driven = active;
    const values = encodeLineValues(active);
    if (this.#libc.ioctl(this.#fd, GPIO_IOCTL.setValues, values) < 0) throw this.#gone("write");
  }

  /** Drives an output to what it was last told. Whoever follows the chip hears that it is gone. */
  redrive(): void {
    if (this.#disposal !== undefined) return;
    const values = encodeLineValues(this.#driven ?? this.settings.initial ?? false);
    this.#libc.ioctl(this.#fd, GPIO_IOCTL.setValues, values);
  }

  async *edges(signal: AbortSignal): AsyncGenerator<GpioEdge, void, undefined> {
    if (this.settings.direction !== "input") throw this.#fault("invalid", "it is an output");
    const { lineEvent } = GPIO_LAYOUT;
    const events = new Uint8Array(lineEvent.bytes * EVENTS_A_READ);
    const view = new DataView(events.buffer);
    while (!signal.aborted) {
      this.#open();
      const count = this.#libc.read(this.#fd, events, BigInt(events.length));
      if (count < 0) {
        const code = errno();
        if (code !== ERRNO.EAGAIN && code !== ERRNO.EINTR) throw this.#gone("wait");
        await this.#wait(signal);
        continue;
      }
      if (count === 0) throw this.#gone("wait");
      for (let at = 0; at + lineEvent.bytes <= count; at += lineEvent.bytes) {
        yield {
          active: view.getUint32(at + lineEvent.id, true) === GPIO_EVENT_RISING,
          atMonotonicMs: Number(view.getBigUint64(at + lineEvent.timestampNs, true)) / 1e6,
          sequence: view.getUint32(at + lineEvent.lineSeqno, true),
        };
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposal ??= (async () => {
      this.#poller.wake();
      while (this.#waiting) await new Promise<void>((resolve) => this.#idle = resolve);
      this.#poller.close();
      this.#libc.close(this.#fd);
      await this.#guarded?.guard.release(this.#guarded.id, true);
    })();
  }

  async #wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting) throw this.#fault("busy", "its edges are followed already");
    this.#waiting = true;
    try {
      this.#poller.wakeOn(signal);
      // The kernel reports a chip that was pulled as an error condition, and for good.
      if ((await this.#poller.wait(-1) & POLLGONE) !== 0) throw this.#gone("wait");
    } finally {
      this.#waiting = false;
      this.#idle?.();
    }
  }

  #open(): void {
    if (this.#disposal !== undefined) throw this.#fault("disconnected", "it is released");
  }

  #gone(doing: string): HalError {
    return this.#fault("disconnected", `${doing}: the chip is gone`);
  }

  #fault(kind: HalError["kind"], what: string): HalError {
    return new HalError(kind, `GPIO line ${this.settings.line} of ${this.settings.chip}: ${what}`);
  }
}
