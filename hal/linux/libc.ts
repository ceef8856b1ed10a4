import { HalError, type HalErrorKind } from "../error.ts";

/**
 * What is used of libc. Lengths and counts are small here, so `ssize_t` results are taken as `i32`:
 * a `bigint` for each read would be waste. The kernel takes `ioctl` requests as 32 bits.
 */
const SYMBOLS = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  /** May wait for a port that still sends; so it is called off the main thread. */
  closeSlow: { name: "close", parameters: ["i32"], result: "i32", nonblocking: true },
  read: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  /** For files whose driver makes them wait: off the main thread. */
  readSlow: {
    name: "read",
    parameters: ["i32", "buffer", "usize"],
    result: "i32",
    nonblocking: true,
  },
  /** See `readSlow`. */
  writeSlow: {
    name: "write",
    parameters: ["i32", "buffer", "usize"],
    result: "i32",
    nonblocking: true,
  },
  ioctl: { parameters: ["i32", "u32", "buffer"], result: "i32" },
  ioctlValue: { name: "ioctl", parameters: ["i32", "u32", "usize"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  flock: { parameters: ["i32", "i32"], result: "i32" },
  opendir: { parameters: ["buffer"], result: "pointer" },
  readdir: { parameters: ["pointer"], result: "pointer" },
  closedir: { parameters: ["pointer"], result: "i32" },
  access: { parameters: ["buffer", "i32"], result: "i32" },
  realpath: { parameters: ["buffer", "buffer"], result: "pointer" },
  poll: { parameters: ["buffer", "usize", "i32"], result: "i32", nonblocking: true },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  tcdrain: { parameters: ["i32"], result: "i32", nonblocking: true },
  posix_openpt: { parameters: ["i32"], result: "i32" },
  grantpt: { parameters: ["i32"], result: "i32" },
  unlockpt: { parameters: ["i32"], result: "i32" },
  ptsname_r: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  adjtimex: { parameters: ["buffer"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  recvfrom: {
    parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"],
    result: "i32",
  },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  kill: { parameters: ["i32", "i32"], result: "i32" },
  geteuid: { parameters: [], result: "u32" },
  openMode: { name: "open", parameters: ["buffer", "i32", "u32"], result: "i32" },
  unlink: { parameters: ["buffer"], result: "i32" },
  chmod: { parameters: ["buffer", "u32"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of libc that are used, typed. */
export type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/**
 * Loaded on import and for the process's life, not at first use: a library that appears while a
 * test runs counts as a leak of that test. Not loaded (and not asked for) without the permission.
 */
const loaded: Libc | undefined = Deno.build.os === "linux" &&
    Deno.permissions.querySync({ name: "ffi" }).state === "granted"
  ? Deno.dlopen("libc.so.6", SYMBOLS).symbols
  : undefined;

/** libc of this process. @throws {@link HalError} `unsupported` off Linux or without `--allow-ffi`. */
export function libc(): Libc {
  if (loaded === undefined) {
    throw new HalError(
      "unsupported",
      "load libc.so.6: needs Linux and an unscoped --allow-ffi (a program without devices takes " +
        "processClock() instead)",
    );
  }
  return loaded;
}

/** errno values (`asm-generic/errno*.h`: the same on x64 and arm64). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EAGAIN: 11,
  EACCES: 13,
  EBUSY: 16,
  ENODEV: 19,
  ENOTDIR: 20,
  EINVAL: 22,
  ENOTTY: 25,
  EPIPE: 32,
  ELOOP: 40,
  EOPNOTSUPP: 95,
  ENOBUFS: 105,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ECONNREFUSED: 111,
} as const;

const names = new Map<number, string>(Object.entries(ERRNO).map(([name, code]) => [code, name]));

/** errno of the synchronous call just made on this thread. */
export function errno(): number {
  return new Deno.UnsafePointerView(libc().__errno_location()!).getInt32();
}

/** `ENOENT` for 2, and so on. */
export function errnoName(code: number): string {
  return names.get(code) ?? `errno ${code}`;
}

/** The portable kind of `code`. */
export function kindOf(code: number): HalErrorKind {
  switch (code) {
    case ERRNO.ENOENT:
    case ERRNO.ENOTDIR:
    case ERRNO.ELOOP:
    case ERRNO.ENXIO:
    case ERRNO.ENODEV:
    case ERRNO.ECONNREFUSED:
      return "not-found";
    case ERRNO.EPERM:
    case ERRNO.EACCES:
      return "permission";
    case ERRNO.EBUSY:
    case ERRNO.EAGAIN:
      return "busy";
    case ERRNO.EINVAL:
    case ERRNO.ENOTTY:
      return "invalid";
    case ERRNO.EOPNOTSUPP:
      return "unsupported";
    default:
      return "io";
  }
}

/** Open flags (`asm-generic/fcntl.h`): these few are the same on x64 and arm64. Reading only. */
export const O_RDONLY = 0o0;
/** Writing only. */
export const O_WRONLY = 0o1;
/** Reading and writing. */
export const O_RDWR = 0o2;
/** Made if it is not there. */
export const O_CREAT = 0o100;
/** Do not become the controlling terminal. */
export const O_NOCTTY = 0o400;
/** Reads and writes return `EAGAIN` where they would wait; opening does not wait for a carrier. */
export const O_NONBLOCK = 0o4000;
/** Not inherited by children. */
export const O_CLOEXEC = 0o2000000;

/** Linux refuses longer paths (`PATH_MAX`). */
const PATH_BYTES_MAX = 4096;

/** `path` as a C string. @throws {@link HalError} `invalid` if it cannot be one. */
export function cPath(path: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(path + "\0");
  if (path === "" || path.includes("\0") || bytes.length > PATH_BYTES_MAX) {
    throw new HalError("invalid", `open ${JSON.stringify(path.slice(0, 80))}: not a device path`);
  }
  return bytes;
}

/** `path` with symbolic links followed, or `undefined` when that fails. */
export function realPath(path: Uint8Array<ArrayBuffer>): string | undefined {
  const out = new Uint8Array(PATH_BYTES_MAX);
  return libc().realpath(path, out) === null ? undefined : cString(out);
}

/** The text before the first NUL. */
export function cString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
