import type { Clock } from "../clock.ts";
import { HalError } from "../error.ts";
import type { SerialChunk, SerialLineErrors, SerialPort, SerialSettings } from "../serial.ts";
import { ERRNO, errno, errnoName, libc } from "./libc.ts";
import { Poller, POLLGONE, POLLIN, POLLOUT } from "./poller.ts";

const TIOCOUTQ = 0x5411;
const TIOCNXCL = 0x540d;
const TCFLSH = 0x540b;
const TIOCGICOUNT = 0x545d;
/** `struct serial_icounter_struct` (`linux/serial.h`): 11 counters and 9 reserved, each an int. */
const ICOUNT_INTS = 20;
const TCIFLUSH = 0n;
const LOCK_UN = 8;

/** A tty's line discipline hands out at most this much at once. */
const READ_BYTES_MAX = 4096;
const READ_BYTES = BigInt(READ_BYTES_MAX);
/** What a hung-up line answers, and what some adapters' drivers do while they are pulled out. */
const GONE: ReadonlySet<number> = new Set([ERRNO.EIO, ERRNO.ENODEV, ERRNO.ENXIO]);
/** See {@link SerialPort.write}. */
const STALL_MS_MAX = 1_000;
/** `discardInput` ends even on a line that never falls silent. */
const DISCARD_READS_MAX = 64;

/** A serial line over a non-blocking tty descriptor, which it owns. */
export class FdSerialPort implements SerialPort {
  /** What it was opened with. */
  readonly settings: SerialSettings;
  readonly #fd: number;
  readonly #clock: Clock;
  readonly #libc = libc();
  readonly #buffer = new Uint8Array(READ_BYTES_MAX);
  readonly #input: Poller;
  readonly #output: Poller;
  readonly #disposing = new AbortController();
  #reading = false;
  #writing = false;
  #idle: (() => void) | undefined;
  #disposal: Promise<void> | undefined;

  /** Takes over `fd`. */
  constructor(fd: number, settings: SerialSettings, clock: Clock) {
    this.#fd = fd;
    this.settings = settings;
    this.#clock = clock;
    this.#input = new Poller(fd, POLLIN);
    this.#output = new Poller(fd, POLLOUT);
  }

  /** See {@link SerialPort.read}. */
  async read(signal: AbortSignal): Promise<SerialChunk> {
    signal.throwIfAborted();
    this.#open("read");
    if (this.#reading) throw this.#fault("busy", "read: another read is waiting already");
    this.#reading = true;
    try {
      this.#input.wakeOn(signal);
      let readableMs = this.#clock.monotonicMs();
      for (;;) {
        const count = this.#libc.read(this.#fd, this.#buffer, READ_BYTES);
        if (count > 0) {
          return { bytes: this.#buffer.slice(0, count), receivedMonotonicMs: readableMs };
        }
        if (count === 0) throw this.#gone("read");
        const code = errno();
        if (GONE.has(code)) throw this.#gone("read");
        if (code !== ERRNO.EAGAIN && code !== ERRNO.EINTR) {
          throw this.#fault("io", `read: ${errnoName(code)}`);
        }
        await this.#input.wait(-1);
        readableMs = this.#clock.monotonicMs();
        // Before the next look at the tty: whoever gave up must not take bytes with him.
        signal.throwIfAborted();
        this.#open("read");
      }
    } finally {
      this.#reading = false;
      this.#idle?.();
    }
  }

  /** See {@link SerialPort.write}. */
  async write(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#open("write");
    if (this.#writing) throw this.#fault("busy", "write: another write is waiting already");
    this.#writing = true;
    try {
      let rest = bytes as Uint8Array<ArrayBuffer>;
      let tookMs = this.#clock.monotonicMs();
      while (rest.length > 0) {
        const count = this.#libc.write(this.#fd, rest, BigInt(rest.length));
        if (count === rest.length) return;
        if (count > 0) {
          rest = rest.subarray(count);
          tookMs = this.#clock.monotonicMs();
          continue;
        }
        const code = count < 0 ? errno() : ERRNO.EAGAIN;
        if (GONE.has(code)) throw this.#gone("write");
        if (code !== ERRNO.EAGAIN && code !== ERRNO.EINTR) {
          throw this.#fault("io", `write: ${errnoName(code)}`);
        }
        const leftMs = Math.ceil(tookMs + STALL_MS_MAX - this.#clock.monotonicMs());
        if (leftMs <= 0) {
          throw this.#fault("timeout", `write: the line took nothing for ${STALL_MS_MAX} ms`);
        }
        this.#output.wakeOn(signal);
        const ready = await this.#output.wait(leftMs);
        signal.throwIfAborted();
        this.#open("write");
        if ((ready & POLLGONE) !== 0) throw this.#gone("write");
      }
    } finally {
      this.#writing = false;
      this.#idle?.();
    }
  }

  /** See {@link SerialPort.drain}. */
  async drain(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#open("drain");
    if (this.#writing) throw this.#fault("busy", "drain: a write is waiting already");
    this.#writing = true;
    const end = AbortSignal.any([signal, this.#disposing.signal]);
    try {
      // tcdrain alone could not be aborted on a line that stands still; it only waits for the few
      // bytes in the port's own FIFO here.
      let queued = this.#queued();
      for (let tookMs = this.#clock.monotonicMs(); queued > 0;) {
        await this.#clock.sleep(1, end);
        const left = this.#queued();
        const nowMs = this.#clock.monotonicMs();
        if (left < queued) tookMs = nowMs;
        queued = left;
        if (nowMs - tookMs > STALL_MS_MAX) {
          throw this.#fault("timeout", `drain: the line took nothing for ${STALL_MS_MAX} ms`);
        }
      }
      if (await this.#libc.tcdrain(this.#fd) < 0) throw this.#gone("drain");
    } catch (error) {
      if (!signal.aborted) this.#open("drain");
      throw error;
    } finally {
      this.#writing = false;
      this.#idle?.();
    }
  }

  /** See {@link SerialPort.discardInput}. */
  discardInput(): void {
    this.#open("discard input of");
    this.#libc.ioctlValue(this.#fd, TCFLSH, TCIFLUSH);
    // What the flush of one end of a pty leaves is read away.
    for (let i = 0; i < DISCARD_READS_MAX; i++) {
      if (this.#libc.read(this.#fd, this.#buffer, READ_BYTES) <= 0) return;
    }
  }

  /** See {@link SerialPort.lineErrors}. */
  lineErrors(): SerialLineErrors | undefined {
    this.#open("count errors of");
    const counts = new Int32Array(ICOUNT_INTS);
    if (this.#libc.ioctl(this.#fd, TIOCGICOUNT, counts) < 0) return undefined;
    // cts, dsr, rng, dcd, rx, tx, frame, overrun, parity, brk, buf_overrun.
    return {
      framing: counts[6]!,
      overruns: counts[7]! + counts[10]!,
      parity: counts[8]!,
      breaks: counts[9]!,
    };
  }

  /** Lets go of the port and closes it; calls that wait end as disconnected. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposal ??= this.#dispose();
  }

  async #dispose(): Promise<void> {
    this.#disposing.abort(this.#fault("disconnected", "closed"));
    this.#input.wake();
    this.#output.wake();
    // The number of a closed descriptor is given out again: no call may be under way on it.
    while (this.#reading || this.#writing) {
      await new Promise<void>((resolve) => this.#idle = resolve);
    }
    this.#input.close();
    this.#output.close();
    // Let go before closing, which may wait for bytes that still leave: the port can be had at once.
    this.#libc.ioctlValue(this.#fd, TIOCNXCL, 0n);
    this.#libc.flock(this.#fd, LOCK_UN);
    await this.#libc.closeSlow(this.#fd);
  }

  #queued(): number {
    const count = new Int32Array(1);
    if (this.#libc.ioctl(this.#fd, TIOCOUTQ, count) < 0) throw this.#gone("drain");
    return count[0]!;
  }

  #open(doing: string): void {
    if (this.#disposal !== undefined) throw this.#fault("disconnected", `${doing}: it is closed`);
  }

  #gone(doing: string): HalError {
    return this.#fault("disconnected", `${doing}: the other end or the adapter is gone`);
  }

  #fault(kind: HalError["kind"], what: string): HalError {
    return new HalError(kind, `${this.settings.path}: ${what}`);
  }
}
