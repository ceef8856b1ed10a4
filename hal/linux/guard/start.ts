import type { GuardOptions } from "./client.ts";

/**
 * Starts the guard as a process of its own, with this Deno and no rights but FFI, in a session of its
 * own: what kills the box or closes its terminal does not reach it. Needs `--allow-run` of Deno alone.
 */
export function startGuard(
  log: GuardOptions["log"],
): (socket: string) => void {
  return (socket) => {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-prompt", "--no-config", "--no-lock", "--no-npm", "--no-remote"],
        ...["--allow-ffi", new URL("./main.ts", import.meta.url).href, socket],
      ],
      detached: true,
      stdin: "null",
      stdout: "null",
      // Its log is the box's, and the journal's of systemd.
      stderr: "inherit",
    }).spawn();
    child.unref();
    child.status.then(({ code }) => {
      if (code !== 0) log("warn", "a guard process has ended", { code });
    }, () => {});
  };
}
