import { HalError } from "../error.ts";
import { ERRNO, errno, errnoName, libc } from "./libc.ts";
import { Poller, POLLIN } from "./poller.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const NETLINK_KOBJECT_UEVENT = 15;
/** The kernel's own messages; udev's are group 2. */
const KERNEL_GROUP = 1;
/** `struct sockaddr_nl`. */
const SOCKADDR_BYTES = 12;
/** The kernel's `UEVENT_BUFFER_SIZE` is 2 KiB, its head a path besides. */
const MESSAGE_BYTES_MAX = 8_192;
/** Taken before somebody else has his turn. */
const MESSAGES_A_TURN = 256;

/** What the kernel says of one device (Documentation/core-api/kobject.rst, kobject_uevent(3)). */
export interface Uevent {
  /** `add`, `remove`, `change`, `bind`, … */
  readonly action: string;
  /** `tty`, `gpio`, `hidraw`, … */
  readonly subsystem: string;
}

/** Reads a message of the kernel's; `undefined` when it is none. */
export function parseUevent(bytes: Uint8Array): Uevent | undefined {
  const fields = new Map<string, string>();
  for (const part of new TextDecoder().decode(bytes).split("\0")) {
    const at = part.indexOf("=");
    if (at > 0) fields.set(part.slice(0, at), part.slice(at + 1));
  }
  const [action, subsystem] = [fields.get("ACTION"), fields.get("SUBSYSTEM")];
  return action === undefined || subsystem === undefined ? undefined : { action, subsystem };
}

/** Listens to what the kernel says of devices that come and go (netlink(7)). It owns its socket. */
export class UeventSocket {
  readonly #fd: number;
  readonly #poller: Poller;

  /** @throws {@link HalError} `unsupported` where netlink is refused. */
  constructor() {
    const flags = SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK;
    this.#fd = libc().socket(AF_NETLINK, flags, NETLINK_KOBJECT_UEVENT);
    const address = new Uint8Array(SOCKADDR_BYTES);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_NETLINK, true);
    view.setUint32(8, KERNEL_GROUP, true);
    if (this.#fd < 0 || libc().bind(this.#fd, address, address.length) < 0) {
      const code = errno();
      if (this.#fd >= 0) libc().close(this.#fd);
      throw new HalError("unsupported", `listen to device events: ${errnoName(code)}`);
    }
    this.#poller = new Poller(this.#fd, POLLIN);
  }

  /**
   * Waits at most `timeoutMs` for events of one of `subsystems`. `true` also when the kernel had to drop
   * some; `false` when the time is over or `signal` aborts.
   */
  async wait(
    subsystems: ReadonlySet<string>,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    this.#poller.wakeOn(signal);
    if (signal.aborted) return false;
    await this.#poller.wait(timeoutMs);
    const bytes = new Uint8Array(MESSAGE_BYTES_MAX);
    const from = new Uint8Array(SOCKADDR_BYTES);
    const length = new Uint8Array(Uint32Array.of(SOCKADDR_BYTES).buffer);
    let heard = false;
    for (let i = 0; i < MESSAGES_A_TURN; i++) {
      const count = libc().recvfrom(this.#fd, bytes, BigInt(bytes.length), 0, from, length);
      if (count < 0) {
        if (errno() !== ERRNO.ENOBUFS) break;
        heard = true;
        continue;
      }
      // Any process may send here; the kernel's port is 0.
      if (new DataView(from.buffer).getUint32(4, true) !== 0) continue;
      const event = parseUevent(bytes.subarray(0, count));
      if (event !== undefined && subsystems.has(event.subsystem)) heard = true;
    }
    return heard;
  }

  /** The port at which the kernel and others reach this socket (`nl_pid`). */
  port(): number {
    const address = new Uint8Array(SOCKADDR_BYTES);
    const length = new Uint8Array(Uint32Array.of(SOCKADDR_BYTES).buffer);
    libc().getsockname(this.#fd, address, length);
    return new DataView(address.buffer).getUint32(4, true);
  }

  /** No wait may run. */
  close(): void {
    this.#poller.close();
    libc().close(this.#fd);
  }
}
