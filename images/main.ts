/**
 * `gatehouse image`: builds the card image of a box.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { EXIT, readArgs, UsageError } from "../cli/args.ts";
import { processClock } from "../hal/linux/mod.ts";
import config from "../deno.json" with { type: "json" };
import { makeBundle, type Signer } from "./bundle.ts";
import { makeDisk } from "./disk.ts";
import { makePiDisk } from "./pi/disk.ts";
import { type Arch, baseKey, makeBaseTar, makeRoot } from "./root.ts";
import { run } from "./run.ts";
import { billOfMaterials } from "./sbom.ts";

const HELP = `
gatehouse image build --arch amd64|arm64 [--out DIR] [--trust DIR] [--bundle-key FILE --bundle-cert FILE]

  --arch amd64        a PC with UEFI
  --arch arm64        a Raspberry Pi 3, 4, 400, CM4 or Zero 2 W; on a PC through qemu-user-static

Builds the card image of a box from Debian 13 and this checkout, as root: a read-only root in two
slots, a partition for the data, and the application. Writes into DIR (default dist/image):

  gatehouse-VERSION-ARCH.img.zst     the card image; zstd -d it, or gatehouse flash it
  gatehouse-VERSION-ARCH.json        its size and hash, and where the installer's settings go
  gatehouse-VERSION-ARCH.sbom.json   what is in it, CycloneDX 1.6, with licences
  gatehouse-VERSION-ARCH.raucb       with --bundle-key: the update to it, for gatehouse ota release

  --trust DIR         what the box trusts: root.json, the publisher's first root metadata, and
                      keyring.pem, the certificates that bundles may be signed under. Without it the
                      box takes no updates.
  --bundle-key FILE   signs the bundle: RSA or P-256, PEM or a pkcs11: URL; --bundle-cert is its
                      certificate

The same checkout and the same packages make the same bytes. Debian's part is kept in
.gatehouse/cache/image and made anew when its list of packages changes; remove it for newer packages.

Exit codes: 0 built, 1 failed, 2 bad usage.
`;
const SOURCE = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
/** Level 19 takes five times as long and saves a twentieth. */
const ZSTD = ["-12", "-T0", "-q", "-f"];

interface BuildOptions {
  readonly arch: Arch;
  readonly out: string;
  readonly trust: string | undefined;
  readonly signer: Signer | undefined;
}

async function build({ arch, out, trust, signer }: BuildOptions): Promise<void> {
  const clock = processClock();
  const begunMs = clock.monotonicMs();
  const epochS = Number((await run("git", ["log", "-1", "--format=%ct"], { cwd: SOURCE })).trim());
  const { version } = config;
  const cache = join(SOURCE, ".gatehouse/cache/image");
  await Deno.mkdir(cache, { recursive: true });
  await Deno.mkdir(out, { recursive: true });
  const key = createHash("sha256").update(baseKey(arch)).digest("hex").slice(0, 16);
  const baseTar = join(cache, `base-${arch}-${key}.tar`);
  if (!await exists(baseTar)) {
    say("bringing Debian 13");
    await makeBaseTar(arch, baseTar, epochS);
  }
  const work = await Deno.makeTempDir({ prefix: "gatehouse-image-" });
  try {
    const root = join(work, "root");
    await Deno.mkdir(root);
    await Deno.chmod(root, 0o755);
    say("laying out the root");
    await makeRoot({ arch, folder: root, baseTar, source: SOURCE, epochS, version, trust });
    const name = join(out, `gatehouse-${version}-${arch}`);
    await Deno.writeTextFile(`${name}.sbom.json`, await billOfMaterials(root, version, epochS));
    say("making the card image");
    const image = join(work, "card.img");
    const make = arch === "arm64" ? makePiDisk : makeDisk;
    const { setup, erofs, boot } = await make({ arch, root, work, image, epochS });
    if (signer !== undefined) {
      say("packing the update to it");
      await makeBundle({ arch, version, erofs, boot, work, bundle: `${name}.raucb`, signer });
    }
    const packed = `${name}.img.zst`;
    await run("zstd", [...ZSTD, image, "-o", packed]);
    const facts = {
      version,
      arch,
      image: await factsOf(image),
      packed: await factsOf(packed),
      setup,
    };
    await Deno.writeTextFile(`${name}.json`, JSON.stringify(facts, null, 2) + "\n");
    const seconds = Math.round((clock.monotonicMs() - begunMs) / 1_000);
    const megabytes = (facts.packed.bytes / 1e6).toFixed(1);
    console.log(`${packed}: ${megabytes} MB, sha256 ${facts.packed.sha256}, built in ${seconds} s`);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function factsOf(path: string) {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  let bytes = 0;
  for await (const chunk of file.readable) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest("hex") };
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}

function say(what: string): void {
  console.error(`gatehouse image: ${what}`);
}

const BINFMT = "/proc/sys/fs/binfmt_misc";

/** Whether Debian's own programs for `arch` run here, if need be through QEMU. */
async function canRun(arch: Arch): Promise<boolean> {
  if (arch !== "arm64" || Deno.build.arch === "aarch64") return true;
  if (isRegistered()) return true;
  // Where no systemd runs, in a container, nobody has told the kernel.
  await run("sh", ["-c", `mountpoint -q ${BINFMT} || mount -t binfmt_misc none ${BINFMT}`])
    .then(() => run("update-binfmts", ["--enable", "qemu-aarch64"]))
    .catch(() => {});
  return isRegistered();
}

function isRegistered(): boolean {
  try {
    return Deno.readTextFileSync(join(BINFMT, "qemu-aarch64")).startsWith("enabled");
  } catch {
    return false;
  }
}

async function main(): Promise<number> {
  const args = Deno.args[0] === "image" ? Deno.args.slice(1) : [...Deno.args];
  if (args.includes("--help") || args.includes("-h")) {
    console.log(HELP.trim());
    return EXIT.ok;
  }
  try {
    const { values, positionals } = readArgs(args, {
      arch: { type: "string" },
      out: { type: "string", default: join(SOURCE, "dist/image") },
      trust: { type: "string" },
      "bundle-key": { type: "string" },
      "bundle-cert": { type: "string" },
    });
    if (positionals.join(" ") !== "build") throw new UsageError("expected gatehouse image build");
    if (values.arch !== "amd64" && values.arch !== "arm64") {
      throw new UsageError("--arch is missing: amd64 for a PC, arm64 for a Raspberry Pi");
    }
    if (Deno.uid() !== 0) throw new UsageError("it needs root, to own the image's files");
    if (!await canRun(values.arch)) {
      throw new UsageError(
        "this machine does not run programs of arm64 yet: install qemu-user-static and binfmt-support",
      );
    }
    const { arch, out, trust, "bundle-key": key, "bundle-cert": cert } = values;
    if ((key === undefined) !== (cert === undefined)) {
      throw new UsageError("--bundle-key and --bundle-cert belong together");
    }
    const signer = key === undefined || cert === undefined ? undefined : { key, cert };
    await build({ arch, out, trust, signer });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`gatehouse image: ${error.message}; see gatehouse image --help`);
      return EXIT.usage;
    }
    console.error(`gatehouse image: ${(error as Error).message}`);
    return EXIT.failed;
  }
}

if (import.meta.main) Deno.exit(await main());
