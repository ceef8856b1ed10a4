import { join } from "node:path";
import { type Arch, COMPATIBLE } from "./root.ts";
import { run } from "./run.ts";

/** Who signs a bundle: files in PEM, or `pkcs11:` URLs. */
export interface Signer {
  readonly key: string;
  readonly cert: string;
}

/** What a bundle is made of. */
export interface BundleOptions {
  readonly arch: Arch;
  readonly version: string;
  /** The root file system. */
  readonly erofs: string;
  /** The boot partition of slot A, where a slot has one of its own; an update names its slot in it. */
  readonly boot?: string | undefined;
  /** For files on the way. */
  readonly work: string;
  readonly bundle: string;
  readonly signer: Signer;
}

/**
 * Packs a system as RAUC takes it: with a hash of each block, so that a box fetches only those that it
 * has not. What EROFS has compressed is not compressed again, and in small blocks: else a changed block
 * would come with its neighbours.
 */
export async function makeBundle(options: BundleOptions): Promise<void> {
  const { arch, version, erofs, boot, work, bundle, signer } = options;
  const folder = join(work, "bundle");
  await Deno.mkdir(folder);
  await Deno.link(erofs, join(folder, "rootfs.img"));
  const manifest = [
    ...["[update]", `compatible=${COMPATIBLE[arch]}`, `version=${version}`],
    ...["[bundle]", "format=verity"],
    ...["[image.rootfs]", "filename=rootfs.img", "adaptive=block-hash-index"],
  ];
  if (boot !== undefined) {
    await Deno.link(boot, join(folder, "boot.img"));
    manifest.push("[image.boot]", "filename=boot.img", "adaptive=block-hash-index");
  }
  await Deno.writeTextFile(join(folder, "manifest.raucm"), `${manifest.join("\n")}\n`);
  await Deno.remove(bundle).catch(() => {});
  await run("rauc", [
    "bundle",
    `--cert=${signer.cert}`,
    `--key=${signer.key}`,
    "--mksquashfs-args=-noD -noF -b 4096",
    folder,
    bundle,
  ]);
}
