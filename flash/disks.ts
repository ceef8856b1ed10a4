import * as v from "valibot";

/** A disk that a card may be. */
export interface Disk {
  /** Such as `/dev/sdb` or `/dev/disk4`. */
  readonly path: string;
  readonly bytes: number;
  /** Maker and model, for a person. */
  readonly what: string;
  readonly removable: boolean;
  readonly readOnly: boolean;
  /** Where it, or a part of it, is mounted or swapped to. */
  readonly mounted: readonly string[];
  /** The machine itself runs from it. */
  readonly system: boolean;
}

/** A disk that is not one to write to. */
export class DiskError extends Error {
  /** Says why, and what to do. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DiskError";
  }
}

const DISKS_MAX = 256;
/** What a machine cannot do without: whatever holds one of these is its own. */
const SYSTEM_MOUNTS = /^\/($|boot|usr|home|var|etc|opt)|^\[SWAP\]$/;

interface Node {
  readonly path: string;
  readonly size: number;
  readonly type: string;
  readonly rm: boolean;
  readonly ro: boolean;
  readonly hotplug: boolean;
  readonly tran?: string | null | undefined;
  readonly vendor?: string | null | undefined;
  readonly model?: string | null | undefined;
  readonly mountpoints?: readonly (string | null)[] | undefined;
  readonly children?: readonly Node[] | undefined;
}
const text = v.nullish(v.string());
const NodeSchema: v.GenericSchema<unknown, Node> = v.object({
  path: v.pipe(v.string(), v.maxLength(256)),
  size: v.number(),
  type: v.string(),
  rm: v.boolean(),
  ro: v.boolean(),
  hotplug: v.boolean(),
  tran: text,
  vendor: text,
  model: text,
  mountpoints: v.optional(v.array(v.nullable(v.string()))),
  children: v.optional(v.array(v.lazy(() => NodeSchema))),
});
const LsblkSchema = v.object({
  blockdevices: v.pipe(v.array(NodeSchema), v.maxLength(DISKS_MAX)),
});

/** Arguments of Linux' `lsblk` whose answer {@link parseLsblk} reads. */
export const LSBLK_ARGS: readonly string[] = [
  ...["--json", "--bytes", "--output"],
  "PATH,SIZE,TYPE,RM,RO,HOTPLUG,TRAN,VENDOR,MODEL,MOUNTPOINTS",
];

/** Reads the answer of `lsblk` (util-linux). @throws {@link DiskError} */
export function parseLsblk(json: string): Disk[] {
  const { blockdevices } = read(LsblkSchema, json, "lsblk");
  return blockdevices.filter(({ type, size }) => (type === "disk" || type === "loop") && size > 0)
    .map((node) => {
      const mounted = mounts(node);
      const card = /^\/dev\/mmcblk\d+$/.test(node.path);
      return {
        path: node.path,
        bytes: node.size,
        what: [node.vendor, node.model].map((one) => one?.trim()).filter(Boolean).join(" ") ||
          (card ? "SD card" : node.type),
        removable: node.type === "disk" && (node.rm || node.hotplug || node.tran === "usb" || card),
        readOnly: node.ro,
        mounted,
        system: mounted.some((path) => SYSTEM_MOUNTS.test(path)),
      };
    });
}

/** Partitions, and what lies on them: LVM, RAID, encryption. */
function mounts({ mountpoints = [], children = [] }: Node): string[] {
  return [...mountpoints.filter((one) => one !== null), ...children.flatMap(mounts)];
}

const DiskutilSchema = v.object({
  AllDisksAndPartitions: v.pipe(
    v.array(v.object({
      DeviceIdentifier: v.pipe(v.string(), v.regex(/^disk\d{1,4}$/)),
      Size: v.number(),
      OSInternal: v.optional(v.boolean(), false),
      MountPoint: v.optional(v.string()),
      Partitions: v.optional(v.array(v.object({ MountPoint: v.optional(v.string()) })), []),
      APFSVolumes: v.optional(v.array(v.object({ MountPoint: v.optional(v.string()) })), []),
    })),
    v.maxLength(DISKS_MAX),
  ),
});

/**
 * Reads macOS' `diskutil list -plist external physical`, as `plutil -convert json` has it: external
 * disks only, so that the machine's own is not among them.
 *
 * @throws {@link DiskError}
 */
export function parseDiskutil(json: string): Disk[] {
  const { AllDisksAndPartitions } = read(DiskutilSchema, json, "diskutil");
  return AllDisksAndPartitions.map((one) => {
    const mounted = [one, ...one.Partitions, ...one.APFSVolumes].flatMap(({ MountPoint }) =>
      MountPoint === undefined ? [] : [MountPoint]
    );
    return {
      path: `/dev/${one.DeviceIdentifier}`,
      bytes: one.Size,
      what: "external disk",
      removable: true,
      readOnly: false,
      mounted,
      system: one.OSInternal || mounted.some((path) => SYSTEM_MOUNTS.test(path)),
    };
  });
}

function read<T>(schema: v.GenericSchema<unknown, T>, json: string, program: string): T {
  try {
    return v.parse(schema, JSON.parse(json));
  } catch (cause) {
    const message = `${program} says what this program does not understand: ${
      (cause as Error).message
    }`;
    throw new DiskError(message, { cause });
  }
}

/**
 * Why `disk` is not one to write `bytes` to; `undefined` when it is. `force` allows a disk that is
 * built in, never one that the machine runs from, that is mounted or too small.
 */
export function refusalOf(disk: Disk, bytes: number, force: boolean): string | undefined {
  const { path } = disk;
  if (disk.system) return `${path} is the disk that this machine runs from`;
  if (disk.mounted.length > 0) {
    return `${path} is in use at ${disk.mounted.join(", ")}: unmount it first`;
  }
  if (disk.readOnly) return `${path} is read-only: move the card's lock, or use another reader`;
  if (disk.bytes < bytes) {
    return `${path} has ${megabytes(disk.bytes)}, the image needs ${
      megabytes(bytes)
    }: use a larger card`;
  }
  if (!disk.removable && !force) {
    return `${path} (${disk.what}) cannot be taken out, so it may be this machine's own: --force if it is meant`;
  }
  return undefined;
}

/** For a person. */
export function megabytes(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.round(bytes / 1e6)} MB`;
}

/** The disks of this machine. @throws {@link DiskError} */
export async function listDisks(): Promise<Disk[]> {
  if (Deno.build.os === "darwin") {
    const list = "diskutil list -plist external physical | plutil -convert json -o - -";
    return parseDiskutil(await said("/bin/sh", ["-c", list]));
  }
  return parseLsblk(await said("lsblk", LSBLK_ARGS));
}

/** Runs a program of the system; what it printed. @throws {@link DiskError} with what it said. */
export async function said(program: string, args: readonly string[]): Promise<string> {
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(program, { args: [...args], stdin: "null" }).output();
  } catch (cause) {
    throw new DiskError(`${program} cannot be run: ${(cause as Error).message}`, { cause });
  }
  const decoder = new TextDecoder();
  if (output.success) return decoder.decode(output.stdout);
  throw new DiskError(`${program}: ${decoder.decode(output.stderr).trim()}`);
}
