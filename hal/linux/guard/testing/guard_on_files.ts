/**
 * The guard's process for tests: `guard_on_files.ts SOCKET [--stay]`. Its lines are files, to which each level that it
 * drives is appended as `0` or `1`; its watchdog appends `a` (armed), `p` (petted) and `d` (disarmed)
 * to `SOCKET.watchdog`.
 *
 * @module
 */
import { linuxClock } from "../../clock.ts";
import { cPath, libc, O_CREAT, O_RDWR } from "../../libc.ts";
import { runGuard } from "../process.ts";

const O_APPEND = 0o2000;
const [socket, flag] = Deno.args;
const clock = linuxClock();

function append(fd: number, text: string): void {
  if (libc().write(fd, new TextEncoder().encode(text), BigInt(text.length)) < 0) {
    throw new Error("the file is gone");
  }
}

Deno.addSignalListener("SIGINT", () => {});
await runGuard({
  socket: socket!,
  stay: flag === "--stay",
  clock,
  drive: (fd, active) => append(fd, active ? "1" : "0"),
  armWatchdog: ({ timeoutMs }) => {
    const fd = libc().openMode(cPath(`${socket}.watchdog`), O_RDWR | O_CREAT | O_APPEND, 0o600);
    append(fd, "a");
    return {
      timeoutMs,
      pet: () => append(fd, "p"),
      [Symbol.asyncDispose]: () => {
        append(fd, "d");
        libc().close(fd);
        return Promise.resolve();
      },
    };
  },
  log: (level, message) => console.error(`guard: ${level}: ${message}`),
}, new AbortController().signal);
Deno.exit(0);
