import type { GuardOptions } from "./client.ts";

/**
 * Starts the guard as a process of its own, with this Deno and no rights but FFI, in a session of its
 * own: what kills the box or closes its terminal does not reach it. Needs `--allow-run` of Deno alone.
 */
export function startGuard(log: GuardOptions["log"]): GuardOptions["start"] {
  return async (socket) => {
    const child = spawn(socket);
    child.unref();
    const { code } = await child.status;
    if (code !== 0) log("warn", "a guard process has ended", { code });
  };
}

function spawn(socket: string): Deno.ChildProcess {
  const options: Deno.CommandOptions = {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-config", "--no-lock", "--no-npm", "--no-remote"],
      ...["--allow-ffi", new URL("./main.ts", import.meta.url).href, socket],
    ],
    detached: true,
    stdin: "null",
    stdout: "null",
    // Its log is the box's, and the journal's of systemd.
    stderr: "inherit",
  };
  try {
    return new Deno.Command(Deno.execPath(), options).spawn();
  } catch (error) {
    // The right is for `deno` as PATH finds it, which may be a link to this one.
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    return new Deno.Command("deno", options).spawn();
  }
}
