import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { Place } from "../disk.ts";
import { run } from "../run.ts";
import {
  offsetOf,
  partUuid,
  PI_DISK_ID,
  PI_LAYOUT,
  PI_MODELS,
  type PiModel,
  SECTOR_BYTES,
  type Slot,
} from "./layout.ts";

const SECTORS_PER_MIB = 2_048;
/** What `config.txt` may say: the firmware says nothing about what it does not know. */
const SETTINGS: Readonly<Record<string, RegExp>> = {
  arm_64bit: /^1$/,
  upstream_kernel: /^1$/,
  kernel: /^\S+$/,
  device_tree: /^\S+$/,
  enable_uart: /^1$/,
  disable_splash: /^1$/,
  gpu_mem: /^(32|64|128)$/,
};
const SECTIONS: ReadonlySet<string> = new Set(["all", "pi3", "pi3+", "pi4", "pi400", "cm4"]);
/** Without these no kernel of 64 bits starts. */
const REQUIRED = ["arm_64bit", "upstream_kernel", "kernel"];

/** How a file of each kind begins, at which byte. */
const MAGIC = {
  elf: [0, [0x7f, 0x45, 0x4c, 0x46]],
  gzip: [0, [0x1f, 0x8b]],
  /** "ARMd", in the head of a kernel (Documentation/arch/arm64/booting.rst). */
  kernel: [56, [0x41, 0x52, 0x4d, 0x64]],
  tree: [0, [0xd0, 0x0d, 0xfe, 0xed]],
} as const;

type Files = ReadonlyMap<string, Uint8Array>;

/**
 * Reads a Pi's card image as the boards' ROMs and firmware would; what keeps any of them from
 * starting, or an update or an installer from what they rely on. Empty when all is well.
 */
export async function checkPiImage(image: string, setup: Place): Promise<string[]> {
  const work = await Deno.makeTempDir({ prefix: "gatehouse-pi-check-" });
  try {
    const table = await checkTable(image);
    if (table.length > 0) return table;
    const read = async (part: "first" | "bootA" | "bootB"): Promise<Files> => {
      const folder = join(work, part);
      await Deno.mkdir(folder);
      const at = `${image}@@${offsetOf(PI_LAYOUT[part])}`;
      await run("mcopy", ["-s", "-n", "-Q", "-i", at, "::/*", folder]);
      const names = [...Deno.readDirSync(folder)].filter((entry) => entry.isFile);
      return new Map(names.map(({ name }) => [name, Deno.readFileSync(join(folder, name))]));
    };
    const first = await read("first");
    return [
      ...checkFirst(first),
      ...await checkSetup(image, setup, first.get("setup.yaml")),
      ...checkBoot("A", await read("bootA")),
      ...checkBoot("B", await read("bootB")),
    ];
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function checkTable(image: string): Promise<string[]> {
  const { partitiontable } = JSON.parse(await run("sfdisk", ["--json", image]));
  const { label, id, partitions } = partitiontable;
  if (label !== "dos") return [`its table is ${label}; a Pi 3's ROM reads an MBR only`];
  const faults = id === `0x${PI_DISK_ID}` ? [] : [`the disk is ${id}, not 0x${PI_DISK_ID}`];
  for (const [name, { number, startMib, sizeMib, type }] of Object.entries(PI_LAYOUT)) {
    const found = partitions[number - 1];
    const start = startMib * SECTORS_PER_MIB;
    const size = sizeMib * SECTORS_PER_MIB;
    if (found?.start !== start || found.size !== size || found.type !== type) {
      faults.push(`partition ${number} (${name}) is not where it should be, or of another type`);
    }
  }
  return partitions.length === Object.keys(PI_LAYOUT).length
    ? faults
    : [...faults, `there are ${partitions.length} partitions`];
}

function checkFirst(files: Files): string[] {
  const faults: string[] = [];
  if ((files.get("bootcode.bin")?.length ?? 0) === 0) {
    faults.push("bootcode.bin is not on the first partition, where a Pi 3's ROM looks for it");
  }
  const autoboot = files.get("autoboot.txt");
  if (autoboot?.length !== SECTOR_BYTES) {
    return [...faults, `autoboot.txt has ${autoboot?.length ?? "no"} bytes, not ${SECTOR_BYTES}`];
  }
  const { settings, faults: odd } = parse(autoboot, "autoboot.txt");
  const wanted = new Map([
    ["[all] tryboot_a_b", "1"],
    ["[all] boot_partition", String(PI_LAYOUT.bootA.number)],
    ["[tryboot] boot_partition", String(PI_LAYOUT.bootB.number)],
  ]);
  faults.push(...odd);
  for (const [key, value] of settings) {
    if (wanted.get(key) !== value) faults.push(`autoboot.txt: ${key}=${value}`);
    wanted.delete(key);
  }
  return [...faults, ...[...wanted.keys()].map((key) => `autoboot.txt does not say ${key}`)];
}

async function checkSetup(
  image: string,
  { offset, bytes }: Place,
  content: Uint8Array | undefined,
): Promise<string[]> {
  if (content === undefined) return ["setup.yaml is not on the first partition"];
  if (content.length !== bytes) return [`setup.yaml has ${content.length} bytes, not ${bytes}`];
  using file = await Deno.open(image);
  await file.seek(offset, Deno.SeekMode.Start);
  const there = new Uint8Array(bytes);
  for (let done = 0; done < bytes;) {
    const count = await file.read(there.subarray(done));
    if (count === null) break;
    done += count;
  }
  return there.every((byte, n) => byte === content[n])
    ? []
    : [`setup.yaml is not in one piece at ${offset}`];
}

function checkBoot(slot: Slot, files: Files): string[] {
  const { settings, faults, initrd } = parse(files.get("config.txt"), "config.txt");
  for (const key of REQUIRED) {
    if (!settings.has(`[all] ${key}`)) faults.push(`config.txt does not say ${key}`);
  }
  for (const [key, value] of settings) {
    const [section, name] = key.slice(1).split("] ") as [string, string];
    if (!SECTIONS.has(section)) faults.push(`config.txt: no firmware knows [${section}]`);
    if (!(SETTINGS[name]?.test(value) ?? false)) faults.push(`config.txt: ${name}=${value}`);
    if (name === "device_tree" && !files.has(value)) faults.push(`${value} is missing`);
  }
  if (initrd === undefined) faults.push("config.txt does not name an initramfs");
  else if ((files.get(initrd)?.length ?? 0) === 0) faults.push(`${initrd} is missing`);
  faults.push(...checkKernel(files.get(settings.get("[all] kernel") ?? "")));
  for (const model of PI_MODELS) faults.push(...checkModel(model, files));
  faults.push(...checkCommandLine(slot, files.get("cmdline.txt")));
  return faults.map((fault) => `boot partition ${slot}: ${fault}`);
}

function checkModel({ name, firmware, tree, compatible }: PiModel, files: Files): string[] {
  const [elf, data] = firmware;
  const faults: string[] = [];
  if (!begins(files.get(elf), "elf")) faults.push(`${elf} is missing or no firmware`);
  if ((files.get(data)?.length ?? 0) === 0) faults.push(`${data} is missing`);
  const blob = files.get(tree);
  if (!begins(blob, "tree")) faults.push(`${tree} is missing or no device tree`);
  else if (!new TextDecoder("latin1").decode(blob).includes(`${compatible}\0`)) {
    faults.push(`${tree} is of another board than ${compatible}`);
  }
  return faults.map((fault) => `Pi ${name}: ${fault}`);
}

function checkKernel(packed: Uint8Array | undefined): string[] {
  if (!begins(packed, "gzip")) return ["the kernel is missing or not packed by gzip"];
  try {
    return begins(gunzipSync(packed!), "kernel") ? [] : ["the kernel is not of 64-bit ARM"];
  } catch {
    return ["the kernel is not whole"];
  }
}

function checkCommandLine(slot: Slot, bytes: Uint8Array | undefined): string[] {
  if (bytes?.length !== SECTOR_BYTES) {
    return [`cmdline.txt has ${bytes?.length ?? "no"} bytes, not ${SECTOR_BYTES}`];
  }
  const lines = new TextDecoder().decode(bytes).trimEnd().split("\n");
  if (lines.length > 1) return ["cmdline.txt has more than one line; the kernel gets the first"];
  const words = lines[0]!.split(/\s+/);
  const root = slot === "A" ? PI_LAYOUT.rootA : PI_LAYOUT.rootB;
  const wanted = [
    `root=PARTUUID=${partUuid(root)}`,
    ...["rootfstype=erofs", "ro", "rootwait", `rauc.slot=${slot}`, "panic=5"],
  ];
  const faults = wanted.filter((word) => !words.includes(word))
    .map((word) => `cmdline.txt does not say ${word}`);
  for (const word of words) {
    if (/^(root|rauc\.slot)=/.test(word) && !wanted.includes(word)) {
      faults.push(`cmdline.txt says ${word}`);
    }
    if (/^(init|systemd\.debug.*|rd\.break)\b/.test(word)) {
      faults.push(`cmdline.txt lets somebody in: ${word}`);
    }
  }
  return faults;
}

interface Parsed {
  /** By `[section] key`. */
  readonly settings: ReadonlyMap<string, string>;
  readonly faults: string[];
  /** The file of the `initramfs` line, which has no `=`. */
  readonly initrd: string | undefined;
}

function parse(bytes: Uint8Array | undefined, name: string): Parsed {
  const settings = new Map<string, string>();
  if (bytes === undefined) return { settings, faults: [`${name} is missing`], initrd: undefined };
  const faults: string[] = [];
  let [section, initrd]: [string, string | undefined] = ["all", undefined];
  for (const line of new TextDecoder().decode(bytes).split("\n").map((one) => one.trimEnd())) {
    const setting = /^([a-z0-9_]+)=(\S+)$/.exec(line);
    const ramdisk = /^initramfs (\S+) followkernel$/.exec(line)?.[1];
    const head = /^\[([^\]]+)\]$/.exec(line)?.[1];
    if (line === "" || line.startsWith("#")) continue;
    if (head !== undefined) section = head;
    else if (ramdisk !== undefined) initrd = ramdisk;
    else if (setting === null) faults.push(`${name}: no firmware reads "${line}"`);
    else if (settings.has(`[${section}] ${setting[1]}`)) faults.push(`${name}: twice: ${line}`);
    else settings.set(`[${section}] ${setting[1]}`, setting[2]!);
  }
  return { settings, faults, initrd };
}

function begins(bytes: Uint8Array | undefined, kind: keyof typeof MAGIC): boolean {
  const [at, magic] = MAGIC[kind];
  return bytes !== undefined && magic.every((byte, n) => bytes[at + n] === byte);
}
