import { dirname } from "node:path";
import { statfs } from "node:fs/promises";
import { HalError } from "../../hal/mod.ts";

/** Programs of the system that an update runs, each under its bounds. */
export interface Tools {
  /** Unpacks `file` (zstd) to `out`, of at most `bytesMax`. @throws `HalError` `protocol` */
  unzstd(file: string, out: string, bytesMax: number, signal: AbortSignal): Promise<void>;
  /** Makes `out` of `base` and a delta of `zstd --patch-from`. @throws `HalError` `protocol` */
  patch(
    base: string,
    delta: string,
    out: string,
    bytesMax: number,
    signal: AbortSignal,
  ): Promise<void>;
  /** Unpacks a tar that has been verified into `folder`. @throws `HalError` `protocol` */
  untar(tar: string, folder: string, signal: AbortSignal): Promise<void>;
  /** Makes everything on the disk of `folder` durable. */
  syncDisk(folder: string, signal: AbortSignal): Promise<void>;
  /** Bytes that are free where `folder` is. */
  freeBytes(folder: string): Promise<number>;
}

/** What `zstd` may allot to unpack; the frame's window must fit. */
const ZSTD_MEMORY = "--memory=96MB";
/** Of a window of a delta: the base must fit, and 2^27 is what `--long=27` allows. */
const ZSTD_LONG = "--long=27";
/** What is kept of what a program says. */
const SAID_CHARS_MAX = 300;

async function run(program: string, args: readonly string[], signal: AbortSignal): Promise<void> {
  const { success, stderr, code } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    signal,
  }).output();
  signal.throwIfAborted();
  if (success) return;
  const said = new TextDecoder().decode(stderr).trim().slice(-SAID_CHARS_MAX);
  throw new HalError("protocol", `${program} ended with ${code}: ${said}`);
}

/** Ends a program whose output grows past what the release says. */
async function bounded(
  out: string,
  bytesMax: number,
  signal: AbortSignal,
  act: (limits: readonly string[]) => Promise<void>,
): Promise<void> {
  await Deno.mkdir(dirname(out), { recursive: true });
  // In blocks of 1,024 bytes; a file that grows past it ends its writer (SIGXFSZ).
  await act(["-c", `ulimit -f ${Math.ceil(bytesMax / 512) + 8}; exec "$@"`, "sh"]);
  signal.throwIfAborted();
  const { size } = await Deno.stat(out);
  if (size > bytesMax) throw new HalError("protocol", `${out}: more than ${bytesMax} bytes`);
}

/** Those of Debian: `zstd`, `tar`, `sync`, run through `sh` for its `ulimit`. */
export const SYSTEM_TOOLS: Tools = {
  unzstd: (file, out, bytesMax, signal) =>
    bounded(
      out,
      bytesMax,
      signal,
      (limits) => run("/bin/sh", [...limits, "zstd", "-dqf", ZSTD_MEMORY, file, "-o", out], signal),
    ),
  patch: (base, delta, out, bytesMax, signal) =>
    bounded(out, bytesMax, signal, (limits) =>
      run("/bin/sh", [
        ...limits,
        "zstd",
        ...["-dqf", ZSTD_MEMORY, ZSTD_LONG, `--patch-from=${base}`, delta, "-o", out],
      ], signal)),
  untar: (tar, folder, signal) =>
    run("/bin/tar", [
      ...["-xf", tar, "-C", folder, "--no-same-owner", "--no-same-permissions"],
    ], signal),
  syncDisk: (folder, signal) => run("/bin/sync", ["-f", folder], signal),
  async freeBytes(folder) {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
};
