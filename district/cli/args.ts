import { parseArgs, type ParseArgsConfig } from "node:util";
import { join } from "node:path";

/** Exit codes of every `gatehouse` command; described in `docs/reference/cli.md`. */
export const EXIT: {
  readonly ok: 0;
  readonly failed: 1;
  readonly usage: 2;
  readonly badInput: 3;
} = { ok: 0, failed: 1, usage: 2, badInput: 3 };

/** Where the district keeps its data unless `--data` says otherwise. */
export const DATA_DIR_DEFAULT: string = join("/var/lib/gatehouse", "district");

/** A command line that cannot be understood. */
export class UsageError extends Error {
  /** Says which argument is wrong. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UsageError";
  }
}

/** Parses a command line strictly. @throws {@link UsageError} */
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

/** Splits `HOST:PORT` (`[::1]:8443`, `:8443`). @throws {@link UsageError} */
export function parseListen(text: string): { readonly hostname: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new UsageError(`--listen ${text}: expected HOST:PORT, for instance 0.0.0.0:8443`);
  }
  return { hostname: match[1] ?? (match[2] || "0.0.0.0"), port };
}

/** Makes the data folder, for this user alone. */
export function ensureDataDir(dataDir: string): void {
  Deno.mkdirSync(dataDir, { recursive: true, mode: 0o700 });
}
