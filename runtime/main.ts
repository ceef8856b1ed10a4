/**
 * The box's program: joins the operating system, the drivers, the runtime and sync, and is the only
 * one of them that reads arguments and environment.
 *
 * @module
 */
import { EXIT, UsageError } from "./cli/usage.ts";

type Command = (args: string[], signal: AbortSignal) => Promise<number>;

/** Each loads only what it needs: `check` knows no network, `events` no devices. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  box: async () => (await import("./cli/box.ts")).boxCommand,
  check: async () => (await import("./cli/check.ts")).checkCommand,
  doctor: async () => (await import("./cli/doctor.ts")).doctorCommand,
  enrol: async () => (await import("./cli/enrol.ts")).enrolCommand,
  events: async () => (await import("./cli/events.ts")).eventsCommand,
  learn: async () => (await import("./cli/learn.ts")).learnCommand,
  io: async () => (await import("./cli/io.ts")).ioCommand,
  osdp: async () => (await import("./cli/osdp.ts")).osdpCommand,
  setup: async () => (await import("./cli/setup.ts")).setupCommand,
  status: async () => (await import("./cli/status.ts")).statusCommand,
  updater: async () => (await import("./cli/updater.ts")).updaterCommand,
  policy: async () => (await import("./cli/policy.ts")).policyCommand,
};

async function main(): Promise<number> {
  const [name = "", ...args] = Deno.args;
  const load = COMMANDS[name];
  if (load === undefined) {
    console.error(`gatehouse: no command ${JSON.stringify(name)}; see gatehouse --help`);
    return EXIT.usage;
  }
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => stop.abort(new Error(`${name} received`)));
  }
  try {
    return await (await load())(args, stop.signal);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`gatehouse ${name}: ${error.message}; see gatehouse ${name} --help`);
    return EXIT.usage;
  }
}

if (import.meta.main) Deno.exit(await main());
