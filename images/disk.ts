import { join } from "node:path";
import type { Arch } from "./root.ts";
import { renderSetup, SETUP_BYTES, SETUP_HEAD } from "../runtime/setup/mod.ts";
import { run } from "./run.ts";

const MIB = 1 << 20;
/** Room for a slot's kernel on the first partition: overwritten in place, so it cannot grow. */
const KERNEL_MIB = { vmlinuz: 24, initrd: 72 } as const;
/** The size of what says which slot stays: one sector, so that a cut leaves it old or new. */
const SECTOR_BYTES = 512;
/** Sizes of the partitions, in MiB. A slot has room for an image half as large again. */
const SIZES = { esp: 256, slot: 640, data: 256 } as const;
/** Before the first partition and after the last: GPT's own. */
const MARGIN_MIB = 1;
/** Fixed, for the same image twice. They name partitions of a card, not a card. */
const IDS = {
  disk: "5f1d4f5e-6a7e-4b0e-9a51-67617465686f",
  esp: "5f1d4f5e-6a7e-4b0e-9a51-000000000001",
  rootA: "5f1d4f5e-6a7e-4b0e-9a51-000000000002",
  rootB: "5f1d4f5e-6a7e-4b0e-9a51-000000000003",
  data: "5f1d4f5e-6a7e-4b0e-9a51-000000000004",
  dataHash: "5f1d4f5e-6a7e-4b0e-9a51-000000000005",
} as const;
/** "Server data": only of a type of its own can systemd-repart know which partition is to grow. */
const TYPE_SRV = "3B8F8425-20E0-4F3B-907F-1A25A76F98E8";
const FAT_SERIAL = "47415445";

/** Where something is in the raw image, in bytes. */
export interface Place {
  readonly offset: number;
  readonly bytes: number;
}

/** What a card image is made of. */
export interface DiskOptions {
  readonly arch: Arch;
  /** The root file system's folder. */
  readonly root: string;
  /** For files on the way. */
  readonly work: string;
  readonly image: string;
  readonly epochS: number;
}

/** A card image that was made. */
export interface Disk {
  /** Where the setup file is in it. */
  readonly setup: Place;
  /** The root file system, as a slot holds it. */
  readonly erofs: string;
  /** The boot partition, where a slot has one of its own. */
  readonly boot?: string;
}

/** Makes the card image. */
export async function makeDisk({ root, work, image, epochS }: DiskOptions): Promise<Disk> {
  const [esp, data] = [join(work, "esp.vfat"), join(work, "data.ext4")];
  await moveKernel(root);
  await makeEsp(root, join(work, "esp"), esp, epochS);
  const erofs = await makeRootImage(root, work, epochS);
  await makeData(data, epochS);
  return { setup: await assemble(image, { esp, rootA: erofs, data }), erofs };
}

/** Makes the read-only root that a slot holds. */
export async function makeRootImage(root: string, work: string, epochS: number): Promise<string> {
  const erofs = join(work, "root.erofs");
  await run("mkfs.erofs", [
    ...["-zlz4hc,12", "-C65536", `-T${epochS}`, "-U", IDS.rootA, "--quiet"],
    ...["-x", "-1", erofs, root],
  ]);
  const bytes = (await Deno.stat(erofs)).size;
  if (bytes > SIZES.slot * MIB) {
    throw new Error(`the root has ${Math.ceil(bytes / MIB)} MiB, a slot ${SIZES.slot} MiB`);
  }
  return erofs;
}

async function makeEsp(root: string, folder: string, image: string, epochS: number): Promise<void> {
  await Deno.mkdir(join(folder, "EFI/BOOT"), { recursive: true });
  await Deno.mkdir(join(folder, "loader/entries"), { recursive: true });
  await Deno.copyFile(
    join(root, "usr/lib/systemd/boot/efi/systemd-bootx64.efi"),
    join(folder, "EFI/BOOT/BOOTX64.EFI"),
  );
  await Deno.writeTextFile(join(folder, "loader/loader.conf"), LOADER_CONF);
  for (const slot of ["a", "b"] as const) {
    await Deno.mkdir(join(folder, slot));
    for (const [name, mib] of Object.entries(KERNEL_MIB)) {
      const file = join(folder, slot, name);
      if (slot === "a") await Deno.copyFile(join(root, KERNEL_FOLDER, name), file);
      if (slot === "a" && (await Deno.stat(file)).size > mib * MIB) {
        throw new Error(`${name} is larger than ${mib} MiB`);
      }
      await run("truncate", ["-s", `${mib}M`, file]);
    }
    await Deno.writeTextFile(
      join(folder, `loader/entries/gatehouse-${slot}.conf`),
      `title Gatehouse ${slot.toUpperCase()}\nsort-key gatehouse\nversion 1\nlinux /${slot}/vmlinuz\ninitrd /${slot}/initrd\noptions ${
        kernelOptions(slot)
      }\n`,
    );
  }
  await Deno.writeFile(join(folder, "setup.yaml"), renderSetup(undefined));
  await run("sh", ["-c", `find . -exec touch -h -d @${epochS} {} +`], { cwd: folder });
  await run("truncate", ["-s", `${SIZES.esp}M`, image]);
  await run("mkfs.vfat", ["-F", "32", "-n", "GATEHOUSE", "-i", FAT_SERIAL, "--invariant", image]);
  // The setup file first, so that its clusters follow one another; the rest in a fixed order.
  const env = { SOURCE_DATE_EPOCH: String(epochS) };
  await run("mcopy", ["-m", "-i", image, join(folder, "setup.yaml"), "::/setup.yaml"], { env });
  for (const name of ["EFI", "loader", "a", "b"]) {
    await run("mcopy", ["-s", "-m", "-i", image, join(folder, name), "::/"], { env });
  }
}

/** Read-only root, found by its partition; a kernel that panics restarts, and so does a lost root. */
function kernelOptions(slot: "a" | "b"): string {
  return [
    `root=PARTLABEL=root-${slot} rootfstype=erofs ro rauc.slot=${slot.toUpperCase()}`,
    "quiet panic=5 systemd.show_status=no systemd.gpt_auto=no",
    "console=tty0 console=ttyS0,115200",
  ].join(" ");
}

/** As `boot` writes it. */
const LOADER_CONF = sector("default gatehouse-a.conf\ntimeout 0\neditor no\nauto-entries no\n");

function sector(text: string): string {
  return `${`${text}#`.padEnd(SECTOR_BYTES - 1)}\n`;
}

/** A system brings its kernel along, for whoever puts it onto the first partition. */
const KERNEL_FOLDER = "usr/lib/gatehouse-start";

async function moveKernel(root: string): Promise<void> {
  const boot = join(root, "boot");
  await Deno.rename(await only(boot, "vmlinuz-"), join(root, KERNEL_FOLDER, "vmlinuz"));
  await Deno.rename(await only(boot, "initrd.img-"), join(root, KERNEL_FOLDER, "initrd"));
  await run("sh", ["-c", "rm -rf boot/System.map* vmlinuz* initrd*"], { cwd: root });
}

/** Makes the data partition: ext4, empty. */
export async function makeData(image: string, epochS: number): Promise<void> {
  await run("truncate", ["-s", `${SIZES.data}M`, image]);
  await run("mke2fs", [
    ...["-q", "-t", "ext4", "-b", "4096", "-m", "1", "-L", "data", "-U", IDS.data],
    ...["-E", `hash_seed=${IDS.dataHash},lazy_itable_init=0,nodiscard`, image],
  ], { env: { E2FSPROGS_FAKE_TIME: String(epochS), SOURCE_DATE_EPOCH: String(epochS) } });
}

async function assemble(
  image: string,
  parts: { readonly esp: string; readonly rootA: string; readonly data: string },
): Promise<Place> {
  const starts = { esp: MARGIN_MIB, rootA: 0, rootB: 0, data: 0 };
  starts.rootA = starts.esp + SIZES.esp;
  starts.rootB = starts.rootA + SIZES.slot;
  starts.data = starts.rootB + SIZES.slot;
  const end = starts.data + SIZES.data + MARGIN_MIB;
  await run("truncate", ["-s", `${end}M`, image]);
  const partition = (start: number, size: number, type: string, uuid: string, name: string) =>
    `start=${start}MiB, size=${size}MiB, type=${type}, uuid=${uuid}, name="${name}"`;
  await run("sfdisk", ["--quiet", "--no-reread", "--no-tell-kernel", image], {
    input: [
      "label: gpt",
      `label-id: ${IDS.disk}`,
      partition(starts.esp, SIZES.esp, "U", IDS.esp, "esp"),
      partition(starts.rootA, SIZES.slot, "L", IDS.rootA, "root-a"),
      partition(starts.rootB, SIZES.slot, "L", IDS.rootB, "root-b"),
      partition(starts.data, SIZES.data, TYPE_SRV, IDS.data, "data"),
      "",
    ].join("\n"),
  });
  for (const [part, file] of Object.entries(parts)) {
    const at = starts[part as keyof typeof parts];
    await run("dd", [
      ...[`if=${file}`, `of=${image}`, "bs=1M", `seek=${at}`, "conv=notrunc,sparse", "status=none"],
    ]);
  }
  return await findSetup(image, starts.esp * MIB, SIZES.esp * MIB);
}

/** The setup file's bytes in the image. @throws when they do not follow one another. */
export async function findSetup(image: string, from: number, bytes: number): Promise<Place> {
  const wanted = renderSetup(undefined);
  using file = await Deno.open(image);
  const head = new TextEncoder().encode(SETUP_HEAD);
  const block = new Uint8Array(512);
  for (let at = from; at < from + bytes; at += block.length) {
    await file.seek(at, Deno.SeekMode.Start);
    await file.read(block);
    if (!head.every((byte, i) => block[i] === byte)) continue;
    const whole = new Uint8Array(SETUP_BYTES);
    await file.seek(at, Deno.SeekMode.Start);
    for (let done = 0; done < whole.length;) {
      done += await file.read(whole.subarray(done)) ?? whole.length;
    }
    if (whole.every((byte, i) => byte === wanted[i])) return { offset: at, bytes: SETUP_BYTES };
  }
  throw new Error("the setup file is not in one piece on the first partition");
}

/** The one file of a folder whose name begins so. @throws when there is none, or several. */
export async function only(folder: string, prefix: string): Promise<string> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir(folder)) if (name.startsWith(prefix)) found.push(name);
  if (found.length !== 1) {
    throw new Error(`${folder}: ${found.length} files ${prefix}…, expected one`);
  }
  return join(folder, found[0]!);
}
