import { createHash } from "node:crypto";
import { join } from "node:path";
import { HalError } from "../../hal/mod.ts";

/** A tar whose bytes depend on nothing but the files' names, contents and whether they are programs. */
const TAR_ALWAYS_THE_SAME = [
  "--sort=name",
  "--format=gnu",
  "--mtime=@0",
  "--owner=0",
  "--group=0",
  "--numeric-owner",
  "--mode=u=rwX,go=rX",
];
/** 19 is the slowest without more memory at the other end; one thread, or the bytes differ. */
const ZSTD_BEST = ["-19", "--single-thread", "--no-progress", "-qf"];
/** A delta is made once and fetched by thousands. */
const ZSTD_DELTA = ["-19", "--long=27", "--single-thread", "--no-progress", "-qf"];

/** Files of a release, in a folder. */
export interface Bundle {
  /** The tar, for the next releases' deltas. */
  readonly tar: string;
  readonly tarBytes: number;
  readonly tarSha256: string;
  /** The tar, packed. */
  readonly packed: string;
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, {
    args: [...args],
    env: { LC_ALL: "C", TZ: "UTC", TAR_OPTIONS: "", ZSTD_CLEVEL: "" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    throw new HalError("io", `${program}: ${new TextDecoder().decode(stderr).trim()}`);
  }
}

/** Packs `folder` into `out`: the same files make the same bytes, wherever and whenever. */
export async function packBundle(folder: string, out: string): Promise<Bundle> {
  await Deno.mkdir(out, { recursive: true });
  const tar = join(out, "app.tar");
  await run("tar", [...TAR_ALWAYS_THE_SAME, "-cf", tar, "-C", folder, "."]);
  const packed = join(out, "app.tar.zst");
  await run("zstd", [...ZSTD_BEST, tar, "-o", packed]);
  const bytes = await Deno.readFile(tar);
  return {
    tar,
    tarBytes: bytes.length,
    tarSha256: createHash("sha256").update(bytes).digest("hex"),
    packed,
  };
}

/** Writes to `out` what leads from the tar `base` to the tar `tar`. */
export async function packDelta(base: string, tar: string, out: string): Promise<void> {
  await run("zstd", [...ZSTD_DELTA, `--patch-from=${base}`, tar, "-o", out]);
}
