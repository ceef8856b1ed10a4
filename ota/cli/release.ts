import { join } from "node:path";
import type { TargetFile } from "@tufjs/models";
import { parse as parseYaml } from "yaml";
import { packBundle, packDelta } from "../app/mod.ts";
import { bundleLine } from "../config/mod.ts";
import { settingsText } from "../policy/mod.ts";
import { readTail } from "../image/mod.ts";
import {
  type AppDelta,
  type AppRelease,
  type FirmwareRelease,
  type ImageRelease,
  parseAppRelease,
  parseConfigRelease,
  parseFirmwareRelease,
  parseImageRelease,
  parsePolicyRelease,
} from "../manifest/mod.ts";
import { type Repository, RepositoryError } from "../repository/mod.ts";

/** Versions back from which a delta is made. */
const DELTAS = 3;

/** What is released. */
export interface ReleaseOptions {
  readonly version: string;
  /** Folder of the program, as `tools/production.ts` lays it out. */
  readonly from: string;
  readonly arch: AppRelease["arch"];
  readonly nowMs: number;
  /** Where tars of earlier releases are kept, and this one's will be. */
  readonly archive: string;
}

/** Packs the application with deltas from the last releases, and puts all into the repository. */
export async function addRelease(
  repository: Repository,
  { version, from, arch, nowMs, archive }: ReleaseOptions,
): Promise<TargetFile[]> {
  const out = join(archive, arch, version);
  const bundle = await packBundle(from, out);
  const targets: TargetFile[] = [];
  const deltas: AppDelta[] = [];
  for (const earlier of lastOf(repository, arch)) {
    const base = join(archive, arch, earlier.version, "app.tar");
    if (earlier.version === version || !await exists(base)) continue;
    const delta = join(out, `from-${earlier.version}.zst`);
    await packDelta(base, bundle.tar, delta);
    const path = `app/${version}/${arch}-from-${earlier.version}.zst`;
    targets.push(await repository.addFile(path, (await Deno.open(delta)).readable));
    deltas.push({ fromSha256: earlier.tar.sha256, path });
  }
  const release: AppRelease = {
    schema: 1,
    kind: "app",
    version,
    arch,
    releasedMs: nowMs,
    tar: { bytes: bundle.tarBytes, sha256: bundle.tarSha256 },
    deltas,
  };
  const packed = (await Deno.open(bundle.packed)).readable;
  const path = `app/${version}/gatehouse-${arch}.tar.zst`;
  targets.push(await repository.addFile(path, packed, { ...parseAppRelease(release) }));
  return targets;
}

/** A system that is released. */
export interface SystemReleaseOptions {
  readonly version: string;
  /** The bundle that `gatehouse image build --bundle-key` has made. */
  readonly bundle: string;
  /** The machines that it is for: `gatehouse-amd64`, `gatehouse-pi`. */
  readonly compatible: string;
  readonly nowMs: number;
}

/** Puts a system's bundle into the repository. @throws an `Error` when it is no bundle. */
export async function addSystemRelease(
  repository: Repository,
  { version, bundle, compatible, nowMs }: SystemReleaseOptions,
): Promise<TargetFile> {
  const tail = await readTail(bundle);
  const release: ImageRelease = parseImageRelease({
    ...{ schema: 1, kind: "os", version, compatible, releasedMs: nowMs, tail },
  });
  const path = `os/${version}/${compatible}.raucb`;
  return await repository.addFile(path, (await Deno.open(bundle)).readable, { ...release });
}

/** Firmware that is released. */
export interface FirmwareReleaseOptions
  extends Pick<FirmwareRelease, "version" | "vendor" | "model" | "fileType"> {
  /** The maker's file, as `gatehouse osdp firmware` would send it. */
  readonly file: string;
  readonly nowMs: number;
}

/** The role that speaks for one model of readers, which is also its folder's name. */
export function firmwareModel({ vendor, model }: { vendor: string; model: number }): string {
  return `${vendor}-${model}`;
}

/** Puts a reader's firmware into the repository. @throws a `ValiError` naming what is wrong. */
export async function addFirmwareRelease(
  repository: Repository,
  { file, nowMs, ...said }: FirmwareReleaseOptions,
): Promise<TargetFile> {
  const release = parseFirmwareRelease({
    ...{ schema: 1, kind: "firmware", ...said, releasedMs: nowMs },
  });
  const path = `firmware/${firmwareModel(release)}/${release.version}.bin`;
  return await repository.addFile(path, (await Deno.open(file)).readable, { ...release });
}

/** Puts the configurations of boxes into the repository: `ID.yaml` each. @throws an `Error` naming the file. */
export async function addConfigRelease(
  repository: Repository,
  { version, folder, nowMs }: {
    readonly version: string;
    readonly folder: string;
    readonly nowMs: number;
  },
): Promise<TargetFile> {
  const release = parseConfigRelease({
    ...{ schema: 1, kind: "config", version, releasedMs: nowMs },
  });
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => name.endsWith(".yaml")).sort();
  if (names.length === 0) {
    throw new Deno.errors.NotFound(`${folder}: no ID.yaml is there, such as bx-….yaml`);
  }
  const lines = async function* () {
    for (const name of names) {
      const yaml = await Deno.readTextFile(join(folder, name));
      yield bundleLine(name.slice(0, -".yaml".length), yaml);
    }
  };
  const file = ReadableStream.from(lines()).pipeThrough(new TextEncoderStream());
  return await repository.addFile(`config/${version}/boxes.jsonl`, file, { ...release });
}

/** Puts settings of a district's policy into the repository, as `GET /api/policy` has them. @throws an `Error` naming what is wrong. */
export async function addPolicyRelease(
  repository: Repository,
  { version, district, file, nowMs }: {
    readonly version: string;
    readonly district: string;
    readonly file: string;
    readonly nowMs: number;
  },
): Promise<TargetFile> {
  const release = parsePolicyRelease({
    ...{ schema: 1, kind: "policy", version, district, releasedMs: nowMs },
  });
  const yaml = await Deno.readTextFile(file);
  let text: string;
  try {
    text = settingsText(parseYaml(yaml));
  } catch (cause) {
    throw new RepositoryError("target", `${file}: ${(cause as Error).message}`, { cause });
  }
  const path = `policy/${district}/${version}.json`;
  return await repository.addFile(path, new Blob([text]).stream(), { ...release });
}

/** The newest releases of the application for `arch`, newest first. */
function lastOf(repository: Repository, arch: string): AppRelease[] {
  const releases = Object.values(repository.newest("app")?.signed.targets ?? {}).flatMap((one) => {
    try {
      return [parseAppRelease(one.custom)];
    } catch {
      // A delta, or what another version of this tool has published.
      return [];
    }
  });
  return releases.filter((one) => one.arch === arch)
    .sort((a, b) => b.releasedMs - a.releasedMs).slice(0, DELTAS);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
