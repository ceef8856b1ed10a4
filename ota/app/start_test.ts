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
    start: async (...options: string[]) => {
      const { success, stdout, stderr } = await new Deno.Command("/bin/sh", {
        args: [START, ...options, app, join(dir, "built-in"), "box", "--config", "a b.yaml"],
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

Deno.test("what is good already is not on trial, whatever a start at the wrong moment wrote", async () => {
  await using r = await rig();
  r.slots.confirm(NEW);
  r.slots.try(NEW);
  for (let i = 0; i < 2 * STARTS_MAX; i++) assert.match(await r.start(), /^new /);
  assert.equal(r.slots.trial(), undefined);
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

Deno.test("programs that follow are started from the slot on trial, and count nothing", async () => {
  await using r = await rig();
  r.slots.confirm(OLD);
  assert.match(await r.start("--follow"), /^old /);
  r.slots.try(NEW);
  for (let i = 0; i < 2 * STARTS_MAX; i++) assert.match(await r.start("--follow"), /^new /);
  for (let i = 0; i < STARTS_MAX; i++) assert.match(await r.start(), /^new /, `start ${i + 1}`);
  // The last start that it has goes on; so does who follows it.
  assert.match(await r.start("--follow"), /^new /);
  assert.match(await r.start(), /^old /);
  assert.match(await r.start("--follow"), /^old /);
  assert.equal(r.slots.gaveUpOn(), NEW);
  await Deno.writeTextFile(join(r.app, "trial"), "spoilt");
  assert.match(await r.start("--follow"), /^old /);
  assert.equal(
    await Deno.readTextFile(join(r.app, "trial")),
    "spoilt",
    "it is not for followers to judge",
  );
});

for (const follow of [[], ["--follow"]]) {
  Deno.test(`what nobody confirms is ended when its time is over ${follow}`, async () => {
    await using r = await rig();
    const program = join(r.slots.folder(NEW), "gatehouse");
    await Deno.writeTextFile(program, "#!/bin/sh\nexec sleep 60\n");
    r.slots.try(NEW);
    const run = (seconds: number) =>
      new Deno.Command("/bin/sh", {
        args: [START, ...follow, r.app, r.app],
        env: { GATEHOUSE_TRIAL_S: String(seconds) },
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
    const { signal } = await run(1).status;
    assert.equal(signal, "SIGKILL");
    // What was confirmed meanwhile stays.
    r.slots.try(NEW);
    const confirmed = run(2);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    r.slots.confirm(NEW);
    const ended = await Promise.race([
      confirmed.status,
      new Promise((resolve) => setTimeout(resolve, 4_000, "runs")),
    ]);
    assert.equal(ended, "runs");
    confirmed.kill("SIGKILL");
    await confirmed.status;
  });
}

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
