/**
 * The partitions that a Raspberry Pi's firmware reads, made from stand-ins for Debian's files, and what
 * the check says when one thing of them is wrong. No Pi is needed, no download, and no root's rights.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { checkPiImage } from "../../images/pi/check.ts";
import { makePiBoot } from "../../images/pi/disk.ts";
import { offsetOf, PI_LAYOUT, PI_MODELS, piSystemConf } from "../../images/pi/layout.ts";

const TOOLS = ["sfdisk", "mkfs.vfat", "mcopy", "mdel", "gzip"];
const PATH = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`;
const EPOCH_S = 1_700_000_000;
const missing = TOOLS.filter((tool) => !PATH.split(":").some((folder) => exists(folder, tool)));
if (missing.length > 0) console.log(`skipped: a Pi's partitions: not installed: ${missing}`);

function exists(folder: string, tool: string): boolean {
  try {
    return Deno.statSync(join(folder, tool)).isFile;
  } catch {
    return false;
  }
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, env: { PATH } }).output();
  assert.ok(success, `${program}: ${new TextDecoder().decode(stderr)}`);
}

/** Files that begin as Debian's do. */
async function standIn(root: string): Promise<void> {
  const write = async (path: string, bytes: Uint8Array) => {
    await Deno.mkdir(join(root, path, ".."), { recursive: true });
    await Deno.writeFile(join(root, path), bytes);
  };
  const text = (value: string) => new TextEncoder().encode(value);
  const kernel = new Uint8Array(3 << 20);
  kernel.set(text("ARMd"), 56);
  await write("boot/vmlinuz-6.12.0-arm64", kernel);
  await write("boot/initrd.img-6.12.0-arm64", text("070701"));
  await write("usr/lib/raspi-firmware/bootcode.bin", text("stage"));
  for (const { firmware: [elf, data], tree, compatible } of PI_MODELS) {
    await write(`usr/lib/raspi-firmware/${elf}`, text("\x7fELF"));
    await write(`usr/lib/raspi-firmware/${data}`, text("data"));
    const head = Uint8Array.of(0xd0, 0x0d, 0xfe, 0xed);
    const blob = Uint8Array.of(...head, ...text(`\0${compatible}\0brcm\0`));
    await write(`usr/lib/linux-image-6.12.0-arm64/broadcom/${tree}`, blob);
  }
}

type Part = "first" | "bootA" | "bootB";

/** One thing that is wrong, by a file's new text or its absence; and what the check says of it. */
const FAULTS: readonly (readonly [
  part: Part,
  file: string,
  change: ((text: string) => string) | "gone",
  said: RegExp,
])[] = [
  ["first", "bootcode.bin", "gone", /bootcode\.bin/],
  ["first", "setup.yaml", "gone", /setup\.yaml is not on/],
  ["first", "setup.yaml", (text) => text.slice(1), /65535 bytes/],
  ["first", "setup.yaml", (text) => text.replace("# g", "# G"), /not in one piece/],
  ["first", "autoboot.txt", (text) => text.trimEnd(), /autoboot\.txt has \d+ bytes/],
  ["first", "autoboot.txt", (text) => text.replace("=3", "=2"), /boot_partition=2/],
  ["first", "autoboot.txt", (text) => text.replace("=2", "=5"), /boot_partition=5/],
  ["first", "autoboot.txt", (text) => text.replace("a_b=1", "a_b=0"), /tryboot_a_b=0/],
  ["bootA", "config.txt", "gone", /config\.txt is missing/],
  ["bootA", "config.txt", (text) => text.replace("gpu_mem", "gpu_men"), /gpu_men/],
  ["bootA", "config.txt", (text) => text.replace("[cm4]", "[cm44]"), /cm44/],
  ["bootA", "config.txt", (text) => text.replace("arm_64bit=1", ""), /arm_64bit/],
  ["bootA", "config.txt", (text) => text.replace("=vmlinuz", "=kernel8.img"), /kernel/],
  ["bootA", "config.txt", (text) => text.replace("followkernel", "0x"), /no firmware reads/],
  ["bootA", "initrd", "gone", /initrd is missing/],
  ["bootA", "vmlinuz", (text) => text.slice(0, 200), /kernel is not whole|of 64-bit/],
  ["bootB", "cmdline.txt", (text) => text.replace("slot=B", "slot=A"), /slot=A/],
  ["bootB", "cmdline.txt", (text) => text.replace("-06", "-05"), /-05/],
  ["bootB", "cmdline.txt", (text) => text.replace("ro ", "rw "), /does not say ro/],
  ["bootB", "cmdline.txt", (text) => text.replace(" quiet", "\nquiet"), /more than one line/],
  ["bootB", "cmdline.txt", (text) => `${text} `, /513 bytes/],
  ...PI_MODELS.flatMap(({ firmware, tree }) =>
    [...firmware, tree].map((file) =>
      ["bootB", file, "gone", new RegExp(`Pi .*${file.replace(".", "\\.")} is missing`)] as const
    )
  ),
  ["bootA", "bcm2711-rpi-4-b.dtb", (text) => text.replace("4-model-b", "5-model-b"), /Pi 4B/],
];

Deno.test({
  name: "a Pi's partitions pass the check, and not with any one thing wrong",
  ignore: missing.length > 0,
  async fn() {
    const work = await Deno.makeTempDir({ prefix: "pi-check-" });
    try {
      const root = join(work, "root");
      await standIn(root);
      const image = join(work, "card.img");
      const setup = await makePiBoot({ root, work, image, epochS: EPOCH_S });
      assert.deepEqual(await checkPiImage(image, setup), []);

      const file = join(work, "file");
      const at = (part: Part) => `${image}@@${offsetOf(PI_LAYOUT[part])}`;
      for (const [part, name, change, said] of FAULTS) {
        await run("mcopy", "-n", "-o", "-i", at(part), `::/${name}`, file);
        const good = await Deno.readFile(file);
        if (change === "gone") await run("mdel", "-i", at(part), `::/${name}`);
        else {
          const old = good.reduce((text, byte) => text + String.fromCharCode(byte), "");
          assert.notEqual(change(old), old, `${name}: nothing was changed`);
          const changed = join(work, "changed");
          await Deno.writeFile(
            changed,
            Uint8Array.from(change(old), (letter) => letter.charCodeAt(0)),
          );
          // Not in place: the clusters of a file that is deleted may be taken by another.
          await run("mcopy", "-D", "o", "-i", at(part), changed, `::/${name}`);
        }
        const faults = await checkPiImage(image, setup);
        assert.match(faults.join("\n"), said, `${part}/${name}: ${faults.join("; ")}`);
        await run("mcopy", "-D", "o", "-i", at(part), file, `::/${name}`);
        assert.deepEqual(await checkPiImage(image, setup), [], `${name} is as it was`);
      }
      await run("sfdisk", "--quiet", "--part-type", image, "1", "ef");
      assert.match((await checkPiImage(image, setup)).join(), /partition 1 \(first\)/);
    } finally {
      await Deno.remove(work, { recursive: true });
    }
  },
});

Deno.test("RAUC's slots of a Pi are a root and a boot partition each, by the MBR's numbers", async () => {
  const pc = await Deno.readTextFile(
    new URL("../../images/rootfs/usr/lib/rauc/system.conf", import.meta.url),
  );
  const slots = piSystemConf(pc).split(/^(?=\[)/m).filter((part) => part.startsWith("[slot."));
  const devices = slots.map((part) =>
    `${/^\[slot\.(\S+)\]/.exec(part)![1]} ${/by-partuuid\/(\S+)/.exec(part)?.[1]} ${
      /^(?:bootname|parent)=(\S+)/m.exec(part)![1]
    }`
  );
  assert.deepEqual(devices, [
    "rootfs.0 47617465-05 A",
    "rootfs.1 47617465-06 B",
    "boot.0 47617465-02 rootfs.0",
    "boot.1 47617465-03 rootfs.1",
  ]);
});
