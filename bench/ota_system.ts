/**
 * What a security update of a whole system costs: what Debian's security team has mended in userland
 * since the last point release, on the box's own root.
 *
 * A program of its own, `ota_system.ts FOLDER`: it prints its rows as JSON.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { makeRootImage } from "../images/disk.ts";
import { makeBaseTar, makeRoot } from "../images/root.ts";
import { run } from "../images/run.ts";
import type { BenchRow } from "./row.ts";

const ROOT = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
/** RAUC compares blocks of this size, and names each by 32 bytes in its index and again in the verity tree. */
const BLOCK_BYTES = 4_096;
const NAMED_BYTES = 2 * 32;
/** Fixed: an image's own time is no part of what is measured. */
const EPOCH_S = 1_790_000_000;

/**
 * Takes the security team's packages back to the point release's, but for the kernel; prints them. In
 * the root, so that apt decides what belongs together.
 */
const AS_RELEASED = `
set -e
apt-get -qq update
dpkg-query -W -f '\${Package} \${Version}\\n' | while read package version; do
  case $package in linux-*) continue ;; esac
  released=$(apt-cache madison "$package" | awk -F ' *[|] *' '/ trixie\\/main /{ print $2; exit }')
  [ -z "$released" ] || [ "$released" = "$version" ] || echo "$package=$released"
done >/released
[ ! -s /released ] || apt-get -qq -y --allow-downgrades install $(cat /released) >/dev/null 2>&1
cat /released
`;

/** Packs `tar` again with the packages of the point release; their names. */
async function takeBack(tar: string, work: string, to: string): Promise<string[]> {
  const folder = join(work, "released");
  await Deno.mkdir(folder);
  const at = (path: string) => join(folder, path);
  await run("tar", ["-xf", tar, "-C", folder, "--numeric-owner", "--xattrs"]);
  await Deno.rename(at("etc/resolv.conf"), at("etc/resolv.kept"));
  await Deno.copyFile("/etc/resolv.conf", at("etc/resolv.conf"));
  await run("mount", ["--bind", "/dev", at("dev")]);
  let said: string;
  try {
    said = await run("chroot", [folder, "sh"], { input: AS_RELEASED, env: { INITRD: "No" } });
  } finally {
    await run("umount", [at("dev")]);
  }
  await Deno.remove(at("released"));
  await Deno.rename(at("etc/resolv.kept"), at("etc/resolv.conf"));
  await run("sh", ["-c", "rm -rf var/cache/apt/* var/lib/apt/lists/*"], { cwd: folder });
  await run("tar", ["-cf", to, "-C", folder, "--numeric-owner", "--xattrs", "."]);
  await Deno.remove(folder, { recursive: true });
  return said.split("\n").filter((line) => line.includes("=")).map((line) => line.split("=")[0]!);
}

/** A slot's content, made from Debian's part as `gatehouse image build` makes it. */
async function slot(baseTar: string, work: string): Promise<string> {
  const folder = join(work, "root");
  await Deno.mkdir(folder, { recursive: true, mode: 0o755 });
  await makeRoot({
    ...{ arch: "amd64", folder, baseTar, source: ROOT, epochS: EPOCH_S, version: "0.1.0" },
    trust: undefined,
  });
  return await makeRootImage(folder, work, EPOCH_S);
}

async function blocks(file: string): Promise<string[]> {
  const bytes = await Deno.readFile(file);
  const names: string[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    names.push(createHash("sha256").update(bytes.subarray(at, at + BLOCK_BYTES)).digest("base64"));
  }
  return names;
}

/** Bytes over the line of a security update: beside the whole system, and beside xdelta3. */
async function systemUpdate(folder: string): Promise<BenchRow[]> {
  if (Deno.uid() !== 0) throw new Error("the system's update needs root, to own the image's files");
  const mended = join(folder, "mended.tar");
  await makeBaseTar("amd64", mended, EPOCH_S);
  const released = join(folder, "released.tar");
  const packages = await takeBack(mended, folder, released);
  if (packages.length === 0) {
    console.error("bench ota: Debian has mended nothing in userland since its point release");
    return [];
  }
  const [before, now] = [
    await slot(released, join(folder, "before")),
    await slot(mended, join(folder, "now")),
  ];
  const held = new Set(await blocks(before));
  const wanted = await blocks(now);
  const missing = wanted.filter((name) => !held.has(name)).length;
  const bytes = missing * BLOCK_BYTES + wanted.length * NAMED_BYTES;
  const [packed, delta] = [join(folder, "now.zst"), join(folder, "system.xdelta")];
  await run("zstd", ["-12", "-T0", "-q", now, "-o", packed]);
  await run("xdelta3", ["-e", "-9", "-f", "-s", before, now, delta]);
  const row = (baseline: string, file: string): BenchRow => {
    const baselineBytes = Deno.statSync(file).size;
    return {
      bench: "ota",
      metric:
        "security update of the system's userland, blocks with their names: bytes fetched (computed as RAUC does)",
      value: bytes / 1e6,
      unit: "MB",
      baseline,
      baselineValue: baselineBytes / 1e6,
      ratio: bytes / baselineBytes,
    };
  };
  console.error(`bench ota: mended since the point release: ${packages.join(", ")}`);
  return [
    row("the whole system", now),
    row("the whole system, zstd -12", packed),
    row("xdelta3 -9, which needs the whole old slot's memory to apply", delta),
  ];
}

if (import.meta.main) {
  const [folder] = Deno.args;
  if (folder === undefined) throw new Error("expected a folder to work in");
  console.log(JSON.stringify(await systemUpdate(folder)));
}
