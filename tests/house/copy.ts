import { dirname, join } from "node:path";

/** The root of the project under test. */
export const ROOT: string = new URL("../../", import.meta.url).pathname;

/** What a command printed and how it ended. */
export interface Ran {
  /** Its exit code. */
  readonly code: number;
  /** Standard output and standard error, one after the other. */
  readonly text: string;
  /** Standard output alone. */
  readonly stdout: string;
}

/** Runs a command to its end, without colours. */
export async function run(
  command: readonly string[],
  options: {
    readonly cwd?: string;
    readonly env?: Record<string, string>;
    readonly clearEnv?: boolean;
  },
): Promise<Ran> {
  const [program, ...args] = command;
  const output = await new Deno.Command(program!, {
    args,
    cwd: options.cwd ?? ROOT,
    env: { NO_COLOR: "1", ...options.env },
    clearEnv: options.clearEnv ?? false,
    stdin: "null",
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const stdout = decode(output.stdout);
  return { code: output.code, stdout, text: stdout + decode(output.stderr) };
}

/** The project's files as a commit would hold them, from the root. */
export async function projectFiles(): Promise<string[]> {
  const listed = await run(
    ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    {},
  );
  if (listed.code !== 0) throw new Error(`git ls-files: ${listed.text}`);
  return listed.stdout.split("\0").filter((path) => path !== "" && exists(ROOT + path));
}

/** Whether a path leads to anything. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** A copy of the project's files in a folder of its own, removed when disposed of. */
export async function copyOfTree(): Promise<{ readonly path: string } & Disposable> {
  const path = await Deno.makeTempDir({ prefix: "gatehouse-copy-" });
  for (const file of await projectFiles()) {
    await Deno.mkdir(dirname(join(path, file)), { recursive: true });
    await Deno.copyFile(ROOT + file, join(path, file));
  }
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}
