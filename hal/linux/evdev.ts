import { HalError } from "../error.ts";
import {
  cPath,
  ERRNO,
  errno,
  errnoName,
  kindOf,
  libc,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
} from "./libc.ts";
import { listFolder } from "./sysfs.ts";

/** `EVIOCGRAB` (`linux/input.h`): `_IOW('E', 0x90, int)`. */
export const EVIOCGRAB = 0x40044590;

/** Input nodes that belong to the HID device `hidraw`, such as `hidraw0`: `event3`, … */
export function inputNodesOf(hidraw: string, sys: string): string[] {
  const folder = `${sys}/class/hidraw/${hidraw}/device/input`;
  return namesIn(folder).flatMap((input) =>
    namesIn(`${folder}/${input}`).filter((name) => /^event\d+$/.test(name))
  );
}

/** A device that makes no input has no such folder, and one that is being pulled loses it. */
function namesIn(folder: string): string[] {
  try {
    return listFolder(folder);
  } catch (error) {
    if (error instanceof HalError && error.kind === "not-found") return [];
    throw error;
  }
}

/**
 * Takes what the HID device `hidraw` types away from the console and every other program. Its raw
 * reports still come. Disposal, or the end of the process, gives it back.
 *
 * @throws {@link HalError} `permission`, `busy` when another program grabbed it, `not-found`, `io`.
 */
export function grabInputs(hidraw: string, sys: string, dev: string): Disposable {
  const fds: number[] = [];
  const release = () => {
    for (const fd of fds.splice(0)) libc().close(fd);
  };
  try {
    for (const node of inputNodesOf(hidraw, sys)) {
      const path = `${dev}/input/${node}`;
      const fd = libc().open(cPath(path), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
      if (fd < 0) throw refused(path, errno());
      fds.push(fd);
      if (libc().ioctlValue(fd, EVIOCGRAB, 1n) < 0) throw refused(path, errno());
    }
  } catch (error) {
    release();
    throw error;
  }
  return { [Symbol.dispose]: release };
}

const ADVICE: Readonly<Record<number, string>> = {
  [ERRNO.EACCES]: "this process may not open it; add its user to the group of the device (input)",
  [ERRNO.EBUSY]: "another program grabbed it; stop that one and try again",
};

function refused(path: string, code: number): HalError {
  const what = ADVICE[code] ?? "it cannot be taken from the console";
  return new HalError(kindOf(code), `grab ${path}: ${what} (${errnoName(code)})`);
}
