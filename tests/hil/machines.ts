/**
 * The machines that QEMU makes for the tests.
 *
 * @module
 */
import { join } from "node:path";

/** A machine, and how its guest meets the host. */
export interface Machine {
  /** What a skipped test calls it. */
  readonly name: string;
  /** Debian's name of the processor. */
  readonly arch: "amd64" | "arm64";
  readonly qemu: "qemu-system-x86_64" | "qemu-system-aarch64";
  /** The agent's port in the guest. */
  readonly agentPort: string;
  /**
   * Arguments beside kernel and RAM disk. The console is kept in `FOLDER/console`, the agent's port is
   * the character device `agent`.
   */
  readonly args: (kernel: string, folder: string) => readonly string[];
  readonly consoleDevice: string;
}

const VIRTIO_AGENT = [
  ...["-device", "virtio-serial-pci"],
  ...["-device", "virtserialport,chardev=agent,name=agent"],
];
const consoleTo = (folder: string) => ["-serial", `file:${join(folder, "console")}`];

/** A small PC; its watchdog is the Intel 6300ESB. */
export const PC: Machine = {
  name: "x86_64, a PC",
  arch: "amd64",
  qemu: "qemu-system-x86_64",
  agentPort: "/dev/vport0p1",
  args: (_kernel, folder) => [
    ...["-M", "q35", "-cpu", "max", "-smp", "2", "-m", "2048"],
    ...consoleTo(folder),
    ...VIRTIO_AGENT,
    ...["-device", "qemu-xhci", "-device", "i6300esb"],
  ],
  consoleDevice: "ttyS0",
};

/** A 64-bit ARM machine; its GPIO chip is a PL061 at {@link VIRT_PL061}. */
export const VIRT: Machine = {
  name: "arm64, QEMU's virt",
  arch: "arm64",
  qemu: "qemu-system-aarch64",
  agentPort: "/dev/vport0p1",
  args: (_kernel, folder) => [
    ...["-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1536"],
    ...consoleTo(folder),
    ...VIRTIO_AGENT,
    ...["-device", "qemu-xhci"],
  ],
  consoleDevice: "ttyAMA0",
};

/** Registers of the chip that {@link VIRT} has (`hw/arm/virt.c`). */
export const VIRT_PL061 = 0x0903_0000;

/**
 * A Raspberry Pi 3B with Debian's device tree. Its console is the mini UART; the agent's port is an
 * adapter on the Pi's own USB, for the other UART belongs to Bluetooth.
 */
export const PI3: Machine = {
  name: "arm64, a Raspberry Pi 3B",
  arch: "arm64",
  qemu: "qemu-system-aarch64",
  agentPort: "/dev/ttyUSB0",
  args: (kernel, folder) => [
    ...["-M", "raspi3b", "-dtb", join(kernel, "device-trees/bcm2837-rpi-3-b.dtb")],
    ...["-serial", "null", ...consoleTo(folder)],
    // Without `always-plugged` it shows only while somebody is connected.
    ...["-device", "usb-serial,chardev=agent,always-plugged=on"],
  ],
  consoleDevice: "ttyS1",
};

/** GPIO registers of {@link PI3} (BCM2835 ARM Peripherals §6.1, moved to the BCM2837's base). */
export const PI3_GPIO = 0x3f20_0000;
