/**
 * The district's program: the one that reads arguments and joins the operating system's clock with
 * the district.
 *
 * @module
 */
import {
  assignKeyCommand,
  operatorCommand,
  revokeCommand,
  tokenCommand,
  verifyCommand,
} from "./cli/admin.ts";
import { EXIT, UsageError } from "./cli/args.ts";
import { RUN_HELP, runCommand } from "./cli/run.ts";
import { DistrictError } from "./errors.ts";

const COMMANDS: Readonly<Record<string, (args: string[], signal: AbortSignal) => Promise<number>>> =
  {
    token: tokenCommand,
    operator: operatorCommand,
    revoke: revokeCommand,
    verify: verifyCommand,
    "assign-key": assignKeyCommand,
  };

async function main(): Promise<number> {
  // The launcher passes its own command's name on.
  const args = Deno.args[0] === "district" ? Deno.args.slice(1) : [...Deno.args];
  if (args.includes("--help") || args.includes("-h")) {
    console.log(RUN_HELP.trim());
    return EXIT.ok;
  }
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => stop.abort(new Error(`${name} received`)));
  }
  const command = COMMANDS[args[0] ?? ""];
  try {
    return command === undefined
      ? await runCommand(args, stop.signal)
      : await command(args.slice(1), stop.signal);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`gatehouse district: ${error.message}; see gatehouse district --help`);
      return EXIT.usage;
    }
    if (error instanceof DistrictError || error instanceof Deno.errors.AddrInUse) {
      console.error(`gatehouse district: ${error.message}`);
      return error instanceof DistrictError && error.kind === "not-found"
        ? EXIT.badInput
        : EXIT.failed;
    }
    throw error;
  }
}

if (import.meta.main) Deno.exit(await main());
