/** The back end of RAUC on a Pi: an update names its slot in the boot partition that RAUC wrote. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { AUTOBOOT, piCommandLine } from "../../images/pi/layout.ts";

const BOOT = new URL("../../ota/image/boot", import.meta.url).pathname;

async function card() {
  const folder = await Deno.makeTempDir({ prefix: "pi-boot-" });
  for (const name of ["first", "slots/2", "slots/3", "data"]) {
    await Deno.mkdir(join(folder, name), { recursive: true });
  }
  await Deno.writeTextFile(join(folder, "first/autoboot.txt"), AUTOBOOT);
  await Deno.writeTextFile(join(folder, "board"), "raspberrypi,3-model-b\0brcm,bcm2837\0");
  // A bundle has slot A's boot partition, whichever slot it is written to.
  for (const part of ["2", "3"]) {
    await Deno.writeTextFile(join(folder, "slots", part, "cmdline.txt"), piCommandLine("A"));
  }
  await Deno.writeTextFile(join(folder, "cmdline"), "quiet rauc.slot=A \n");
  return {
    folder,
    lineOf: (part: 2 | 3) => Deno.readTextFile(join(folder, "slots", String(part), "cmdline.txt")),
    async boot(...args: string[]) {
      const { code, stdout, stderr } = await new Deno.Command("sh", {
        args: [BOOT, ...args],
        env: {
          GATEHOUSE_BOOT_DATA: join(folder, "data"),
          GATEHOUSE_BOOT_TREE: join(folder, "tree"),
          GATEHOUSE_BOOT_BOARD: join(folder, "board"),
          GATEHOUSE_BOOT_CMDLINE: join(folder, "cmdline"),
          GATEHOUSE_BOOT_REBOOT: join(folder, "reboot"),
          GATEHOUSE_BOOT_FIRST: join(folder, "first"),
          GATEHOUSE_BOOT_SLOTS: join(folder, "slots"),
        },
      }).output();
      const text = new TextDecoder();
      return { code, said: text.decode(stdout).trim() + text.decode(stderr).trim() };
    },
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

Deno.test("slot B's boot partition names slot B once it is taken, and may be tried then", async () => {
  await using it = await card();
  await it.boot("set-state", "B", "bad");
  assert.match((await it.boot("set-primary", "B")).said, /not whole/);
  assert.deepEqual(await it.boot("take", "B", "/dev/null"), { code: 0, said: "" });
  assert.equal(await it.lineOf(3), piCommandLine("B"));
  assert.equal((await it.boot("set-primary", "B")).code, 0);
  assert.equal(await Deno.readTextFile(join(it.folder, "reboot")), "0 tryboot");
  // It runs, and stays; then slot A is the one that is written.
  await Deno.writeTextFile(join(it.folder, "cmdline"), await it.lineOf(3));
  await Deno.remove(join(it.folder, "reboot"));
  assert.equal((await it.boot("set-state", "B", "good")).code, 0);
  assert.equal((await it.boot("get-primary")).said, "B");
  assert.deepEqual(await it.boot("take", "A", "/dev/null"), { code: 0, said: "" });
  assert.equal(await it.lineOf(2), piCommandLine("A"));
});

Deno.test("the slot that stays is not taken, nor one whose boot partition is another's", async () => {
  await using it = await card();
  assert.match((await it.boot("take", "A", "/dev/null")).said, /not overwritten/);
  await Deno.writeTextFile(join(it.folder, "slots/3/cmdline.txt"), "root=/dev/sda1 quiet\n");
  const { code, said } = await it.boot("take", "B", "/dev/null");
  assert.equal(code, 1);
  assert.match(said, /cmdline\.txt of slot B/);
});
