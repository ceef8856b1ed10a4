import type { Clock } from "../clock.ts";
import { HalError } from "../error.ts";
import type { SerialHost, SerialPort, SerialSettings } from "../serial.ts";
import { FdSerialPort } from "./fd_serial_port.ts";
import {
  cPath,
  errno,
  errnoName,
  kindOf,
  libc,
  O_CLOEXEC,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDWR,
  realPath,
} from "./libc.ts";
import { checkSettings, configure } from "./termios.ts";

const TIOCEXCL = 0x540c;
const LOCK_EX_NB = 2 | 4;

const ADVICE: Partial<Record<HalError["kind"], string>> = {
  "not-found": "nothing is there; look for it in /dev/serial/by-id",
  "permission": "this process may not open it; add its user to the group of the device (dialout)",
  "busy": "another process holds it; stop that one and try again",
};

/** Opens the serial ports of this machine (termios(3), ioctl_tty(2)). */
export function linuxSerialHost(clock: Clock): SerialHost {
  return {
    open: (settings, signal) =>
      // As a promise in every case: a caller that catches rejections need not catch throws as well.
      new Promise<SerialPort>((resolve) => resolve(openSerial(settings, clock, signal))),
  };
}

function openSerial(settings: SerialSettings, clock: Clock, signal: AbortSignal): SerialPort {
  signal.throwIfAborted();
  checkSettings(settings);
  const { path } = settings;
  const cpath = cPath(path);
  const fault = (code: number) => {
    const kind = kindOf(code);
    return new HalError(kind, `open ${path}: ${ADVICE[kind] ?? "failed"} (${errnoName(code)})`);
  };
  const fd = libc().open(cpath, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) throw fault(errno());
  try {
    // Root passes TIOCEXCL, so the lock is what keeps two boxes apart. It goes first: a port that
    // somebody works with must not be reconfigured.
    if (libc().flock(fd, LOCK_EX_NB) < 0) throw fault(errno());
    // TIOCEXCL lasts until the last close, and the other end keeps a pty open after its user was
    // killed: the next one could never open it.
    const pseudo = realPath(cpath)?.startsWith("/dev/pts/") ?? false;
    if (!pseudo) libc().ioctlValue(fd, TIOCEXCL, 0n);
    configure(fd, settings, pseudo);
    return new FdSerialPort(fd, settings, clock);
  } catch (error) {
    libc().close(fd);
    throw error;
  }
}
