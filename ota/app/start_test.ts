import assert from "node:assert/strict";
import { join } from "node:path";
import { AppSlots, STARTS_MAX } from "./slots.ts";

const START = new URL("start", import.meta.url).pathname;
const OLD = "0".repeat(63) + "1";
const NEW = "f".repeat(64);

/** Releases that print who they are; no Deno is needed to start one. */
async function rig() {
  const dir = await Deno.makeTempDir({ prefix: "gatehouse-start-" });
  const program = async (folder: string, name: string) => {
    await Deno.mkdir(folder, { recursive: true });
    const text = `#!/bin/sh\necho "${name} slot=$GATEHOUSE_SLOT $*"\n`;
    await Deno.writeTextFile(join(folder, "gatehouse"), text, { mode: 0o755 });
  };
  await program(join(dir, "built-in"), "built-in");
  const app = join(dir, "app");
  const slots = new AppSlots(app);
  await program(slots.folder(OLD), "old");
  await program(slots.folder(NEW), "new");
  return {
    app,
    slots,
    start: async (shell = "/bin/sh") => {
      const { success, stdout, stderr } = await new Deno.Command(shell, {
        args: [START, app, join(dir, "built-in"), "box", "--config", "a b.yaml"],
      }).output();
      assert.ok(success, new TextDecoder().decode(stderr));
      return new TextDecoder().decode(stdout).trim();
    },
    async [Symbol.asyncDispose]() {
      await Deno.remove(dir, { recursive: true });
    },
  };
}

Deno.test("without any release the one of the image starts, with its arguments", async () => {
  await using r = await rig();
  assert.equal(await r.start(), "built-in slot= box --config a b.yaml");
  r.slots.confirm(OLD);
  assert.equal(await r.start(), `old slot=${OLD} box --config a b.yaml`);
});

Deno.test("a release on trial has its starts, then the good one is back and it is said", async () => {
  await using r = await rig();
  r.slots.confirm(OLD);
  r.slots.try(NEW);
  for (let i = 0; i < STARTS_MAX; i++) assert.match(await r.start(), /^new /, `start ${i + 1}`);
  assert.equal(r.slots.gaveUpOn(), undefined);
  assert.match(await r.start(), /^old /);
  assert.equal(r.slots.gaveUpOn(), NEW);
  assert.equal(r.slots.trial(), undefined);
  assert.match(await r.start(), /^old /);
  r.slots.forgetGivenUp();
  assert.equal(r.slots.gaveUpOn(), undefined);
});

Deno.test("a release that is confirmed stays, one that is reverted does not come again", async () => {
  await using r = await rig();
  r.slots.confirm(OLD);
  r.slots.try(NEW);
  assert.match(await r.start(), /^new /);
  r.slots.revert();
  assert.match(await r.start(), /^old /);
  r.slots.try(NEW);
  assert.match(await r.start(), /^new /);
  r.slots.confirm(NEW);
  for (let i = 0; i < 2 * STARTS_MAX; i++) assert.match(await r.start(), /^new /);
  r.slots.sweep();
  assert.equal(r.slots.has(OLD), false);
  assert.match(await r.start(), /^new /);
});

Deno.test("whatever is spoilt, something starts, and a trial ends", async () => {
  await using r = await rig();
  r.slots.confirm(OLD);
  for (
    const text of [
      "",
      "\n",
      NEW,
      `${NEW} `,
      `${NEW} 0`,
      `${NEW} 99`,
      `${NEW} -1`,
      `${NEW} x`,
      `${"e".repeat(64)} 3`,
      "../../../etc 3",
      `${NEW.toUpperCase()} 3`,
      "$(reboot) 3",
      "x".repeat(100_000),
      "\0\0\0\0",
    ]
  ) {
    await Deno.writeTextFile(join(r.app, "trial"), text);
    assert.match(await r.start(), /^old /, JSON.stringify(text.slice(0, 80)));
    await assert.rejects(Deno.stat(join(r.app, "trial")), Deno.errors.NotFound);
  }
  for (const text of ["", "e".repeat(64), "../slots", "\0"]) {
    await Deno.writeTextFile(join(r.app, "good"), text);
    assert.match(await r.start(), /^built-in /, JSON.stringify(text));
  }
});

Deno.test("a start that cannot be counted is not made", async () => {
  await using r = await rig();
  r.slots.confirm(OLD);
  r.slots.try(NEW);
  // A name that is taken by a folder cannot be written, as on a full or read-only disk.
  await Deno.mkdir(join(r.app, "trial.new"));
  await Deno.writeTextFile(join(r.app, "trial.new/x"), "");
  assert.match(await r.start(), /^old /);
  assert.equal(r.slots.gaveUpOn(), NEW);
});
