/**
 * The box's program: joins the operating system, the drivers, the runtime and sync, and is the only
 * one of them that reads arguments and environment.
 *
 * @module
 */
import { boxCommand } from "./cli/box.ts";
import { checkCommand } from "./cli/check.ts";
import { enrolCommand } from "./cli/enrol.ts";
import { eventsCommand } from "./cli/events.ts";
import { policyCommand } from "./cli/policy.ts";
import { EXIT, UsageError } from "./cli/usage.ts";

const COMMANDS: Readonly<Record<string, (args: string[], signal: AbortSignal) => Promise<number>>> =
  {
    box: boxCommand,
    check: checkCommand,
    enrol: enrolCommand,
    events: eventsCommand,
    policy: policyCommand,
  };

async function main(): Promise<number> {
  const [name = "", ...args] = Deno.args;
  const command = COMMANDS[name];
  if (command === undefined) {
    console.error(`gatehouse: no command ${JSON.stringify(name)}; see gatehouse --help`);
    return EXIT.usage;
  }
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => stop.abort(new Error(`${name} received`)));
  }
  try {
    return await command(args, stop.signal);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`gatehouse ${name}: ${error.message}; see gatehouse ${name} --help`);
    return EXIT.usage;
  }
}

if (import.meta.main) Deno.exit(await main());
