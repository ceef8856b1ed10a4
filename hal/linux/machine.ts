/**
 * What this machine says of itself in `/proc`, `/sys` and `/etc`. Reads them by Deno's own files,
 * which the system folders give only to a program with `--allow-all`: the installer's commands.
 *
 * @module
 */
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import type {
  ClockFacts,
  DeviceAccess,
  DeviceHolder,
  Machine,
  MachineUser,
  PowerFacts,
  StorageFacts,
  WearFacts,
} from "../machine.ts";
import { cPath, libc } from "./libc.ts";

const R_OK = 4;
const W_OK = 2;
/** Processes looked at for who holds a device; a box has a hundred. */
const PROCESSES_MAX = 4_096;
/** `/etc/group` of a machine in a directory service is the longest. */
const TEXT_CHARS_MAX = 65_536;

/** `root` stands for `/`: tests give a folder with the parts of `/sys` and `/proc` that matter. */
export function linuxMachine({ root = "/" }: { readonly root?: string } = {}): Machine {
  const at = (path: string) => join(root, path);
  const text = (path: string) => readText(at(path));
  const groups = () => names(text("/etc/group"));

  const user = async (): Promise<MachineUser> => {
    // One's own ids are the kernel's to say, whatever root is looked at.
    const status = await readText("/proc/self/status") ?? "";
    const ids = (key: string) =>
      (new RegExp(`^${key}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "").trim().split(/\s+/)
        .filter((id) => id !== "").map(Number);
    const uid = ids("Uid")[1] ?? -1;
    const byId = await groups();
    const own = new Set([...ids("Gid").slice(1, 2), ...ids("Groups")]);
    return {
      uid,
      name: (await names(text("/etc/passwd"))).get(uid) ?? String(uid),
      groups: [...own].map((gid) => byId.get(gid) ?? String(gid)),
    };
  };

  return {
    model: async () => {
      const model = await text("/proc/device-tree/model") ??
        await text("/sys/class/dmi/id/product_name");
      return model?.replace(/\0/g, "").trim() || undefined;
    },
    user,
    access: async (path): Promise<DeviceAccess> => {
      const there = at(path);
      const none = { path, realPath: undefined, usable: false, group: undefined, groupMay: false };
      let realPath: string;
      let info: Deno.FileInfo;
      try {
        realPath = await Deno.realPath(there);
        info = await Deno.stat(realPath);
      } catch {
        return { ...none, holders: [] };
      }
      const gid = info.gid ?? -1;
      return {
        path,
        realPath,
        usable: libc().access(cPath(realPath), R_OK | W_OK) === 0,
        group: (await groups()).get(gid) ?? (gid < 0 ? undefined : String(gid)),
        groupMay: ((info.mode ?? 0) & 0o060) === 0o060,
        holders: await holdersOf(realPath),
      };
    },
    clock: async (): Promise<ClockFacts> => {
      const batteryClocks = (await folder(at("/sys/class/rtc"))).sort();
      const first = batteryClocks[0];
      const seconds = first === undefined
        ? undefined
        : Number((await text(`/sys/class/rtc/${first}/since_epoch`)) ?? NaN);
      return {
        batteryClocks,
        batteryWallMs: seconds === undefined || !Number.isFinite(seconds)
          ? undefined
          : seconds * 1_000,
      };
    },
    storage,
    wear: async (): Promise<WearFacts[]> => {
      const devices = (await folder(at("/sys/block"))).filter((name) => name.startsWith("mmcblk"));
      const facts = await Promise.all(
        devices.sort().map(async (device) => {
          const base = `/sys/block/${device}/device`;
          const steps = (await text(`${base}/life_time`) ?? "").match(/0x[0-9a-f]+/gi)?.map(Number);
          if (steps === undefined) return [];
          const endOfLife = Number((await text(`${base}/pre_eol_info`))?.trim() ?? 0) >= 2;
          return [{ device, usedPercent: Math.max(...steps) * 10, endOfLife }];
        }),
      );
      return facts.flat();
    },
    memory: async () => {
      const info = await text("/proc/meminfo") ?? "";
      const kib = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(info)?.[1]);
      const [total, available] = [kib("MemTotal"), kib("MemAvailable")];
      if (!Number.isFinite(total) || !Number.isFinite(available)) return undefined;
      return { totalBytes: total * 1_024, availableBytes: available * 1_024 };
    },
    power: async (): Promise<PowerFacts | undefined> => {
      const hex = await text("/sys/devices/platform/soc/soc:firmware/get_throttled");
      const flags = hex === undefined ? NaN : Number.parseInt(hex, 16);
      if (Number.isNaN(flags)) return undefined;
      return {
        underVoltageNow: (flags & 1) !== 0,
        underVoltageSinceBoot: (flags & 0x1_0000) !== 0,
        throttledNow: (flags & 4) !== 0,
      };
    },
  };
}

/** The file system under the nearest folder of `path` that exists, tried by writing. */
async function storage(path: string): Promise<StorageFacts> {
  let existing = path;
  while (existing !== "/" && !(await isFolder(existing))) existing = join(existing, "..");
  const facts = await statfs(existing);
  return {
    path,
    existing,
    totalBytes: facts.blocks * facts.bsize,
    freeBytes: facts.bavail * facts.bsize,
    totalInodes: facts.files,
    freeInodes: facts.ffree,
    write: await tryWrite(existing),
  };
}

async function tryWrite(folder: string): Promise<StorageFacts["write"]> {
  const file = join(folder, `.gatehouse-doctor-${crypto.randomUUID().slice(0, 8)}`);
  try {
    // A page: what a nearly full file system still takes of an empty file says nothing.
    await Deno.writeFile(file, new Uint8Array(4_096), { createNew: true, mode: 0o600 });
    return "ok";
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENOSPC" || code === "EDQUOT") return "full";
    if (code === "EROFS") return "read-only";
    if (error instanceof Deno.errors.PermissionDenied) return "permission";
    return "failed";
  } finally {
    await Deno.remove(file).catch(() => {});
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}

/**
 * Processes, this one left out, with `realPath` among their open files. Who made a pseudo-terminal is
 * its far end, and no rival for it.
 */
async function holdersOf(realPath: string): Promise<DeviceHolder[]> {
  const holders: DeviceHolder[] = [];
  const pseudo = realPath.startsWith("/dev/pts/");
  const pids = (await folder("/proc")).map(Number).filter((pid) => Number.isInteger(pid));
  for (const pid of pids.slice(0, PROCESSES_MAX)) {
    if (pid === Deno.pid) continue;
    const open = await Promise.all(
      (await folder(`/proc/${pid}/fd`)).map((fd) =>
        Deno.readLink(`/proc/${pid}/fd/${fd}`).catch(() => undefined)
      ),
    );
    if (!open.includes(realPath)) continue;
    if (pseudo && open.some((path) => path?.endsWith("/ptmx"))) continue;
    holders.push({ pid, name: (await readText(`/proc/${pid}/comm`))?.trim() ?? "?" });
  }
  return holders;
}

/** Names in a folder; none when it is not there or may not be read. */
async function folder(path: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(path))).map((entry) => entry.name);
  } catch {
    return [];
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return (await Deno.readTextFile(path)).slice(0, TEXT_CHARS_MAX);
  } catch {
    return undefined;
  }
}

/** `/etc/passwd` and `/etc/group`: names by number. */
async function names(file: Promise<string | undefined>): Promise<Map<number, string>> {
  const lines = (await file ?? "").split("\n").map((line) => line.split(":"));
  return new Map(lines.flatMap(([name, , id]) => name && id ? [[Number(id), name] as const] : []));
}
