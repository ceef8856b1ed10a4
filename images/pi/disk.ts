import { join } from "node:path";
import { type Disk, type DiskOptions, findSetup, makeData, makeRootImage, only } from "../disk.ts";
import { renderSetup } from "../../runtime/setup/mod.ts";
import { run } from "../run.ts";
import { checkPiImage } from "./check.ts";
import {
  AUTOBOOT,
  CONFIG,
  offsetOf,
  PI_DISK_ID,
  PI_LAYOUT,
  PI_MODELS,
  piCommandLine,
  type PiPartition,
  type Slot,
} from "./layout.ts";

const MIB = 1 << 20;
/** The last stage that a Pi 3's ROM looks for itself, on the first partition. */
const FIRST_STAGE = "bootcode.bin";
const LABELS = { first: "GATEHOUSE", A: "BOOT-A", B: "BOOT-B" } as const;
const SERIALS = { first: "47415445", A: "4741544a", B: "4741544b" } as const;

/** What the firmware's partitions are made of. */
export interface PiBootOptions {
  /** A root as Debian's packages lay it out: kernel, initial RAM disk, device trees, firmware. */
  readonly root: string;
  readonly work: string;
  readonly image: string;
  readonly epochS: number;
}

/** Makes the card image of a Raspberry Pi, and checks it as the firmware would read it. */
export async function makePiDisk({ root, work, image, epochS }: DiskOptions): Promise<Disk> {
  const setup = await makePiBoot({ root, work, image, epochS });
  await run("sh", ["-c", "rm -rf boot/* vmlinuz* initrd.img*"], { cwd: root });
  const erofs = await makeRootImage(root, work, epochS);
  const data = join(work, "data.ext4");
  await makeData(data, epochS);
  await put(image, erofs, PI_LAYOUT.rootA);
  await put(image, data, PI_LAYOUT.data);
  const faults = await checkPiImage(image, setup);
  if (faults.length > 0) throw new Error(`no Pi would start from it: ${faults.join("; ")}`);
  return { setup, erofs, boot: join(work, "boot-A.vfat") };
}

/** Makes a card image with all that the firmware reads, but neither roots nor data. */
export async function makePiBoot({ root, work, image, epochS }: PiBootOptions) {
  const end = PI_LAYOUT.extended.startMib + PI_LAYOUT.extended.sizeMib;
  await run("truncate", ["-s", `${end}M`, image]);
  await run("sfdisk", ["--quiet", "--no-reread", "--no-tell-kernel", image], {
    input: [
      ...["label: dos", `label-id: 0x${PI_DISK_ID}`],
      ...Object.values(PI_LAYOUT).map(({ startMib, sizeMib, type }) =>
        `start=${startMib}MiB, size=${sizeMib}MiB, type=${type}`
      ),
      "",
    ].join("\n"),
  });
  await put(image, await makeFirst(root, work, epochS), PI_LAYOUT.first);
  await put(image, await makeBoot(root, work, "A", epochS), PI_LAYOUT.bootA);
  await put(image, await makeBoot(root, work, "B", epochS), PI_LAYOUT.bootB);
  return await findSetup(image, offsetOf(PI_LAYOUT.first), PI_LAYOUT.first.sizeMib * MIB);
}

/** What no update touches but one sector of: which slot is started, and an installer's settings. */
async function makeFirst(root: string, work: string, epochS: number): Promise<string> {
  const folder = join(work, "first");
  await Deno.mkdir(folder);
  await Deno.writeFile(join(folder, "setup.yaml"), renderSetup(undefined));
  await Deno.writeTextFile(join(folder, "autoboot.txt"), AUTOBOOT);
  await Deno.copyFile(join(root, FIRMWARE_FOLDER, FIRST_STAGE), join(folder, FIRST_STAGE));
  const names = ["setup.yaml", "autoboot.txt", FIRST_STAGE];
  return await makeFat({ folder, names, label: "first", epochS, part: PI_LAYOUT.first });
}

const FIRMWARE_FOLDER = "usr/lib/raspi-firmware";

/** A slot's firmware, kernel and device trees: a system brings all that is started after the ROM. */
async function makeBoot(root: string, work: string, slot: Slot, epochS: number): Promise<string> {
  const folder = join(work, `boot-${slot}`);
  await Deno.mkdir(folder);
  const kernel = await only(join(root, "boot"), "vmlinuz-");
  await Deno.copyFile(await only(join(root, "boot"), "initrd.img-"), join(folder, "initrd"));
  // Cards are read at some 20 MB/s: packed it is there sooner. The firmware unpacks it.
  await run("sh", ["-c", 'gzip -9 -n <"$1" >"$2"', "sh", kernel, join(folder, "vmlinuz")]);
  const trees = join(await only(join(root, "usr/lib"), "linux-image-"), "broadcom");
  for (const { firmware, tree } of PI_MODELS) {
    for (const name of firmware) {
      await Deno.copyFile(join(root, FIRMWARE_FOLDER, name), join(folder, name));
    }
    await Deno.copyFile(join(trees, tree), join(folder, tree));
  }
  await Deno.copyFile(join(root, FIRMWARE_FOLDER, FIRST_STAGE), join(folder, FIRST_STAGE));
  await Deno.writeTextFile(join(folder, "config.txt"), CONFIG);
  await Deno.writeTextFile(join(folder, "cmdline.txt"), piCommandLine(slot));
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  const part = slot === "A" ? PI_LAYOUT.bootA : PI_LAYOUT.bootB;
  return await makeFat({ folder, names, label: slot, epochS, part });
}

interface FatOptions {
  readonly folder: string;
  /** In the order in which they are written: a file written first is in one piece. */
  readonly names: readonly string[];
  readonly label: keyof typeof LABELS;
  readonly part: PiPartition;
  readonly epochS: number;
}

async function makeFat({ folder, names, label, part, epochS }: FatOptions): Promise<string> {
  const image = `${folder}.vfat`;
  await run("sh", ["-c", `find . -exec touch -h -d @${epochS} {} +`], {
    cwd: folder,
  });
  await run("truncate", ["-s", `${part.sizeMib}M`, image]);
  await run("mkfs.vfat", [
    ...["-F", "32", "-n", LABELS[label], "-i", SERIALS[label], "--invariant", image],
  ]);
  const env = { SOURCE_DATE_EPOCH: String(epochS) };
  for (const name of names) {
    await run("mcopy", ["-m", "-i", image, join(folder, name), `::/${name}`], { env });
  }
  return image;
}

async function put(image: string, file: string, partition: PiPartition): Promise<void> {
  const { size } = await Deno.stat(file);
  if (size > partition.sizeMib * MIB) {
    throw new Error(
      `${file} has ${Math.ceil(size / MIB)} MiB, there is room for ${partition.sizeMib}`,
    );
  }
  await run("dd", [
    ...[`if=${file}`, `of=${image}`, "bs=1M", `seek=${partition.startMib}`],
    ...["conv=notrunc,sparse", "status=none"],
  ]);
}
