import type { Clock } from "../clock.ts";
import { HalError } from "../error.ts";
import type { SerialPort } from "../serial.ts";
import { FdSerialPort } from "./fd_serial_port.ts";
import {
  cPath,
  cString,
  errno,
  errnoName,
  libc,
  O_CLOEXEC,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDWR,
} from "./libc.ts";
import { configure, readBaudRate } from "./termios.ts";

/** A serial line without hardware: what is opened at `path` is joined with `port`. */
export interface PtyPair extends AsyncDisposable {
  /** Where the device under test opens its end. It may be closed and opened again. */
  readonly path: string;
  /** The other end, for a simulated device. */
  readonly port: SerialPort;
  /** Rate that the end at {@link PtyPair.path} was last set to: a pty itself carries bytes at any. */
  baudRate(): number;
  /** Pulls the plug: both ends read `disconnected`. Disposal does the same. Idempotent. */
  hangUp(): Promise<void>;
}

/** Makes a pty pair in raw mode (pty(7)). @throws {@link HalError} `io`, `unsupported`. */
export function openPtyPair(clock: Clock): PtyPair {
  const flags = O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
  const check = (result: number, what: string): number => {
    if (result < 0) throw new HalError("io", `make a pty pair: ${what}: ${errnoName(errno())}`);
    return result;
  };
  const master = check(libc().posix_openpt(flags), "posix_openpt");
  let keeper = -1;
  try {
    check(libc().grantpt(master), "grantpt");
    check(libc().unlockpt(master), "unlockpt");
    const name = new Uint8Array(128);
    // Returns the error instead of setting errno.
    check(-libc().ptsname_r(master, name, BigInt(name.length)), "ptsname_r");
    const path = cString(name);
    const settings = { path, baudRate: 38_400 };
    // Held open so that raw mode lasts and the simulated device does not see its box restart.
    keeper = check(libc().open(cPath(path), flags), `open ${path}`);
    configure(keeper, settings, true);
    const port = new FdSerialPort(master, settings, clock);
    let over: Promise<void> | undefined;
    const hangUp = () =>
      over ??= (async () => {
        await port[Symbol.asyncDispose]();
        libc().close(keeper);
      })();
    const baudRate = () => readBaudRate(keeper);
    return { path, port, baudRate, hangUp, [Symbol.asyncDispose]: hangUp };
  } catch (error) {
    if (keeper >= 0) libc().close(keeper);
    libc().close(master);
    throw error;
  }
}
