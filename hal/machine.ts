/** Who a program runs as. */
export interface MachineUser {
  readonly uid: number;
  readonly name: string;
  /** Groups by name, the first one too. */
  readonly groups: readonly string[];
}

/** A process that has a device open. */
export interface DeviceHolder {
  readonly pid: number;
  /** As the kernel names it, at most 15 characters. */
  readonly name: string;
}

/** What stands between a user and a device file. */
export interface DeviceAccess {
  readonly path: string;
  /** The path with links followed; `undefined` when nothing is there. */
  readonly realPath: string | undefined;
  /** Whether {@link Machine.user} may read and write it. */
  readonly usable: boolean;
  /** The group that the file belongs to, by name; by number where it has none. */
  readonly group: string | undefined;
  /** Whether members of that group may read and write it. */
  readonly groupMay: boolean;
  /** Other processes that have it open, as far as this one may see. */
  readonly holders: readonly DeviceHolder[];
}

/** The battery clock and what disciplines the system's. */
export interface ClockFacts {
  /** Battery clocks by name, `rtc0` first. */
  readonly batteryClocks: readonly string[];
  /** What the first one says, ms since 1970; `undefined` when it cannot be read. */
  readonly batteryWallMs: number | undefined;
}

/** The file system below a folder. */
export interface StorageFacts {
  readonly path: string;
  /** The nearest folder that exists: a data folder is made by the box. */
  readonly existing: string;
  readonly totalBytes: number;
  /** Left for an ordinary user. */
  readonly freeBytes: number;
  /** 0 where the file system does not count them. */
  readonly totalInodes: number;
  readonly freeInodes: number;
  /** Whether a file could be written there and read back; otherwise why not. */
  readonly write: "ok" | "read-only" | "permission" | "full" | "failed";
}

/** How worn a flash memory says it is. */
export interface WearFacts {
  /** Such as `mmcblk0`. */
  readonly device: string;
  /** Share of its life used, in percent, rounded up to tens (JESD84-B51 §7.4.41); 110 is past it. */
  readonly usedPercent: number;
  /** Its spare blocks are nearly used up (JESD84-B51 §7.4.43). */
  readonly endOfLife: boolean;
}

/** Flags of a Raspberry Pi's firmware (`get_throttled`). */
export interface PowerFacts {
  readonly underVoltageNow: boolean;
  readonly underVoltageSinceBoot: boolean;
  readonly throttledNow: boolean;
}

/** What a machine says of itself, for a person who looks for faults. Nothing of it is cached. */
export interface Machine {
  /** Maker and model, as the device tree or the firmware tells. */
  model(): Promise<string | undefined>;
  /** Who this process runs as. */
  user(): Promise<MachineUser>;
  /** Who may use a device, and who does. Never throws for a path that is not there. */
  access(path: string): Promise<DeviceAccess>;
  /** The battery clock. */
  clock(): Promise<ClockFacts>;
  /** The file system that `path` is or will be on. Writes and removes one small file. */
  storage(path: string): Promise<StorageFacts>;
  /** Flash memories that tell their wear; SD cards mostly do not. */
  wear(): Promise<readonly WearFacts[]>;
  /** Memory in bytes: in all, and what programs can still get. `undefined` where it is not told. */
  memory(): Promise<{ readonly totalBytes: number; readonly availableBytes: number } | undefined>;
  /** `undefined` on a machine without such firmware. */
  power(): Promise<PowerFacts | undefined>;
}
