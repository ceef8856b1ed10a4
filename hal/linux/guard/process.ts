import type { Clock } from "../../clock.ts";
import { HalError } from "../../error.ts";
import { cPath, errno, errnoName, libc, O_CLOEXEC, O_CREAT, O_RDWR } from "../libc.ts";
import { type UnixConnection, UnixListener } from "../unix_socket.ts";
import { Guard, type GuardHost, type GuardLink } from "./guard.ts";
import { encodeMessage, type FromGuard, parseToGuard } from "./messages.ts";

const LOCK_EX_NB = 2 | 4;

/** What a guard process is given. */
export interface GuardProcessOptions {
  /** Where it listens; only its own user and root may connect. */
  readonly socket: string;
  /** Whether it outlives a box that says goodbye, and holds its outputs on. */
  readonly stay: boolean;
  /** How lines are driven; a test's are no GPIO lines. */
  readonly drive: GuardHost["drive"];
  readonly armWatchdog: GuardHost["armWatchdog"];
  readonly clock: Clock;
  readonly log: GuardHost["log"];
}

/**
 * Runs a guard until its work is over. `signal` asks it to end: at once, or if a box is connected when
 * that has said goodbye or died, since the system stops both together.
 *
 * @throws {@link HalError} `busy` when another guard listens there, `invalid`, `permission`, `io`.
 */
export async function runGuard(options: GuardProcessOptions, signal: AbortSignal): Promise<void> {
  const lock = takeLock(`${options.socket}.lock`);
  try {
    const done = new AbortController();
    const end = done.signal;
    using guard = new Guard({
      ...options,
      close: (fd) => void libc().close(fd),
      onDone: () => done.abort(),
    }, options.stay);
    const onSignal = () => guard.end();
    signal.addEventListener("abort", onSignal);
    if (signal.aborted) guard.end();
    const listener = UnixListener.open(options.socket);
    const serving = new Set<Promise<void>>();
    try {
      for (;;) {
        const connection = await listener.accept(end);
        if (connection === null) break;
        const one = serve(guard, connection, end).finally(() => serving.delete(one));
        serving.add(one);
      }
    } finally {
      signal.removeEventListener("abort", onSignal);
      listener.close();
      await Promise.all(serving);
    }
  } finally {
    libc().close(lock);
  }
}

async function serve(guard: Guard, connection: UnixConnection, end: AbortSignal): Promise<void> {
  const link: GuardLink = {
    send: (message: FromGuard, fd) => connection.send(encodeMessage(message), fd),
    close: () => connection.close(),
  };
  const { uid } = connection.peer();
  if (uid !== 0 && uid !== libc().geteuid()) return connection.close();
  if (!guard.connected(link)) return;
  for (;;) {
    const message = await connection.receive(end);
    if (message === null) break;
    guard.receive(link, parseToGuard(message.bytes), message.fd);
  }
  connection.close();
  // When the guard itself is told to end, the box has not died.
  if (!end.aborted) guard.disconnected(link);
}

/** The kernel drops the lock with its holder: what a killed guard leaves is in nobody's way. */
function takeLock(path: string): number {
  const fd = libc().openMode(cPath(path), O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
  if (fd < 0) throw new HalError("permission", `open ${path}: ${errnoName(errno())}`);
  if (libc().flock(fd, LOCK_EX_NB) === 0) return fd;
  libc().close(fd);
  throw new HalError("busy", `another guard holds ${path}`);
}
