import { HalError } from "../error.ts";
import { cPath, ERRNO, errno, errnoName, libc } from "./libc.ts";
import { Poller, POLLIN } from "./poller.ts";

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SCM_RIGHTS = 1;
const MSG_CTRUNC = 0x8;
const MSG_TRUNC = 0x20;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;

/** `sun_path` of `struct sockaddr_un`, its end included (unix(7)). */
const PATH_BYTES_MAX = 108;
/** Connections that wait to be taken; one box and one that restarts. */
const BACKLOG = 4;
/** Both ends speak in messages of some hundred bytes; a longer one is not from them. */
const MESSAGE_BYTES_MAX = 4_096;

/** `struct msghdr`, `struct iovec` and `struct cmsghdr` on 64-bit Linux (socket.7, cmsg.3). */
export const SOCKET_LAYOUT = {
  msghdr: { bytes: 56, iov: 16, iovlen: 24, control: 32, controllen: 40, flags: 48 },
  /**
   * One descriptor: `CMSG_SPACE(4)`, `CMSG_LEN(4)`, `CMSG_DATA`. The length is what is offered, as
   * the padded space would take two.
   */
  oneFd: { space: 24, len: 20, data: 16 },
} as const;

/** One message as it came. */
export interface UnixMessage {
  readonly bytes: Uint8Array;
  /** A descriptor that came along, a new one of this process, which the receiver owns. */
  readonly fd: number | undefined;
}

/** A message with room for one descriptor: the structures that sendmsg(2) and recvmsg(2) want. */
class Envelope {
  readonly body = new Uint8Array(new ArrayBuffer(MESSAGE_BYTES_MAX));
  readonly header: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #iov = new BigUint64Array(new ArrayBuffer(16));
  readonly #control = new DataView(new ArrayBuffer(SOCKET_LAYOUT.oneFd.space));

  constructor() {
    const { bytes, iov, iovlen } = SOCKET_LAYOUT.msghdr;
    this.header = new Uint8Array(new ArrayBuffer(bytes));
    this.#view = new DataView(this.header.buffer);
    this.#iov[0] = address(this.body.buffer);
    this.#view.setBigUint64(iov, address(this.#iov.buffer), true);
    this.#view.setBigUint64(iovlen, 1n, true);
  }

  /** Readies it for `length` bytes of body, and `fd` or, at `null`, none. */
  load(length: number, fd: number | null): void {
    const { control, controllen } = SOCKET_LAYOUT.msghdr;
    const { len, data } = SOCKET_LAYOUT.oneFd;
    this.#iov[1] = BigInt(length);
    const used = fd !== null;
    this.#view.setBigUint64(control, used ? address(this.#control.buffer) : 0n, true);
    this.#view.setBigUint64(controllen, used ? BigInt(len) : 0n, true);
    if (!used) return;
    this.#control.setBigUint64(0, BigInt(len), true);
    this.#control.setInt32(8, SOL_SOCKET, true);
    this.#control.setInt32(12, SCM_RIGHTS, true);
    this.#control.setInt32(data, fd, true);
  }

  flags(): number {
    return this.#view.getInt32(SOCKET_LAYOUT.msghdr.flags, true);
  }

  /** The descriptor that came, after recvmsg. */
  fd(): number | undefined {
    const { len, data } = SOCKET_LAYOUT.oneFd;
    const came = this.#view.getBigUint64(SOCKET_LAYOUT.msghdr.controllen, true);
    if (came < BigInt(len)) return undefined;
    if (this.#control.getBigUint64(0, true) !== BigInt(len)) return undefined;
    if (this.#control.getInt32(8, true) !== SOL_SOCKET) return undefined;
    if (this.#control.getInt32(12, true) !== SCM_RIGHTS) return undefined;
    return this.#control.getInt32(data, true);
  }
}

/** Buffers are made of their own `ArrayBuffer`, which V8 does not move. */
function address(buffer: ArrayBuffer): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(new Uint8Array(buffer)));
}

/**
 * A connection of whole messages (`SOCK_SEQPACKET`) that can carry descriptors (`SCM_RIGHTS`). It
 * owns its descriptor. One receiver at a time.
 */
export class UnixConnection {
  /** Stays this object's. */
  readonly fd: number;
  readonly #libc = libc();
  readonly #in = new Envelope();
  readonly #out = new Envelope();
  readonly #poller: Poller;
  #receiving = false;
  #closed = false;

  /** Takes over `fd`. */
  constructor(fd: number) {
    this.fd = fd;
    this.#poller = new Poller(fd, POLLIN);
  }

  /** Process and effective user that connected or listened (`SO_PEERCRED`). */
  peer(): { readonly pid: number; readonly uid: number } {
    const credentials = new Uint32Array(3);
    const length = Uint32Array.of(12);
    const result = this.#libc.getsockopt(
      this.fd,
      SOL_SOCKET,
      SO_PEERCRED,
      new Uint8Array(credentials.buffer),
      new Uint8Array(length.buffer),
    );
    if (result < 0) throw new HalError("io", `who is at a socket: ${errnoName(errno())}`);
    return { pid: credentials[0]!, uid: credentials[1]! };
  }

  /**
   * Sends `bytes`, and a duplicate of `fd`, at once or not at all: `false` when the peer has not read
   * what went before, or is gone.
   */
  send(bytes: Uint8Array, fd: number | null = null): boolean {
    if (this.#closed) return false;
    if (bytes.length === 0 || bytes.length > MESSAGE_BYTES_MAX) {
      throw new HalError(
        "invalid",
        `a message of ${bytes.length} bytes: 1 to ${MESSAGE_BYTES_MAX}`,
      );
    }
    this.#out.body.set(bytes);
    this.#out.load(bytes.length, fd);
    return this.#libc.sendmsg(this.fd, this.#out.header, MSG_NOSIGNAL) === bytes.length;
  }

  /** Waits for a message; `null` when the peer is gone, this end was closed, or `signal` aborts. */
  async receive(signal: AbortSignal): Promise<UnixMessage | null> {
    if (this.#closed || this.#receiving) return null;
    this.#receiving = true;
    try {
      this.#poller.wakeOn(signal);
      while (!this.#closed && !signal.aborted) {
        this.#in.load(MESSAGE_BYTES_MAX, -1);
        const count = this.#libc.recvmsg(this.fd, this.#in.header, MSG_CMSG_CLOEXEC);
        if (count > 0) {
          const fd = this.#in.fd();
          if ((this.#in.flags() & (MSG_TRUNC | MSG_CTRUNC)) === 0) {
            return { bytes: this.#in.body.slice(0, count), fd };
          }
          // Longer than anything we say, or with more descriptors: not from us.
          if (fd !== undefined) this.#libc.close(fd);
          return null;
        }
        if (count === 0) return null;
        const code = errno();
        if (code !== ERRNO.EAGAIN && code !== ERRNO.EINTR) return null;
        await this.#poller.wait(-1);
      }
      return null;
    } finally {
      this.#receiving = false;
      if (this.#closed) this.#free();
    }
  }

  /** Closes this end; a receiver that waits gets `null`. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#receiving) this.#poller.wake();
    else this.#free();
  }

  #free(): void {
    this.#poller.close();
    this.#libc.close(this.fd);
  }
}

/** Listens at a path for {@link UnixConnection}s. */
export class UnixListener {
  readonly #fd: number;
  readonly #path: Uint8Array<ArrayBuffer>;
  readonly #poller: Poller;
  #accepting = false;
  #closed = false;

  private constructor(fd: number, path: Uint8Array<ArrayBuffer>) {
    this.#fd = fd;
    this.#path = path;
    this.#poller = new Poller(fd, POLLIN);
  }

  /**
   * Makes the socket, in the place of one that a dead process left. Only this user may connect.
   *
   * @throws {@link HalError} `invalid`, `permission`, `not-found`, `io`.
   */
  static open(path: string): UnixListener {
    const where = socketAddress(path);
    const cpath = cPath(path);
    const fd = newSocket();
    libc().unlink(cpath);
    if (
      libc().bind(fd, where, where.length) < 0 || libc().chmod(cpath, 0o600) < 0 ||
      libc().listen(fd, BACKLOG) < 0
    ) {
      const code = errno();
      libc().close(fd);
      throw new HalError("io", `listen at ${path}: ${errnoName(code)}`);
    }
    return new UnixListener(fd, cpath);
  }

  /** Waits for the next one to connect; `null` when closed or `signal` aborts. */
  async accept(signal: AbortSignal): Promise<UnixConnection | null> {
    this.#accepting = true;
    try {
      this.#poller.wakeOn(signal);
      while (!this.#closed && !signal.aborted) {
        const fd = libc().accept4(this.#fd, null, null, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) return new UnixConnection(fd);
        const code = errno();
        if (code !== ERRNO.EAGAIN && code !== ERRNO.EINTR && code !== ERRNO.ECONNABORTED) {
          throw new HalError("io", `take a connection: ${errnoName(code)}`);
        }
        await this.#poller.wait(-1);
      }
      return null;
    } finally {
      this.#accepting = false;
      if (this.#closed) this.#free();
    }
  }

  /** Removes the socket. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    libc().unlink(this.#path);
    if (this.#accepting) this.#poller.wake();
    else this.#free();
  }

  #free(): void {
    this.#poller.close();
    libc().close(this.#fd);
  }
}

/** Connects to a {@link UnixListener}; `undefined` when nobody listens there. @throws {@link HalError}. */
export function connectUnix(path: string): UnixConnection | undefined {
  const where = socketAddress(path);
  const fd = newSocket();
  if (libc().connect(fd, where, where.length) === 0) return new UnixConnection(fd);
  const code = errno();
  libc().close(fd);
  const nobody: readonly number[] = [ERRNO.ENOENT, ERRNO.ECONNREFUSED, ERRNO.EAGAIN];
  if (nobody.includes(code)) return undefined;
  const kind = code === ERRNO.EACCES ? "permission" : "io";
  throw new HalError(kind, `connect to ${path}: ${errnoName(code)}`);
}

function newSocket(): number {
  const fd = libc().socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) throw new HalError("io", `make a socket: ${errnoName(errno())}`);
  return fd;
}

/** `struct sockaddr_un`. */
function socketAddress(path: string): Uint8Array<ArrayBuffer> {
  const bytes = cPath(path);
  if (bytes.length > PATH_BYTES_MAX) {
    throw new HalError(
      "invalid",
      `socket ${path}: longer than ${PATH_BYTES_MAX - 1} bytes; use a folder with a shorter path`,
    );
  }
  const out = new Uint8Array(2 + bytes.length);
  new DataView(out.buffer).setUint16(0, AF_UNIX, true);
  out.set(bytes, 2);
  return out;
}
