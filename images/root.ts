import { join } from "node:path";
import { DATA_SOURCE, piSystemConf } from "./pi/layout.ts";
import { run } from "./run.ts";

/** A kind of machine. */
export type Arch = "amd64" | "arm64";

/** What a root file system is made of. */
export interface RootOptions {
  readonly arch: Arch;
  /** Empty folder that becomes `/`. */
  readonly folder: string;
  /** Debian as unpacked by mmdebstrap: made once for each list of packages and day. */
  readonly baseTar: string;
  /** The checkout. */
  readonly source: string;
  /** Of the release, in seconds since 1970: no file is younger. */
  readonly epochS: number;
  readonly version: string;
  /** Folder with what the box is to trust, `root.json` and `keyring.pem`; without it, it trusts nobody. */
  readonly trust: string | undefined;
}

/** What a bundle is for, and a box takes. */
export const COMPATIBLE: Readonly<Record<Arch, string>> = {
  amd64: "gatehouse-amd64",
  arm64: "gatehouse-pi",
};
const SUITE = "trixie";
/** Debian as released, and what its security team has mended since. */
const MIRRORS: Readonly<Record<string, string>> = {
  [SUITE]: "http://deb.debian.org/debian",
  [`${SUITE}-security`]: "http://deb.debian.org/debian-security",
};
/** What is not in Debian's `minbase` already. */
const PACKAGES: readonly string[] = [
  ...[
    "systemd",
    "systemd-sysv",
    "systemd-resolved",
    "chrony",
    "systemd-repart",
    "udev",
    "dbus",
    "kmod",
  ],
  ...["libudev1", "libusb-1.0-0", "zstd", "pcscd", "polkitd"],
  ...["nftables", "iproute2", "ca-certificates", "wpasupplicant"],
  ...["e2fsprogs", "dosfstools", "initramfs-tools", "rauc", "rauc-service"],
];
const KERNEL: Readonly<Record<Arch, readonly string[]>> = {
  amd64: ["linux-image-amd64", "systemd-boot-efi"],
  // A Pi's firmware and its radio's are not free; sfdisk grows the data in an MBR.
  arm64: [
    ...["linux-image-arm64", "raspi-firmware", "firmware-brcm80211", "wireless-regdb", "fdisk"],
  ],
};
const COMPONENTS: Readonly<Record<Arch, string>> = {
  amd64: "main",
  arm64: "main non-free-firmware",
};
/** Drivers that the kernel needs to find its root. */
const BOOT_MODULES: Readonly<Record<Arch, readonly string[]>> = {
  amd64: [
    ...["erofs", "virtio_blk", "virtio_pci", "ahci", "sd_mod", "nvme", "usb_storage", "uas"],
    ...["xhci_pci", "mmc_block", "sdhci_pci", "sdhci_acpi"],
  ],
  // What a Pi's card, USB and watchdog hang on, and no module names: regulators, resets.
  arm64: [
    ...["erofs", "virtio_blk", "sd_mod", "usb_storage", "uas", "xhci_pci", "dwc2"],
    ...["bcm2835", "sdhci_iproc", "bcm2835_wdt", "raspberrypi_cpufreq"],
    ...["gpio_regulator", "fixed", "reset_raspberrypi"],
  ],
};
/** Of no use where nobody logs in, or made anew at each boot. */
const LEFT_OUT = [
  ...["usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian", "usr/share/bug"],
  ...[
    "var/cache/apt",
    "var/lib/apt",
    "var/log",
    "var/cache/ldconfig",
    "var/cache/debconf",
    "var/tmp",
  ],
  ...["etc/ssh", "var/lib/systemd/random-seed", "usr/lib/python3", "var/lib/dbus/machine-id"],
  "boot/grub",
];

/** Debian's part, as a tar. Takes a minute and the network. */
export async function makeBaseTar(arch: Arch, tar: string, epochS: number): Promise<void> {
  await run(
    "mmdebstrap",
    [
      "--variant=minbase",
      "--format=tar",
      `--architectures=${arch}`,
      `--include=${[...PACKAGES, ...KERNEL[arch]].join(",")}`,
      "--dpkgopt=path-exclude=/usr/share/man/*",
      "--dpkgopt=path-exclude=/usr/share/locale/*",
      '--aptopt=Acquire::Retries "3"',
      SUITE,
      `${tar}.new`,
      ...sources(arch),
    ],
    // The image makes an initial RAM disk of its own; one for every machine takes minutes in emulation.
    { env: { SOURCE_DATE_EPOCH: String(epochS), INITRD: "No" } },
  );
  await Deno.rename(`${tar}.new`, tar);
}

/** Where apt finds packages. */
function sources(arch: Arch): string[] {
  return Object.entries(MIRRORS).map(([suite, url]) => `deb ${url} ${suite} ${COMPONENTS[arch]}`);
}

/** What decides the base: it is made anew when this changes. */
export function baseKey(arch: Arch): string {
  return JSON.stringify([sources(arch), PACKAGES, KERNEL[arch]]);
}

/** Lays out the root file system, with the application in it, and its initial RAM disk. */
export async function makeRoot(options: RootOptions): Promise<void> {
  const { arch, folder, baseTar, source, version } = options;
  await run("tar", ["-xf", baseTar, "-C", folder, "--numeric-owner", "--xattrs"]);
  await run("cp", ["-a", "--no-preserve=ownership", `${join(source, "images/rootfs")}/.`, folder]);
  if (arch === "arm64") {
    const pi = join(source, "images/pi/rootfs");
    await run("cp", ["-a", "--no-preserve=ownership", `${pi}/.`, folder]);
    // They would copy a Pi's boot files to a partition of Debian's own making.
    await run("sh", ["-c", "rm -f etc/initramfs/post-update.d/z50* etc/kernel/*/z50*"], {
      cwd: folder,
    });
    // systemd-repart knows GPT only; `grow` does its work.
    await Deno.remove(join(folder, "usr/lib/repart.d"), { recursive: true });
  }
  await chroot(folder, ["systemd-sysusers"]);
  await layOutApplication(options);
  for (const path of ["data", "boot/esp"]) {
    await Deno.mkdir(join(folder, path), { recursive: true });
  }
  await symlink("/data/gatehouse", join(folder, "var/lib/gatehouse"));
  await symlink("/run/systemd/resolve/resolv.conf", join(folder, "etc/resolv.conf"));
  const compatible = COMPATIBLE[arch];
  await write(
    join(folder, "usr/lib/gatehouse-image.json"),
    `${JSON.stringify({ version, arch, compatible })}\n`,
  );
  const conf = join(folder, "usr/lib/rauc/system.conf");
  const text = (await Deno.readTextFile(conf)).replace("@compatible@", compatible);
  await write(conf, arch === "arm64" ? piSystemConf(text) : text);
  await write(join(folder, "etc/hostname"), "gatehouse\n");
  await write(join(folder, "etc/fstab"), FSTAB.replace("@data@", DATA_SOURCE[arch]));
  await write(join(folder, "etc/machine-id"), "uninitialized\n");
  // No password opens anything: nobody logs in.
  await chroot(folder, ["passwd", "--lock", "root"]);
  await chroot(folder, ["systemctl", "preset-all"]);
  await chroot(folder, ["systemctl", "mask", "getty@.service", "serial-getty@.service"]);
  await makeInitrd(folder, arch, options.epochS);
  await cleanUp(folder);
}

// A data partition whose name udev loses for a moment is not unmounted under the box.
const FSTAB = `# The root is given by the kernel's command line.
@data@ /data ext4 noatime,nosuid,nodev,x-systemd.growfs,x-systemd.device-bound=no 0 2
tmpfs /tmp tmpfs nosuid,nodev,size=25% 0 0
tmpfs /var tmpfs nosuid,nodev,size=25%,mode=755 0 0
`;

async function layOutApplication({ folder, source, arch, trust }: RootOptions): Promise<void> {
  const target = arch === "amd64" ? "x64" : "arm64";
  const app = join(folder, "usr/lib/gatehouse");
  await run(Deno.execPath(), [
    ...["run", "-A", "tools/production.ts", "runtime/main.ts", app, target],
  ], { cwd: source });
  const start = join(folder, "usr/lib/gatehouse-start");
  await Deno.mkdir(start, { recursive: true });
  for (const program of ["ota/app/start", "ota/image/boot"]) {
    await run("install", ["-m", "755", join(source, program), start]);
  }
  if (trust !== undefined) {
    await run("install", [
      "-m",
      "644",
      join(trust, "root.json"),
      join(trust, "keyring.pem"),
      start,
    ]);
  }
  await run("install", ["-m", "755", await denoOf(arch, source), join(folder, "usr/bin/deno")]);
}

/** The Deno that the launcher brings for this machine; another machine's comes by npm. */
async function denoOf(arch: Arch, source: string): Promise<string> {
  if (arch === "amd64" && Deno.build.arch === "x86_64") return Deno.execPath();
  const folder = join(source, ".gatehouse/cache/image", `deno-${arch}`);
  const program = join(folder, "package/deno");
  try {
    await Deno.stat(program);
  } catch {
    await Deno.mkdir(folder, { recursive: true });
    const name = arch === "amd64" ? "linux-x64-glibc" : "linux-arm64-glibc";
    const wanted = `@deno/${name}@${Deno.version.deno}`;
    await run("npm", ["pack", "--silent", "--ignore-scripts", wanted], { cwd: folder });
    await run("sh", ["-c", "tar -xzf *.tgz package/deno"], { cwd: folder });
  }
  return program;
}

async function makeInitrd(folder: string, arch: Arch, epochS: number): Promise<void> {
  await write(
    join(folder, "etc/initramfs-tools/conf.d/gatehouse"),
    "MODULES=list\nCOMPRESS=zstd\n",
  );
  await write(join(folder, "etc/initramfs-tools/modules"), `${BOOT_MODULES[arch].join("\n")}\n`);
  await run("sh", ["-c", "rm -f boot/initrd.img-*"], { cwd: folder });
  await chroot(folder, ["update-initramfs", "-c", "-k", "all"], {
    SOURCE_DATE_EPOCH: String(epochS),
  });
}

async function cleanUp(folder: string): Promise<void> {
  for (const path of LEFT_OUT) {
    await Deno.remove(join(folder, path), { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
  // What a service expects below /var is made at each boot by systemd-tmpfiles.
  await run("sh", [
    "-c",
    "rm -rf var/lib/initramfs-tools var/backups tmp/* run/* dev/* proc/* sys/*",
  ], {
    cwd: folder,
  });
}

async function chroot(
  folder: string,
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  await run("chroot", [folder, ...command], { env });
}

async function symlink(to: string, path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch(() => {});
  await Deno.symlink(to, path);
}

async function write(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(path, text, { mode: 0o644 });
}
