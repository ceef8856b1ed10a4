/**
 * `gatehouse flash` as an installer runs it: on files, on loop devices, on what is no card.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { ROOT, runProgram } from "../../demo/program.ts";
import { renderSetup, SETUP_BYTES } from "../../runtime/setup/mod.ts";

const MIB = 1 << 20;
const OFFSET = 3 * MIB;
const NO_LOOPS = Deno.build.os !== "linux" || Deno.uid() !== 0;
if (NO_LOOPS) console.log("skipped: flash onto loop devices: it needs Linux and root");

/** A card image of `mib`, its `.json` beside it, and settings with a token. */
async function bench(mib: number) {
  const folder = await Deno.makeTempDir({ prefix: "flash-" });
  const image = new Uint8Array(mib * MIB);
  for (let at = 0; at < image.length; at += MIB) image.set(randomBytes(MIB / 4), at);
  image.set(renderSetup(undefined), OFFSET);
  const packed = join(folder, "card.img.zst");
  await Deno.writeFile(packed, zstdCompressSync(image));
  const facts = {
    image: { bytes: image.length, sha256: createHash("sha256").update(image).digest("hex") },
    setup: { offset: OFFSET, bytes: SETUP_BYTES },
  };
  await Deno.writeTextFile(join(folder, "card.json"), JSON.stringify(facts));
  await Deno.writeTextFile(
    join(folder, "settings.yaml"),
    "box: { name: east-gate }\ndistrict: { url: 'https://d.example', token: secret-token-1 }\n",
  );
  return {
    ...{ folder, image, packed, setup: join(folder, "settings.yaml") },
    async [Symbol.asyncDispose]() {
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function sh(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}

/** A loop device of a file of `mib`, until disposal. */
async function loop(folder: string, mib: number, ...args: string[]) {
  const file = join(folder, `disk-${mib}-${args.length}`);
  await Deno.writeFile(file, new Uint8Array());
  await Deno.truncate(file, mib * MIB);
  const path = await sh("losetup", "--find", "--show", ...args, file);
  return {
    ...{ file, path },
    async [Symbol.asyncDispose]() {
      await sh("losetup", "--detach", path);
    },
  };
}

Deno.test("a card's file is the image with this box's settings; faults are told before it is made", async () => {
  await using at = await bench(8);
  const out = join(at.folder, "card");
  const run = (...args: string[]) => runProgram(["flash", at.packed, "--image-out", out, ...args]);
  const done = await run("--setup", at.setup, "--name", "west-gate", "--json");
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual(JSON.parse(done.stdout), {
    ...{ target: out, bytes: 8 * MIB, box: "west-gate", verified: true },
  });
  assert.doesNotMatch(done.stdout + done.stderr, /secret-token/);
  const card = await Deno.readFile(out);
  const settings = new TextDecoder().decode(card.subarray(OFFSET, OFFSET + SETUP_BYTES));
  assert.match(settings, /name: west-gate[^]*token: secret-token-1/);
  card.set(renderSetup(undefined), OFFSET);
  assert.deepEqual(card, at.image);

  await Deno.remove(out);
  await Deno.writeTextFile(
    join(at.folder, "box.yaml"),
    "box: { name: east-gate, timezone: Asia/Shanghai }\ndoors: []\n",
  );
  const bad: readonly (readonly [number, RegExp, readonly string[]])[] = [
    [3, /box.name/, ["--name", "West Gate"]],
    [3, /doors/, ["--setup", at.setup, "--config", join(at.folder, "box.yaml")]],
    [2, /cannot be read/, ["--setup", join(at.folder, "none.yaml")]],
    [2, /district.url/, ["--name", "a", "--token-file", at.setup]],
    [2, /--to DISK or --image-out/, ["--to", "/dev/sdz"]],
  ];
  for (const [code, why, args] of bad) {
    const refused = await run(...args);
    assert.equal(refused.code, code, refused.stderr);
    assert.match(refused.stderr, why);
  }
  await assert.rejects(Deno.stat(out), "a file was made all the same");
});

Deno.test("killed in the midst it leaves no card that starts", async () => {
  await using at = await bench(512);
  const out = join(at.folder, "card");
  const child = new Deno.Command(join(ROOT, "gatehouse"), {
    args: ["flash", at.packed, "--image-out", out],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const lines = child.stderr.pipeThrough(new TextDecoderStream());
  let said = "";
  for await (const text of lines) {
    said += text;
    if (/writing .* [3-8]\d %/.test(said)) break;
  }
  child.kill("SIGKILL");
  await child.status;
  assert.match(said, /writing/);
  using file = await Deno.open(out);
  const head = new Uint8Array(MIB);
  await file.read(head);
  assert.ok(head.every((byte) => byte === 0), "its partition table is there");
  assert.ok((await Deno.stat(out)).size > 0);
});

Deno.test({
  name: "a disk is written, read back, or refused with the reason",
  ignore: NO_LOOPS,
  async fn() {
    await using at = await bench(8);
    const run = (...args: string[]) => runProgram(["flash", at.packed, "--yes", ...args]);
    const refused = async (why: RegExp, ...args: string[]) => {
      const { code, stderr } = await run(...args);
      assert.equal(code, 2, stderr);
      assert.match(stderr, why);
    };
    await using disk = await loop(at.folder, 16);
    // Not one that can be taken out: it is said that it is meant.
    await refused(/--force/, "--to", disk.path);
    const done = await run("--to", disk.path, "--force", "--setup", at.setup);
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stdout, /written and read back, the card of east-gate/);
    const card = (await Deno.readFile(disk.file)).subarray(0, at.image.length);
    card.set(renderSetup(undefined), OFFSET);
    assert.deepEqual(card, at.image);

    await using small = await loop(at.folder, 4);
    await refused(/has 4 MB, the image needs 8 MB/, "--to", small.path, "--force");
    await using locked = await loop(at.folder, 16, "--read-only");
    await refused(/read-only/, "--to", locked.path, "--force");
    await refused(/no disk of this machine/, "--to", "/dev/null", "--force");
    await refused(/no disk of this machine/, "--to", at.folder, "--force");
    const own = (await sh("findmnt", "-no", "SOURCE", "/")).replace(/p?\d+$/, "");
    if (own.startsWith("/dev/")) await refused(/runs from/, "--to", own, "--force");
    await sh("mkfs.ext4", "-q", "-F", disk.path);
    const folder = join(at.folder, "mounted");
    await Deno.mkdir(folder);
    await sh("mount", disk.path, folder);
    try {
      await refused(/in use at .*mounted: unmount/, "--to", disk.path, "--force");
    } finally {
      await sh("umount", folder);
    }
  },
});
