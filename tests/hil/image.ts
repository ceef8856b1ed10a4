/**
 * A guest's whole file system as an initial RAM disk: busybox, Deno with the libraries that it is
 * linked to, and the box as it is shipped.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { ROOT } from "../../demo/program.ts";
import type { Machine } from "./machines.ts";

const HERE = join(ROOT, "tests/hil");
const CACHE = join(ROOT, ".gatehouse/cache/hil");
/** The archive has 41 MB; this is to end a download that never does. */
const DOWNLOAD_MS_MAX = 300_000;

/** Runs a program to its end; returns what it printed. */
async function run(command: string, args: readonly string[], cwd = ROOT): Promise<string> {
  const output = await new Deno.Command(command, { args: [...args], cwd, stdin: "null" }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((b) => new TextDecoder().decode(b));
  if (!output.success) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
  return stdout!;
}

/** A kernel with its RAM disk. Disposal removes the RAM disk. */
export class GuestImage implements AsyncDisposable {
  /** Folder of the kernel: `kernel`, `modules`, for arm64 `device-trees`. */
  readonly kernel: string;
  /** The RAM disk's archive. */
  readonly archive: string;
  readonly #folder: string;

  private constructor(kernel: string, folder: string) {
    this.kernel = kernel;
    this.#folder = folder;
    this.archive = join(folder, "initrd");
  }

  /** Packs one; what is missing for it is prepared first. */
  static async pack({ arch }: Machine): Promise<GuestImage> {
    const prepared = await run("sh", [join(HERE, "prepare.sh"), CACHE, arch]);
    const kernel = prepared.trim().split("\n").at(-1)!;
    const folder = await Deno.makeTempDir({ prefix: "gatehouse-hil-image-" });
    const image = new GuestImage(kernel, folder);
    try {
      await image.#pack(arch);
      return image;
    } catch (error) {
      await image[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #pack(arch: Machine["arch"]): Promise<void> {
    const root = join(this.#folder, "root");
    for (const name of ["bin", "proc", "sys", "dev", "modules", "gatehouse/.gatehouse/bin"]) {
      await Deno.mkdir(join(root, name), { recursive: true });
    }
    await Deno.copyFile(join(HERE, "guest/init"), join(root, "init"));
    await run("cp", ["-r", join(this.kernel, "modules"), root]);
    const ship = join(root, "gatehouse");
    const layout = ["run", "-A", "tools/production.ts", "runtime/main.ts", ship];
    await run(Deno.execPath(), [...layout, arch === "arm64" ? "arm64" : "x64"]);
    const deno = arch === "arm64" ? await arm64Deno() : Deno.execPath();
    await run("cp", [deno, join(ship, ".gatehouse/bin/deno")]);
    await Deno.symlink("/gatehouse/.gatehouse/bin/deno", join(root, "bin/deno"));
    if (arch === "arm64") {
      await run("sh", ["-c", 'cp -a bin lib usr "$1"', "sh", root], this.kernel);
    } else {
      await run("cp", ["/bin/busybox", join(root, "bin/busybox")]);
      await copyLibraries([deno, ...await nativeModules(ship)], root);
    }
    await Deno.mkdir(join(ship, "tests/hil"), { recursive: true });
    await run("cp", ["-r", join(HERE, "guest"), join(ship, "tests/hil/guest")]);
    await warm(root, arch);
    await run("sh", ["-c", `find . | cpio --quiet -o -H newc >"$1"`, "sh", this.archive], root);
    await Deno.remove(root, { recursive: true });
  }
}

/**
 * Has this machine's Deno compile what the guest will run, at the paths that it has there: under
 * emulation that alone takes ten seconds and more.
 */
async function warm(root: string, arch: Machine["arch"]): Promise<void> {
  const before = new Set([...Deno.readDirSync(root)].map(({ name }) => name));
  await run("cp", [Deno.execPath(), join(root, "warm")]);
  await copyLibraries([Deno.execPath()], root);
  // Deno asks the kernel for its own name; mounting needs more rights than some containers give.
  await Deno.mkdir(join(root, "proc/self"));
  await Deno.symlink("/warm", join(root, "proc/self/exe"));
  const inside = async (...args: readonly string[]) => {
    const output = await new Deno.Command("chroot", {
      args: [root, "/warm", "run", "--quiet", "--no-check", "--cached-only", ...args],
      env: { DENO_DIR: "/tmp/deno", HOME: "/root", DENO_NO_UPDATE_CHECK: "1" },
    }).output();
    return new TextDecoder().decode(output.stderr);
  };
  const said = await inside(
    "--allow-all",
    "--config=/gatehouse/deno.json",
    "/gatehouse/runtime/main.ts",
    "box",
    "--help",
  );
  if (said !== "") throw new Error(`the box's modules cannot be compiled: ${said}`);
  // They end for want of a socket and a port, when all their modules are loaded.
  await inside("--allow-ffi", "/gatehouse/hal/linux/guard/main.ts");
  await inside("--allow-all", "/gatehouse/tests/hil/guest/agent.ts");
  await Deno.remove(join(root, "warm"));
  await Deno.remove(join(root, "proc/self"), { recursive: true });
  if (arch === "amd64") return;
  // What V8 made is for another processor, and so are the libraries.
  await run("sh", [
    "-c",
    "rm -rf lib/x86_64-linux-gnu tmp/deno/v8_code_cache* tmp/deno/node_compat_bin",
  ], root);
  for (const { name } of [...Deno.readDirSync(root)]) {
    if (!before.has(name) && name !== "tmp") {
      await Deno.remove(join(root, name), { recursive: true });
    }
  }
}

/** Copies the libraries that programs of this machine are linked to. */
async function copyLibraries(programs: readonly string[], root: string): Promise<void> {
  for (const program of programs) {
    for (const [, library] of (await run("ldd", [program])).matchAll(/(\/\S+) \(0x/g)) {
      await Deno.mkdir(join(root, dirname(library!)), { recursive: true });
      await Deno.copyFile(library!, join(root, library!));
    }
  }
}

/** The npm packages' native modules that glibc on this processor can load. */
async function nativeModules(ship: string): Promise<string[]> {
  const found = await run("find", [join(ship, "node_modules"), "-type", "f", "-name", "*.node"]);
  return found.trim().split("\n").filter((path) => /linux-x64/.test(path) && !/musl/.test(path));
}

/**
 * Deno for arm64 from the npm registry, by the version and checksum that the launcher names; kept in
 * the cache.
 */
async function arm64Deno(): Promise<string> {
  const launcher = await Deno.readTextFile(join(ROOT, "gatehouse"));
  const pinned = (name: string) => new RegExp(`^${name}=(\\w[\\w.]*)$`, "m").exec(launcher)![1]!;
  const version = pinned("DENO_VERSION");
  const kept = join(CACHE, `deno-${version}-arm64`);
  if (await hashOf(kept) === pinned("PROGRAM_ARM64")) return kept;
  const registry = Deno.env.get("npm_config_registry") ?? "https://registry.npmjs.org";
  const name = "linux-arm64-glibc";
  const url = `${registry.replace(/\/$/, "")}/@deno/${name}/-/${name}-${version}.tgz`;
  const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_MS_MAX) });
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
  const folder = await Deno.makeTempDir({ dir: CACHE });
  try {
    await Deno.writeFile(join(folder, "deno.tgz"), response.body!);
    await run("tar", ["-xzf", "deno.tgz", "package/deno"], folder);
    const program = join(folder, "package/deno");
    if (await hashOf(program) !== pinned("PROGRAM_ARM64")) {
      throw new Error(`${url}: this is not the Deno that ./gatehouse names`);
    }
    await Deno.rename(program, kept);
    return kept;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** SHA-256 of a file in hex; `undefined` where there is none. */
async function hashOf(path: string): Promise<string | undefined> {
  const bytes = await Deno.readFile(path).catch(() => undefined);
  return bytes && createHash("sha256").update(bytes).digest("hex");
}
