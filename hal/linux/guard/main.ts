/**
 * The guard's process: `deno run --allow-ffi main.ts SOCKET [--stay]`. The box starts it; see
 * `docs/adr/0017-a-guard-beside-the-box.md`.
 *
 * Ends with 0 when its work is over; on SIGTERM as soon as no box is connected. 1 when it cannot work.
 *
 * @module
 */
import { linuxClock } from "../clock.ts";
import { driveGpioFd } from "../gpio.ts";
import { armWatchdog } from "../watchdog.ts";
import { runGuard } from "./process.ts";

const clock = linuxClock();
const [socket, flag] = Deno.args;
const stop = new AbortController();
// A terminal's Ctrl-C goes to the box alone, which then says goodbye.
Deno.addSignalListener("SIGINT", () => {});
Deno.addSignalListener("SIGHUP", () => {});
Deno.addSignalListener("SIGTERM", () => stop.abort());

const encoder = new TextEncoder();
function log(
  level: "info" | "warn" | "error",
  message: string,
  fields: Readonly<Record<string, string | number | boolean>> = {},
): void {
  const time = new Date(clock.wallMs()).toISOString();
  const line = JSON.stringify({ time, level, part: "guard", message, ...fields });
  try {
    Deno.stderr.writeSync(encoder.encode(line + "\n"));
  } catch {
    // Whoever read it is dead, and with him perhaps the box: there is work to do.
  }
}

let code = 0;
try {
  if (socket === undefined) throw new Error("usage: main.ts SOCKET [--stay]");
  await runGuard(
    { socket, stay: flag === "--stay", drive: driveGpioFd, armWatchdog, clock, log },
    stop.signal,
  );
} catch (error) {
  log("error", (error as Error).message);
  code = 1;
}
Deno.exit(code);
