/** Why there is no disk to be filled here; `undefined` when there is. */
export const smallDiskRefusal: string | undefined = Deno.build.os === "linux" && Deno.uid() === 0
  ? undefined
  : "a disk of its own needs Linux and root";

/** A disk of `megabytes` in memory, for a test to fill. */
export class SmallDisk implements AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Mounts one. */
  static async mount(megabytes: number): Promise<SmallDisk> {
    const path = await Deno.makeTempDir({ prefix: "gatehouse-small-disk-" });
    await run("mount", "-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", path);
    return new SmallDisk(path);
  }

  /** Fills it up to the last byte with a file called `name`; returns how large that has become. */
  fill(name: string): number {
    using file = Deno.openSync(`${this.path}/${name}`, { write: true, create: true });
    let bytes = 0;
    try {
      for (let chunk = 1 << 20; chunk >= 1;) {
        try {
          bytes += file.writeSync(new Uint8Array(chunk));
        } catch {
          chunk >>= 1;
        }
      }
    } finally {
      file.syncSync();
    }
    return bytes;
  }

  /** Takes it away with all that is on it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await run("umount", "--lazy", this.path);
    await Deno.remove(this.path);
  }
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
}
