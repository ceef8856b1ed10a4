import type { Arch } from "../root.ts";

/** The size of a sector, which a card writes whole or not at all. */
export const SECTOR_BYTES = 512;
const MIB = 1 << 20;

/** The disk's identifier in its MBR; partitions are named by it (`PARTUUID=47617465-05`). */
export const PI_DISK_ID = "47617465";

/** One of the two systems on a card. */
export type Slot = "A" | "B";

/** A partition of a Pi's card. */
export interface PiPartition {
  /** As the kernel and the firmware count: from 5 on inside of the extended one. */
  readonly number: number;
  readonly startMib: number;
  readonly sizeMib: number;
  /** Of the MBR: FAT32 with LBA, the extended one, Linux. */
  readonly type: "c" | "f" | "83";
}

/**
 * Where what is on a Pi's card. A Pi 3's ROM reads an MBR only, and `boot_partition=` counts its
 * entries; four are too few, so the roots and the data are inside of an extended one. Each of those
 * has a record of its own before it, hence the gaps.
 */
export const PI_LAYOUT = {
  first: { number: 1, startMib: 4, sizeMib: 64, type: "c" },
  bootA: { number: 2, startMib: 68, sizeMib: 128, type: "c" },
  bootB: { number: 3, startMib: 196, sizeMib: 128, type: "c" },
  extended: { number: 4, startMib: 324, sizeMib: 1_540, type: "f" },
  rootA: { number: 5, startMib: 325, sizeMib: 640, type: "83" },
  rootB: { number: 6, startMib: 966, sizeMib: 640, type: "83" },
  data: { number: 7, startMib: 1_607, sizeMib: 257, type: "83" },
} as const satisfies Readonly<Record<string, PiPartition>>;

/** Where a partition begins, in bytes. */
export function offsetOf(partition: PiPartition): number {
  return partition.startMib * MIB;
}

/** A partition's identifier, as the kernel makes it from the MBR. */
export function partUuid({ number }: PiPartition): string {
  return `${PI_DISK_ID}-0${number}`;
}

/** What the data partition is mounted by. An MBR has no names. */
export const DATA_SOURCE: Readonly<Record<Arch, string>> = {
  amd64: "PARTLABEL=data",
  arm64: `PARTUUID=${partUuid(PI_LAYOUT.data)}`,
};

/** What RAUC writes a system to: an MBR has no names, and a slot of a Pi has its boot partition. */
export function piSystemConf(conf: string): string {
  const device = (partition: PiPartition) => `/dev/disk/by-partuuid/${partUuid(partition)}`;
  const boot = [PI_LAYOUT.bootA, PI_LAYOUT.bootB].map((partition, n) =>
    `\n[slot.boot.${n}]\ndevice=${device(partition)}\ntype=raw\nparent=rootfs.${n}\n`
  );
  return conf
    .replace("/dev/disk/by-partlabel/root-a", device(PI_LAYOUT.rootA))
    .replace("/dev/disk/by-partlabel/root-b", device(PI_LAYOUT.rootB)) + boot.join("");
}

/** A board that the image is for. */
export interface PiModel {
  readonly name: string;
  /** The firmware's second stage and its data, which fit only each other. */
  readonly firmware: readonly [elf: string, data: string];
  /** Its device tree, by the name that the firmware asks for. */
  readonly tree: string;
  /** What that tree calls the board (`compatible`). */
  readonly compatible: string;
}

const PI_3 = ["start.elf", "fixup.dat"] as const;
const PI_4 = ["start4.elf", "fixup4.dat"] as const;

/** The boards that the image is for, and what their firmware asks the boot partition for. */
export const PI_MODELS: readonly PiModel[] = [
  ["3B", PI_3, "bcm2837-rpi-3-b", "raspberrypi,3-model-b"],
  ["3B+", PI_3, "bcm2837-rpi-3-b-plus", "raspberrypi,3-model-b-plus"],
  ["3A+", PI_3, "bcm2837-rpi-3-a-plus", "raspberrypi,3-model-a-plus"],
  ["Zero 2 W", PI_3, "bcm2837-rpi-zero-2-w", "raspberrypi,model-zero-2-w"],
  ["4B", PI_4, "bcm2711-rpi-4-b", "raspberrypi,4-model-b"],
  ["400", PI_4, "bcm2711-rpi-400", "raspberrypi,400"],
  ["CM4", PI_4, "bcm2711-rpi-cm4-io", "raspberrypi,4-compute-module"],
].map(([name, firmware, tree, compatible]) => ({
  name,
  firmware,
  tree: `${tree}.dtb`,
  compatible,
} as PiModel));

/**
 * `autoboot.txt` on the first partition: which slot stays, and which a reboot into "tryboot" tries.
 * Of one sector, as `ota/image/boot` overwrites it.
 */
export const AUTOBOOT =
  "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n#".padEnd(
    SECTOR_BYTES - 1,
  ) + "\n";

/**
 * `config.txt` of a boot partition. With `upstream_kernel` the firmware asks for device trees by the
 * kernel's names, but knows no tree of the kernel's for the CM4 (raspberrypi/firmware issue 1660).
 * The kernel's trees have the watchdog on.
 */
export const CONFIG = `# Written by gatehouse image build: a system brings its own.
[all]
arm_64bit=1
upstream_kernel=1
kernel=vmlinuz
initramfs initrd followkernel
enable_uart=1
disable_splash=1
gpu_mem=32
[cm4]
device_tree=bcm2711-rpi-cm4-io.dtb
[all]
`;

/**
 * `cmdline.txt` of a slot: its root, and a kernel that restarts when it panics or finds no root. One
 * line and one sector, because an update writes it in place.
 */
export function piCommandLine(slot: Slot): string {
  const root = slot === "A" ? PI_LAYOUT.rootA : PI_LAYOUT.rootB;
  return [
    `root=PARTUUID=${partUuid(root)} rootfstype=erofs ro rootwait rauc.slot=${slot}`,
    "quiet panic=5 systemd.show_status=no systemd.gpt_auto=no",
    "console=tty0 console=ttyS1,115200",
  ].join(" ").padEnd(SECTOR_BYTES - 1) + "\n";
}
