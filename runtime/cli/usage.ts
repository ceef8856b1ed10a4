import type { ParseArgsConfig } from "node:util";
import { readArgs as readStrict } from "../../cli/args.ts";

export { EXIT, UsageError } from "../../cli/args.ts";

/** Where a box keeps its journal, policy and identity unless `--data` says otherwise. */
export const DATA_DIR_DEFAULT = "/var/lib/gatehouse";

/**
 * Parses a command line strictly. Prints `help` and returns `undefined` when it asks for it.
 *
 * @throws {@link UsageError} on an unknown or malformed option.
 */
export function readArgs<T extends NonNullable<ParseArgsConfig["options"]>>(
  args: string[],
  options: T,
  help: string,
): ReturnType<typeof readStrict<T>> | undefined {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(help.trim());
    return undefined;
  }
  return readStrict(args, options);
}
