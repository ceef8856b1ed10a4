/**
 * What every `gatehouse` program's command line has in common.
 *
 * @module
 */
import { parseArgs, type ParseArgsConfig } from "node:util";

/** Exit codes of every `gatehouse` command; described in `docs/reference/cli.md`. */
export const EXIT: {
  readonly ok: 0;
  readonly failed: 1;
  readonly usage: 2;
  readonly badInput: 3;
} = { ok: 0, failed: 1, usage: 2, badInput: 3 };

/** A command line that cannot be understood. */
export class UsageError extends Error {
  /** Says which argument is wrong. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UsageError";
  }
}

/** Parses a command line strictly. @throws {@link UsageError} on an unknown or malformed option. */
export function readArgs<T extends NonNullable<ParseArgsConfig["options"]>>(
  args: string[],
  options: T,
): ReturnType<
  typeof parseArgs<{ args: string[]; options: T; allowPositionals: true; strict: true }>
> {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
}
