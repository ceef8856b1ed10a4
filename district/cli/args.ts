import { join } from "node:path";
import { UsageError } from "../../cli/args.ts";

export { EXIT, readArgs, UsageError } from "../../cli/args.ts";

/** Where the district keeps its data unless `--data` says otherwise. */
export const DATA_DIR_DEFAULT: string = join("/var/lib/gatehouse", "district");

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
