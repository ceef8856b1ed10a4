/**
 * An ext4 file system in a file, whose power can be cut: what has reached the file is what has
 * reached the disk; what waits in the file system's memory is lost.
 *
 * @module
 */
import { join } from "node:path";

/** Room for the journals of a test, and for ext4's own log. */
const IMAGE_BYTES = 96 << 20;

function run(command: string, ...args: string[]): string | undefined {
  try {
    const { success, stderr } = new Deno.Command(command, { args, stdin: "null" }).outputSync();
    return success ? undefined : new TextDecoder().decode(stderr).trim() || `${command} failed`;
  } catch (error) {
    return (error as Error).message;
  }
}

function must(command: string, ...args: string[]): void {
  const refusal = run(command, ...args);
  if (refusal !== undefined) throw new Error(`${command} ${args.join(" ")}: ${refusal}`);
}

/** Why loop mounts cannot be had here; `undefined` when they can. */
export function loopRefusal(): string | undefined {
  if (Deno.build.os !== "linux") return "loop mounts are Linux's";
  if (Deno.uid() !== 0) return "loop mounts need root";
  const folder = Deno.makeTempDirSync({ prefix: "loop-probe-" });
  try {
    using _disk = new LoopDisk(folder);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** A mounted disk. Disposal unmounts it, whatever happened. */
export class LoopDisk implements Disposable {
  /** Where it is mounted. */
  readonly path: string;
  readonly #folder: string;
  #image: string;
  #cuts = 0;
  #mounted = false;

  /** Makes a disk in `folder`, which is on another one. */
  constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, "disk");
    this.#image = join(folder, "disk-0.img");
    Deno.mkdirSync(this.path, { recursive: true });
    {
      using file = Deno.openSync(this.#image, { write: true, createNew: true });
      file.truncateSync(IMAGE_BYTES);
    }
    must("mkfs.ext4", "-q", "-F", "-m", "0", this.#image);
    this.#mount();
  }

  /**
   * Takes the disk as it is at this moment, unwritten memory left out. Whoever writes to it is
   * stopped by `kill` then; after that the copy is mounted in its place, as at the next boot.
   */
  async cutPower(kill: () => Promise<void>): Promise<void> {
    const next = join(this.#folder, `disk-${++this.#cuts}.img`);
    // Not by sync, not by unmounting: both would write what a power cut does not. Sparse, as it is.
    must("cp", "--sparse=always", this.#image, next);
    await kill();
    this.#unmount();
    Deno.removeSync(this.#image);
    this.#image = next;
    this.#mount();
  }

  /** Unmounts; twice is fine. */
  [Symbol.dispose](): void {
    if (!this.#mounted) return;
    this.#unmount();
  }

  #mount(): void {
    must("mount", "-t", "ext4", "-o", "loop,noatime", this.#image, this.path);
    this.#mounted = true;
  }

  #unmount(): void {
    // A process that was killed may hold it for a moment more; lazily, it goes as soon as it can.
    if (run("umount", this.path) !== undefined) must("umount", "--lazy", this.path);
    this.#mounted = false;
  }
}
