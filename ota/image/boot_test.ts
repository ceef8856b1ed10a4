/**
 * The boot loader's back end as RAUC calls it, on folders in place of the first partition, the firmware's
 * variables, the kernel's command line and a Pi's device tree.
 */
import assert from "node:assert/strict";
import { join } from "node:path";

const BOOT = new URL("./boot", import.meta.url).pathname;
const ONE_SHOT = "LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

function sector(text: string): string {
  return `${`${text}\n#`.padEnd(511)}\n`;
}

/** A machine that runs slot A, which stays. */
async function machine(kind: "pc" | "pi") {
  const folder = await Deno.makeTempDir({ prefix: "boot-" });
  const at = (name: string) => join(folder, name);
  for (
    const name of [
      "first/loader",
      "first/a",
      "first/b",
      "efi",
      "data",
      "root/usr/lib/gatehouse-start",
    ]
  ) {
    await Deno.mkdir(at(name), { recursive: true });
  }
  if (kind === "pi") {
    await Deno.mkdir(at("tree"));
    const autoboot = "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3";
    await Deno.writeTextFile(at("first/autoboot.txt"), sector(autoboot));
  } else {
    const loader = "default gatehouse-a.conf\ntimeout 0\neditor no\nauto-entries no";
    await Deno.writeTextFile(at("first/loader/loader.conf"), sector(loader));
  }
  for (const slot of ["a", "b"]) {
    for (const name of ["vmlinuz", "initrd"]) {
      await Deno.writeFile(at(`first/${slot}/${name}`), new Uint8Array(4_096).fill(0x11));
    }
  }
  await Deno.writeTextFile(at("cmdline"), "root=x rauc.slot=A quiet");
  const boot = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
      args: [BOOT, ...args],
      env: {
        GATEHOUSE_BOOT_DATA: at("data"),
        GATEHOUSE_BOOT_EFI: at("efi"),
        GATEHOUSE_BOOT_TREE: at("tree"),
        GATEHOUSE_BOOT_CMDLINE: at("cmdline"),
        GATEHOUSE_BOOT_REBOOT: at("reboot-param"),
        GATEHOUSE_BOOT_FIRST: at("first"),
      },
    }).output();
    const decoder = new TextDecoder();
    return { code, said: decoder.decode(stdout).trim(), why: decoder.decode(stderr).trim() };
  };
  const ok = async (...args: string[]) => {
    const { code, said, why } = await boot(...args);
    assert.equal(code, 0, `${args.join(" ")}: ${why}`);
    return said;
  };
  const refused = async (why: RegExp, ...args: string[]) => {
    const answer = await boot(...args);
    assert.equal(answer.code, 1, args.join(" "));
    assert.match(answer.why, why);
  };
  /** A reset: whoever starts what is to be tried forgets it first. */
  const reset = async () => {
    const primary = await ok("get-primary");
    for (const name of [`efi/${ONE_SHOT}`, "reboot-param"]) {
      await Deno.remove(at(name)).catch(() => {});
    }
    await Deno.writeTextFile(at("cmdline"), `rauc.slot=${primary}`);
    return primary;
  };
  return {
    ...{ at, boot, ok, refused, reset },
    async [Symbol.asyncDispose]() {
      await Deno.remove(folder, { recursive: true });
    },
  };
}

for (const kind of ["pc", "pi"] as const) {
  Deno.test(`${kind}: what is tried is started once, and stays only when it is good`, async () => {
    await using m = await machine(kind);
    assert.equal(await m.ok("get-primary"), "A");
    assert.equal((await m.boot("on-trial")).code, 1);
    await m.ok("set-primary", "B");
    assert.equal(await m.ok("get-primary"), "B");
    assert.equal(await m.reset(), "B");
    assert.equal((await m.boot("on-trial")).code, 0);
    // Not confirmed: the next reset leads back.
    assert.equal(await m.reset(), "A");
    assert.equal((await m.boot("on-trial")).code, 1);
    await m.ok("set-primary", "B");
    await m.reset();
    await m.ok("set-state", "B", "good");
    assert.equal(await m.reset(), "B");
    assert.equal(await m.reset(), "B");
    assert.equal((await m.boot("on-trial")).code, 1);
    const file = kind === "pi" ? "first/autoboot.txt" : "first/loader/loader.conf";
    assert.equal((await Deno.stat(m.at(file))).size, 512);
  });

  Deno.test(`${kind}: what is not whole, what stays and what is on trial are left alone`, async () => {
    await using m = await machine(kind);
    await m.ok("set-state", "B", "bad");
    assert.equal(await m.ok("get-state", "B"), "bad");
    await m.refused(/not whole/, "set-primary", "B");
    await m.refused(/it cannot be given up/, "set-state", "A", "bad");
    await m.ok("set-state", "B", "good");
    assert.equal(await m.ok("get-state", "B"), "bad", "a word about the other slot is no news");
    await m.refused(/there is no slot 'C'/, "set-primary", "C");
    await m.refused(/good or bad/, "set-state", "A", "fine");
    await m.refused(/there is no 'explode'/, "explode");
    await Deno.remove(m.at("data/bad-B"));
    await m.ok("set-primary", "B");
    // Taken back before anybody started it.
    await m.ok("set-primary", "A");
    assert.equal(await m.ok("get-primary"), "A");
    await m.ok("set-primary", "B");
    await m.reset();
    await m.refused(/on trial itself/, "set-primary", "B");
  });
}

Deno.test("a kernel goes into the idle slot's files, in place, and is read again", async () => {
  await using m = await machine("pc");
  for (const name of ["vmlinuz", "initrd"]) {
    await Deno.writeTextFile(m.at(`root/usr/lib/gatehouse-start/${name}`), `new ${name}`);
  }
  await m.refused(/it is not overwritten/, "take", "A", m.at("root"));
  await m.ok("set-state", "B", "bad");
  await m.ok("take", "B", m.at("root"));
  assert.equal(await m.ok("get-state", "B"), "good");
  const kernel = await Deno.readFile(m.at("first/b/vmlinuz"));
  assert.equal(kernel.length, 4_096);
  assert.match(new TextDecoder().decode(kernel), /^new vmlinuz\0+$/);
  assert.equal((await Deno.readFile(m.at("first/a/vmlinuz")))[0], 0x11);
  await Deno.writeFile(m.at("root/usr/lib/gatehouse-start/initrd"), new Uint8Array(5_000));
  await m.refused(/room for 4096/, "take", "B", m.at("root"));
});

Deno.test("a card that says nothing of its slots is refused, and said what to do", async () => {
  await using m = await machine("pc");
  await Deno.writeTextFile(m.at("first/loader/loader.conf"), "default other.conf\n");
  await m.refused(/flash the card anew/, "get-primary");
  await m.refused(/flash the card anew/, "set-primary", "B");
  await Deno.writeTextFile(m.at("cmdline"), "quiet");
  await m.refused(/rauc\.slot=/, "get-current");
  await using old = await machine("pi");
  await Deno.writeFile(old.at("tree/build-timestamp"), new Uint8Array([0x60, 0, 0, 0]));
  await old.refused(/rpi-eeprom-update/, "set-primary", "B");
});
