import type { ByteStream } from "../byte_stream.ts";
import type { Clock } from "../clock.ts";
import { HalError } from "../error.ts";
import { cPath, ERRNO, errno, errnoName, kindOf, libc, O_CLOEXEC, O_NONBLOCK } from "./libc.ts";
import { Poller, POLLGONE, POLLIN, POLLOUT } from "./poller.ts";

const AF_UNIX = 1;
/** `SOCK_NONBLOCK` and `SOCK_CLOEXEC` are the open flags of the same sense (socket(2)). */
const SOCK_STREAM = 1 | O_NONBLOCK | O_CLOEXEC;
/** `struct sockaddr_un`: the family, then the path with its NUL. */
const PATH_OFFSET = 2;
const ADDRESS_BYTES = 110;

const READ_BYTES_MAX = 4096;
/** See {@link ByteStream.write}. */
const STALL_MS_MAX = 1_000;

/**
 * Connects to the stream socket of a local daemon (unix(7)). By FFI as the devices are: Deno's own
 * would want rights to write and to reach the network for each path.
 *
 * @throws {@link HalError} `not-found` when nobody listens there, `permission`, `busy`, `invalid`.
 */
export function linuxConnectUnix(
  clock: Clock,
): (path: string, signal: AbortSignal) => Promise<ByteStream> {
  return (path, signal) =>
    new Promise<ByteStream>((resolve) => resolve(connect(path, clock, signal)));
}

function connect(path: string, clock: Clock, signal: AbortSignal): ByteStream {
  signal.throwIfAborted();
  const cpath = cPath(path);
  if (cpath.length > ADDRESS_BYTES - PATH_OFFSET) {
    throw new HalError("invalid", `connect to ${path}: a socket's path has at most 107 bytes`);
  }
  const address = new Uint8Array(ADDRESS_BYTES);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(cpath, PATH_OFFSET);
  const fd = libc().socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) throw new HalError("io", `socket: ${errnoName(errno())}`);
  // Local sockets connect at once or not at all; EAGAIN says that too many are waiting.
  if (libc().connect(fd, address, PATH_OFFSET + cpath.length) < 0) {
    const code = errno();
    libc().close(fd);
    const kind = kindOf(code);
    const advice = kind === "not-found"
      ? "nobody listens there; is the daemon installed and running?"
      : kind === "permission"
      ? "this process may not; add its user to the group of the socket"
      : "failed";
    throw new HalError(kind, `connect to ${path}: ${advice} (${errnoName(code)})`);
  }
  return new FdStream(fd, path, clock);
}

class FdStream implements ByteStream {
  readonly #fd: number;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #libc = libc();
  readonly #buffer = new Uint8Array(READ_BYTES_MAX);
  readonly #input: Poller;
  readonly #output: Poller;
  #reading = false;
  #writing = false;
  #idle: (() => void) | undefined;
  #disposal: Promise<void> | undefined;

  constructor(fd: number, path: string, clock: Clock) {
    this.#fd = fd;
    this.#path = path;
    this.#clock = clock;
    this.#input = new Poller(fd, POLLIN);
    this.#output = new Poller(fd, POLLOUT);
  }

  async read(signal: AbortSignal): Promise<Uint8Array | null> {
    signal.throwIfAborted();
    this.#open();
    if (this.#reading) throw this.#fault("busy", "another read is waiting already");
    this.#reading = true;
    try {
      this.#input.wakeOn(signal);
      for (;;) {
        const count = this.#libc.read(this.#fd, this.#buffer, BigInt(READ_BYTES_MAX));
        if (count > 0) return this.#buffer.slice(0, count);
        if (count === 0) return null;
        const code = errno();
        if (code !== ERRNO.EAGAIN && code !== ERRNO.EINTR) throw this.#failed("read", code);
        await this.#input.wait(-1);
        signal.throwIfAborted();
        this.#open();
      }
    } finally {
      this.#reading = false;
      this.#idle?.();
    }
  }

  async write(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#open();
    if (this.#writing) throw this.#fault("busy", "another write is waiting already");
    this.#writing = true;
    try {
      let rest = bytes as Uint8Array<ArrayBuffer>;
      let tookMs = this.#clock.monotonicMs();
      while (rest.length > 0) {
        const count = this.#libc.write(this.#fd, rest, BigInt(rest.length));
        if (count > 0) {
          rest = rest.subarray(count);
          tookMs = this.#clock.monotonicMs();
          continue;
        }
        const code = errno();
        if (code !== ERRNO.EAGAIN && code !== ERRNO.EINTR) throw this.#failed("write", code);
        const leftMs = Math.ceil(tookMs + STALL_MS_MAX - this.#clock.monotonicMs());
        if (leftMs <= 0) throw this.#fault("timeout", `it took nothing for ${STALL_MS_MAX} ms`);
        this.#output.wakeOn(signal);
        const ready = await this.#output.wait(leftMs);
        signal.throwIfAborted();
        this.#open();
        if ((ready & POLLGONE) !== 0) throw this.#fault("disconnected", "the daemon is gone");
      }
    } finally {
      this.#writing = false;
      this.#idle?.();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposal ??= this.#dispose();
  }

  async #dispose(): Promise<void> {
    this.#input.wake();
    this.#output.wake();
    // The number of a closed descriptor is given out again: no call may be under way on it.
    while (this.#reading || this.#writing) {
      await new Promise<void>((resolve) => this.#idle = resolve);
    }
    this.#input.close();
    this.#output.close();
    this.#libc.close(this.#fd);
  }

  #open(): void {
    if (this.#disposal !== undefined) throw this.#fault("disconnected", "it is closed");
  }

  #failed(doing: string, code: number): HalError {
    return code === ERRNO.EPIPE || code === ERRNO.ECONNRESET
      ? this.#fault("disconnected", `${doing}: the daemon is gone`)
      : this.#fault("io", `${doing}: ${errnoName(code)}`);
  }

  #fault(kind: HalError["kind"], what: string): HalError {
    return new HalError(kind, `${this.#path}: ${what}`);
  }
}
