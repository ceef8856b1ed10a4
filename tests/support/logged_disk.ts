/**
 * An ext4 file system whose every write to the disk is logged, by QEMU's `blklogwrites`, so that the
 * disk can be had as a power cut could have left it at any moment: what was flushed is there; of what
 * was written since, anything may be there, or a part of it, in any order.
 *
 * The log has the format of Linux's dm-log-writes (Documentation/admin-guide/device-mapper/log-writes).
 *
 * @module
 */
import { join } from "node:path";

const DISK_BYTES = 96 << 20;
/** Sparse: room for what a test writes, many times over. */
const LOG_BYTES = 4 * 2 ** 30;
/** A disk writes a sector whole or not at all. */
const SECTOR_BYTES = 512;
const MAGIC = 0x6a736677736872n;
const FLAG_FLUSH = 1n;
const FLAG_FUA = 2n;
const FLAG_DISCARD = 4n;
const READY_MS_MAX = 10_000;

/** A write, or a flush: then it has no bytes. */
export interface DiskWrite {
  /** Where on the disk, in bytes. */
  readonly at: number;
  readonly data: Uint8Array;
  /** All that was written before is on the disk once this is. */
  readonly flush: boolean;
  /** This is on the disk itself by then. */
  readonly through: boolean;
}

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

/** Mounts the file system of `image` at `path` until disposed. */
export function mountImage(image: string, path: string): Disposable {
  must("mount", "-t", "ext4", "-o", "loop,noatime", image, path);
  return { [Symbol.dispose]: () => must("umount", path) };
}

/** A disk that is mounted and logged. */
export class LoggedDisk implements AsyncDisposable {
  readonly #folder: string;
  readonly #daemon: Deno.ChildProcess;
  readonly #mount: Disposable;

  private constructor(folder: string, daemon: Deno.ChildProcess, mount: Disposable) {
    this.#folder = folder;
    this.#daemon = daemon;
    this.#mount = mount;
  }

  /** Makes the disk's files in `folder` and mounts it at `path`. */
  static async begin(folder: string, path: string): Promise<LoggedDisk> {
    const [base, disk, log, device] = ["base", "disk", "log", "device"].map((name) =>
      join(folder, name)
    ) as [string, string, string, string];
    await Deno.writeFile(base, new Uint8Array());
    await Deno.truncate(base, DISK_BYTES);
    must("mkfs.ext4", "-q", "-F", "-m", "0", base);
    must("cp", "--sparse=always", base, disk);
    await Deno.writeFile(log, new Uint8Array());
    await Deno.truncate(log, LOG_BYTES);
    await Deno.writeFile(device, new Uint8Array());
    const logged = [
      ...["driver=blklogwrites", "node-name=logged", "file=disk", "log=log"],
      ...[`log-sector-size=${SECTOR_BYTES}`, "log-super-update-interval=1"],
    ];
    const daemon = new Deno.Command("qemu-storage-daemon", {
      args: [
        ...["--blockdev", `driver=file,node-name=disk,filename=${disk}`],
        ...["--blockdev", `driver=file,node-name=log,filename=${log}`],
        ...["--blockdev", logged.join(",")],
        ...["--export", `type=fuse,id=e,node-name=logged,mountpoint=${device},writable=on`],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      const end = Date.now() + READY_MS_MAX;
      while (Deno.statSync(device).size !== DISK_BYTES) {
        if (Date.now() > end) throw new Error("qemu-storage-daemon shows no disk");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return new LoggedDisk(folder, daemon, mountImage(device, path));
    } catch (error) {
      daemon.kill("SIGKILL");
      await daemon.status;
      throw error;
    }
  }

  /** How many writes and flushes the disk has seen. */
  get writes(): number {
    using file = Deno.openSync(join(this.#folder, "log"));
    return header(file).entries;
  }

  /** Unmounts, and reads the log's first `count` writes. */
  async end(count: number): Promise<WriteLog> {
    await this[Symbol.asyncDispose]();
    return new WriteLog(join(this.#folder, "base"), readLog(join(this.#folder, "log"), count));
  }

  #ended = false;
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#mount[Symbol.dispose]();
    this.#daemon.kill("SIGTERM");
    await this.#daemon.status;
  }
}

/** What was written, from an empty file system on. */
export class WriteLog {
  readonly #base: string;
  /** In the order in which they were done. */
  readonly writes: readonly DiskWrite[];

  /** A log that begins with the file system in `base`. */
  constructor(base: string, writes: readonly DiskWrite[]) {
    this.#base = base;
    this.writes = writes;
  }

  /**
   * Writes to `image` the disk as a cut after `count` writes could have left it, and tells how many
   * writes were waiting for their flush. `next` gives numbers from 0 to below 1.
   */
  cut(count: number, image: string, next: () => number): number {
    const writes = this.writes.slice(0, count);
    const safe = writes.findLastIndex(({ flush }) => flush) + 1;
    must("cp", "--sparse=always", this.#base, image);
    using file = Deno.openSync(image, { write: true });
    for (const write of writes.slice(0, safe)) put(file, write.at, write.data);
    const waiting = writes.slice(safe);
    for (const write of shuffled(waiting, next)) {
      if (write.through) put(file, write.at, write.data);
      else tear(file, write, next);
    }
    return waiting.length;
  }
}

/** Nothing, all, the first sectors, or some sectors of a write. */
function tear(file: Deno.FsFile, { at, data }: DiskWrite, next: () => number): void {
  const sectors = data.length / SECTOR_BYTES;
  const kind = Math.floor(next() * 4);
  const end = kind === 2 ? Math.floor(next() * sectors) : sectors;
  if (kind === 0) return;
  for (let i = 0; i < end; i++) {
    if (kind === 3 && next() < 0.5) continue;
    put(file, at + i * SECTOR_BYTES, data.subarray(i * SECTOR_BYTES, (i + 1) * SECTOR_BYTES));
  }
}

function shuffled<T>(values: readonly T[], next: () => number): T[] {
  const left = [...values];
  return values.map(() => left.splice(Math.floor(next() * left.length), 1)[0]!);
}

function put(file: Deno.FsFile, at: number, data: Uint8Array): void {
  file.seekSync(at, Deno.SeekMode.Start);
  for (let done = 0; done < data.length;) done += file.writeSync(data.subarray(done));
}

function take(file: Deno.FsFile, at: number, bytes: number): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(bytes);
  file.seekSync(at, Deno.SeekMode.Start);
  for (let done = 0; done < bytes;) {
    const read = file.readSync(data.subarray(done));
    if (read === null) throw new Error("the log of writes ends too early");
    done += read;
  }
  return data;
}

function header(file: Deno.FsFile): { entries: number } {
  const view = new DataView(take(file, 0, SECTOR_BYTES).buffer);
  if (view.getBigUint64(0, true) !== MAGIC) throw new Error("that is no log of writes");
  return { entries: Number(view.getBigUint64(16, true)) };
}

function readLog(path: string, count: number): DiskWrite[] {
  using file = Deno.openSync(path);
  const writes: DiskWrite[] = [];
  let at = SECTOR_BYTES;
  for (let i = 0; i < count; i++) {
    const view = new DataView(take(file, at, SECTOR_BYTES).buffer);
    const [sector, sectors] = [0, 8].map((offset) => Number(view.getBigUint64(offset, true)));
    const flags = view.getBigUint64(16, true);
    at += SECTOR_BYTES;
    const bytes = sectors! * SECTOR_BYTES;
    const discard = (flags & FLAG_DISCARD) !== 0n;
    writes.push({
      at: sector! * SECTOR_BYTES,
      // A discard has no data in the log, and none that anyone may rely on.
      data: discard ? new Uint8Array(0) : take(file, at, bytes),
      flush: (flags & FLAG_FLUSH) !== 0n,
      through: (flags & FLAG_FUA) !== 0n,
    });
    if (!discard) at += bytes;
  }
  return writes;
}

/** Why there is no such disk here; `undefined` when there is. */
export async function loggedDiskRefusal(): Promise<string | undefined> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "loop mounts need Linux and root";
  const folder = await Deno.makeTempDir({ prefix: "logged-probe-" });
  const path = join(folder, "mounted");
  await Deno.mkdir(path);
  try {
    await using _disk = await LoggedDisk.begin(folder, path);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
