/**
 * The card image of a Raspberry Pi, built, and booted in QEMU's `virt`: its own kernel, initial RAM disk
 * and command line, read from the boot partition as the firmware would. Needs some ten minutes.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { runProgram } from "../../demo/program.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { simulateOsdpReaders } from "../../hal/sim/osdp_reader/mod.ts";
import { checkPiImage } from "../../images/pi/check.ts";
import { offsetOf, PI_LAYOUT } from "../../images/pi/layout.ts";
import { POLICY, ZHANG } from "../support/gate_bench.ts";
import { CardGuest, type CardMachine, cardRefusal, putIntoData } from "./card_guest.ts";

const clock = linuxClock();
const wanted = Deno.env.get("IMAGE_ARM64") === "1";
const refusal = wanted ? cardRefusal() : "IMAGE_ARM64=1 builds and boots it, in some ten minutes";
if (refusal !== undefined) console.log(`skipped: the card image of a Pi: ${refusal}`);
/** An emulated ARM on a busy machine. */
const OPEN_MS_MAX = 600_000;
const PACKED_BYTES_MAX = 350e6;
const GROWN_MIB = 400;

const BOX = `
box: { name: east-gate, timezone: Asia/Shanghai }
buses: [{ id: bus, kind: serial, path: /dev/ttyS1, baudRate: 38400 }]
readers:
  - { id: in, driver: osdp, bus: bus, address: 0, door: main }
outputs: [{ id: lock, driver: osdp, reader: in, index: 0 }]
doors:
  - { id: main, lock: lock, kind: strike, holdMs: 1500 }
`;

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  assert.ok(success, `${program}: ${new TextDecoder().decode(stderr)}`);
}

async function build(out: string) {
  const begunMs = clock.monotonicMs();
  const { code, stderr } = await runProgram(["image", "build", "--arch", "arm64", "--out", out]);
  assert.equal(code, 0, stderr);
  const names = [...Deno.readDirSync(out)].map(({ name }) => name);
  const named = (end: string) => join(out, names.find((name) => name.endsWith(end))!);
  const facts = JSON.parse(await Deno.readTextFile(named("-arm64.json")));
  const seconds = Math.round((clock.monotonicMs() - begunMs) / 1_000);
  console.log(`${(facts.packed.bytes / 1e6).toFixed(1)} MB, built in ${seconds} s`);
  return { image: named(".img.zst"), facts };
}

/** What the firmware does: kernel, initial RAM disk and command line from slot A's partition. */
async function firmware(card: string, folder: string, words: string): Promise<CardMachine> {
  const at = `${card}@@${offsetOf(PI_LAYOUT.bootA)}`;
  for (const name of ["vmlinuz", "initrd", "cmdline.txt"]) {
    await run("mcopy", "-n", "-o", "-i", at, `::/${name}`, join(folder, name));
  }
  const line = (await Deno.readTextFile(join(folder, "cmdline.txt"))).trim();
  return {
    program: "qemu-system-aarch64",
    args: [
      ...["-M", "virt", "-cpu", "cortex-a72"],
      ...["-kernel", join(folder, "vmlinuz"), "-initrd", join(folder, "initrd")],
      ...["-append", `${line} console=ttyAMA0 ${words}`],
    ],
    line: (chardev) => ["-device", `pci-serial,chardev=${chardev}`],
  };
}

Deno.test({
  name: "the card image of a Pi boots to a door that decides, and again after a power cut",
  ignore: refusal !== undefined,
  async fn(t) {
    const folder = await Deno.makeTempDir({ prefix: "pi-card-" });
    try {
      const card = join(folder, "card.img");
      await t.step("built, as a Pi's firmware wants it", async () => {
        const { image, facts } = await build(join(folder, "out"));
        assert.ok(facts.packed.bytes < PACKED_BYTES_MAX, `${facts.packed.bytes} bytes`);
        await run("zstd", "-dq", image, "-o", card);
        assert.deepEqual(await checkPiImage(card, facts.setup), []);
        if (Deno.env.get("IMAGE_TWICE") !== "1") {
          return console.log("skipped: the second build; IMAGE_TWICE=1 makes it");
        }
        const again = await build(join(folder, "again"));
        assert.equal(again.facts.image.sha256, facts.image.sha256, "built twice, it is another");
      });
      await putIntoData(card, "box.yaml", BOX);
      await putIntoData(card, "policy.json", JSON.stringify(POLICY));
      // A larger card than the image.
      await Deno.truncate(card, (await Deno.stat(card)).size + (256 << 20));
      const machine = await firmware(card, folder, "systemd.debug_shell=ttyS0");
      await t.step("boots, and is shut but for what it is for", () => firstBoot(card, machine));
      await t.step("after a power cut the door opens, from the card alone", async () => {
        const begunMs = clock.monotonicMs();
        await using guest = await CardGuest.start(card, clock, machine);
        await opens(guest);
        const seconds = ((clock.monotonicMs() - begunMs) / 1_000).toFixed(1);
        console.log(`power to first decision: ${seconds} s`);
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

async function opens(guest: CardGuest): Promise<void> {
  const stop = new AbortController();
  try {
    const line = simulateOsdpReaders(guest.wire, clock, [{ address: 0 }], stop.signal);
    const reader = line.reader(0);
    const endMs = clock.monotonicMs() + OPEN_MS_MAX;
    while (!reader.output(0)) {
      assert.ok(clock.monotonicMs() < endMs, "the door does not open");
      reader.present(32, ZHANG);
      await clock.sleep(500, new AbortController().signal);
    }
  } finally {
    stop.abort();
  }
}

async function firstBoot(card: string, machine: CardMachine): Promise<void> {
  await using guest = await CardGuest.start(card, clock, machine);
  await guest.booted();
  await guest.sh("systemctl is-system-running --wait");
  const said = async (command: string) => (await guest.sh(command)).said.trim();
  assert.equal(await said("systemctl --failed --no-legend --plain"), "");
  assert.equal(await said("uname -m"), "aarch64");
  assert.match(await said("findmnt -no FSTYPE,OPTIONS /"), /^erofs +ro/);
  assert.match(await said("passwd --status root"), /^root L/);
  assert.equal(await said("awk -F: '$2 !~ /^[!*]/' /etc/shadow"), "", "somebody has a password");
  assert.equal(await said("systemctl list-units --no-legend --plain '*getty*.service'"), "");
  const mib = Number(await said("df --output=size -m /data | tail -1"));
  assert.ok(mib > GROWN_MIB, `the data has ${mib} MiB: it did not grow`);
  // Told that the board is a Pi, RAUC knows both slots, what runs and what stays.
  const tree = "/sys/firmware/devicetree/base/compatible";
  await guest.sh(`printf 'raspberrypi,4-model-b' >/run/board; mount --bind /run/board ${tree}`);
  const status = await said("rauc status --output-format=shell");
  for (const word of ["boot.1", "RAUC_SYSTEM_BOOTED_BOOTNAME=A", "RAUC_BOOT_PRIMARY=rootfs.0"]) {
    assert.ok(status.replaceAll("'", "").includes(word), status);
  }
  assert.equal(
    await said("ls /dev/disk/by-partuuid | tr '\\n' ' '"),
    [1, 2, 3, 4, 5, 6, 7].map((n) => `47617465-0${n}`).join(" "),
  );
  const policy = await guest.sh(
    "cd /usr/lib/gatehouse && runuser -u gatehouse -- ./gatehouse policy load /data/policy.json --data /data/gatehouse",
  );
  assert.equal(policy.code, 0, policy.said);
  await opens(guest);
}
