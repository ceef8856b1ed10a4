/**
 * Small files and folders of `/sys` and `/proc`, by libc: `Deno.open` and `Deno.readDir` there ask
 * for `--allow-all`.
 *
 * @module
 */
import { HalError } from "../error.ts";
import {
  cPath,
  ERRNO,
  errno,
  errnoName,
  kindOf,
  libc,
  O_CLOEXEC,
  O_RDONLY,
  O_WRONLY,
} from "./libc.ts";

/** An attribute is one page at most (`Documentation/filesystems/sysfs.rst`). */
const ATTRIBUTE_BYTES_MAX = 4096;
/** A folder with more entries is none that is looked through here. */
const ENTRIES_MAX = 4096;
/** `struct dirent` of glibc on 64-bit Linux: inode, offset, length, type, then the name. */
const DIRENT_NAME_OFFSET = 19;

/**
 * Names in the folder `path`, sorted, without `.` and `..`.
 *
 * @throws {@link HalError} `not-found`, `permission`, `io`.
 */
export function listFolder(path: string): string[] {
  const folder = libc().opendir(cPath(path));
  if (folder === null) throw refused("list", path, errno());
  try {
    const names: string[] = [];
    while (names.length < ENTRIES_MAX) {
      const entry = libc().readdir(folder);
      if (entry === null) break;
      const name = new Deno.UnsafePointerView(entry).getCString(DIRENT_NAME_OFFSET);
      if (name !== "." && name !== "..") names.push(name);
    }
    return names.sort();
  } finally {
    libc().closedir(folder);
  }
}

/**
 * What the attribute `path` holds, without blanks at its ends; of a longer file the first page.
 *
 * @throws {@link HalError} `not-found`, `permission`, `disconnected` when its device is going, `io`.
 */
export function readAttribute(path: string): string {
  const fd = libc().open(cPath(path), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw refused("read", path, errno());
  try {
    const bytes = new Uint8Array(ATTRIBUTE_BYTES_MAX);
    let length = 0;
    while (length < bytes.length) {
      const count = libc().read(fd, bytes.subarray(length), BigInt(bytes.length - length));
      if (count < 0) {
        const code = errno();
        if (code === ERRNO.EINTR) continue;
        throw code === ERRNO.ENODEV
          ? new HalError("disconnected", `read ${path}: its device is gone`)
          : refused("read", path, code);
      }
      if (count === 0) break;
      length += count;
    }
    return new TextDecoder().decode(bytes.subarray(0, length)).trim();
  } finally {
    libc().close(fd);
  }
}

/**
 * The same as {@link readAttribute} for an attribute whose driver talks to its device first, which may
 * take long: on a thread of Deno's pool. errno is another thread's, so every failure is `io`.
 */
export async function readSlowAttribute(path: string): Promise<string> {
  const fd = libc().open(cPath(path), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw refused("read", path, errno());
  try {
    const bytes = new Uint8Array(ATTRIBUTE_BYTES_MAX);
    // An attribute comes whole with the first read.
    const count = await libc().readSlow(fd, bytes, BigInt(bytes.length));
    if (count < 0) throw new HalError("io", `read ${path}: its device does not answer`);
    return new TextDecoder().decode(bytes.subarray(0, count)).trim();
  } finally {
    libc().close(fd);
  }
}

/** Writes `text` into the attribute `path`, on a thread of Deno's pool. @throws as {@link readSlowAttribute}. */
export async function writeSlowAttribute(path: string, text: string): Promise<void> {
  const fd = libc().open(cPath(path), O_WRONLY | O_CLOEXEC);
  if (fd < 0) throw refused("write", path, errno());
  try {
    const bytes = new TextEncoder().encode(text);
    const count = await libc().writeSlow(fd, bytes, BigInt(bytes.length));
    if (count !== bytes.length) throw new HalError("io", `write ${path}: it is not taken`);
  } finally {
    libc().close(fd);
  }
}

function refused(doing: string, path: string, code: number): HalError {
  return new HalError(kindOf(code), `${doing} ${path}: ${errnoName(code)}`);
}
