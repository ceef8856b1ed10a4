import { parseArgs, type ParseArgsConfig } from "node:util";

/** Exit codes of every `gatehouse` command; described in `docs/reference/cli.md`. */
export const EXIT: {
  readonly ok: 0;
  readonly failed: 1;
  readonly usage: 2;
  readonly badInput: 3;
} = { ok: 0, failed: 1, usage: 2, badInput: 3 };

/** Where a box keeps its journal, policy and identity unless `--data` says otherwise. */
export const DATA_DIR_DEFAULT = "/var/lib/gatehouse";

/** A command line that cannot be understood. */
export class UsageError extends Error {
  /** Says which argument is wrong. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UsageError";
  }
}

/**
 * Parses a command line strictly. Prints `help` and returns `undefined` when it asks for it.
 *
 * @throws {@link UsageError} on an unknown or malformed option.
 */
export function readArgs<T extends NonNullable<ParseArgsConfig["options"]>>(
  args: string[],
  options: T,
  help: string,
): ReturnType<typeof parseStrict<T>> | undefined {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(help.trim());
    return undefined;
  }
  return parseStrict(args, options);
}

function parseStrict<T extends NonNullable<ParseArgsConfig["options"]>>(
  args: string[],
  options: T,
) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
}
