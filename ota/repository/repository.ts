import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import {
  Metadata,
  type MetadataKind,
  MetaFile,
  type Root,
  Snapshot,
  TargetFile,
  Targets,
  Timestamp,
} from "@tufjs/models";
import { writeFileDurably } from "../../hal/mod.ts";
import { RepositoryError } from "./errors.ts";
import type { RoleKey } from "./keys.ts";
import { bytesOf, sha256Of, type Signed, signed, SPEC_VERSION, tufTime } from "./metadata.ts";
import { type Delegation, delegationsOf, rootOf, type RootPlan } from "./roles.ts";

/** Everybody may read what is published. */
const PUBLIC_MODE = 0o644;
/** A path of a target: segments of letters, digits and `._-`, none of which begins with a dot. */
const TARGET_PATH = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}(\/[A-Za-z0-9_-][A-Za-z0-9._-]{0,95}){1,5}$/;

/** How long the metadata that a server signs by itself is good. */
export interface Lifetimes {
  readonly snapshotMs: number;
  readonly timestampMs: number;
}

/** A week and a day: a district whose server is down for a long weekend stays updatable. */
export const LIFETIMES: Lifetimes = { snapshotMs: 7 * 86_400_000, timestampMs: 86_400_000 };

/**
 * A TUF repository in a folder, as a static server may serve it: `metadata/N.role.json`,
 * `metadata/timestamp.json`, `targets/DIR/SHA256.NAME` (consistent snapshots, TUF 1.0 §6.2).
 *
 * Metadata that people sign is drafted here, signed wherever their keys are, and accepted back only
 * with signatures enough. Nothing that was published is changed or removed: a client that is half way
 * through an update finds what it began with.
 */
export class Repository {
  readonly #folder: string;

  /** The repository in `folder`; it may be empty. */
  constructor(folder: string) {
    this.#folder = folder;
    Deno.mkdirSync(join(folder, "metadata"), { recursive: true });
    Deno.mkdirSync(join(folder, "targets"), { recursive: true });
  }

  /** The newest metadata of `role`, or `undefined` before the first. @throws {@link RepositoryError} `metadata` */
  newest(role: "root"): Metadata<Root> | undefined;
  /** The same for `snapshot`. */
  newest(role: "snapshot"): Metadata<Snapshot> | undefined;
  /** The same for `timestamp`. */
  newest(role: "timestamp"): Metadata<Timestamp> | undefined;
  /** The same for `targets` and delegated roles. */
  newest(role: string): Metadata<Targets> | undefined;
  newest(role: string): Metadata<Signed> | undefined {
    const version = this.#newestVersion(role);
    return version === 0 ? undefined : this.#read(role, nameOf(role, version));
  }

  /** A root with the keys of `plan`, one version on, to be signed by the old and the new keys. */
  draftRoot(plan: RootPlan, expiresMs: number): Metadata<Root> {
    return new Metadata(
      rootOf(plan, {
        version: this.#newestVersion("root") + 1,
        specVersion: SPEC_VERSION,
        expires: tufTime(expiresMs),
      }),
    ) as Metadata<Root>;
  }

  /**
   * Publishes a root that enough of its own keys and of the root before it have signed.
   *
   * @throws {@link RepositoryError} `signatures`, `metadata`
   */
  acceptRoot(root: Metadata<Root>): void {
    const before = this.newest("root");
    this.#mustFollow("root", root);
    for (const [whose, delegator] of [["the present", before], ["the new", root]] as const) {
      if (delegator !== undefined) mustBeSigned(delegator, "root", root, `${whose} root's`);
    }
    this.#write("root", root);
  }

  /** The metadata of a targets role, one version on, with `change` applied to what it names. */
  draftTargets(
    role: string,
    expiresMs: number,
    change: {
      readonly add?: readonly TargetFile[];
      readonly remove?: readonly string[];
      readonly delegations?: readonly Delegation[];
    },
  ): Metadata<Targets> {
    const before = this.newest(role)?.signed;
    const targets = { ...before?.targets };
    for (const path of change.remove ?? []) delete targets[path];
    for (const target of change.add ?? []) targets[target.path] = target;
    const delegations = change.delegations === undefined
      ? before?.delegations
      : delegationsOf(change.delegations);
    return new Metadata(
      new Targets({
        version: (before?.version ?? 0) + 1,
        specVersion: SPEC_VERSION,
        expires: tufTime(expiresMs),
        targets,
        ...delegations === undefined ? {} : { delegations },
      }),
    ) as Metadata<Targets>;
  }

  /** Publishes metadata of a targets role that enough of its keys have signed. @throws {@link RepositoryError} */
  acceptTargets(role: string, targets: Metadata<Targets>): void {
    const delegator = role === "targets" ? this.newest("root") : this.newest("targets");
    if (delegator === undefined) {
      throw new RepositoryError("metadata", `nothing says yet who signs ${role}; begin with root`);
    }
    this.#mustFollow(role, targets);
    mustBeSigned(delegator as Metadata<Signed>, role, targets, `${role}'s`);
    this.#write(role, targets);
  }

  /**
   * Puts a file where clients look for it, and returns what a targets role says of it. `custom` is
   * signed with it.
   *
   * @throws {@link RepositoryError} `target`
   */
  async addFile(
    path: string,
    source: ReadableStream<Uint8Array>,
    custom: Readonly<Record<string, unknown>> = {},
  ): Promise<TargetFile> {
    if (!TARGET_PATH.test(path)) {
      throw new RepositoryError("target", `${path}: a target's path looks like app/1.2.3/name.zst`);
    }
    const folder = join(this.#folder, "targets", dirname(path));
    await Deno.mkdir(folder, { recursive: true });
    const temporary = join(folder, `.${crypto.randomUUID()}.new`);
    const hash = createHash("sha256");
    let length = 0;
    try {
      {
        using file = await Deno.open(temporary, {
          write: true,
          createNew: true,
          mode: PUBLIC_MODE,
        });
        for await (const chunk of source) {
          hash.update(chunk);
          length += chunk.length;
          for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
        }
        await file.sync();
      }
      const sha256 = hash.digest("hex");
      await Deno.rename(temporary, join(folder, `${sha256}.${basename(path)}`));
      return TargetFile.fromJSON(path, {
        length,
        hashes: { sha256 },
        ...Object.keys(custom).length === 0 ? {} : { custom: JSON.parse(JSON.stringify(custom)) },
      });
    } catch (cause) {
      await Deno.remove(temporary).catch(() => {});
      throw new RepositoryError("target", `${path}: ${(cause as Error).message}`, { cause });
    }
  }

  /** Makes what was accepted visible: a new snapshot of all roles, and a timestamp of it. */
  async publish(
    keys: { readonly snapshot: RoleKey; readonly timestamp: RoleKey },
    nowMs: number,
    lifetimes: Lifetimes = LIFETIMES,
  ): Promise<void> {
    const root = this.newest("root");
    if (root === undefined) throw new RepositoryError("metadata", "there is no root yet");
    const meta: Record<string, MetaFile> = {};
    for (const role of this.#targetsRoles()) {
      const version = this.#newestVersion(role);
      meta[`${role}.json`] = metaFile(
        version,
        Deno.readFileSync(this.#path(nameOf(role, version))),
      );
    }
    const snapshot = await signed(
      new Snapshot({
        version: this.#newestVersion("snapshot") + 1,
        specVersion: SPEC_VERSION,
        expires: tufTime(nowMs + lifetimes.snapshotMs),
        meta,
      }),
      [keys.snapshot],
    );
    mustBeSigned(root as Metadata<Signed>, "snapshot", snapshot, "the snapshot's");
    this.#write("snapshot", snapshot);
    await this.#stamp(root, snapshot, keys.timestamp, nowMs + lifetimes.timestampMs);
  }

  /** Signs the newest snapshot's time again, as a server does each hour. */
  async restamp(key: RoleKey, nowMs: number, lifetimes: Lifetimes = LIFETIMES): Promise<void> {
    const [root, snapshot] = [this.newest("root"), this.newest("snapshot")];
    if (root === undefined || snapshot === undefined) {
      throw new RepositoryError("metadata", "nothing was published yet");
    }
    await this.#stamp(root, snapshot, key, nowMs + lifetimes.timestampMs);
  }

  async #stamp(
    root: Metadata<Root>,
    snapshot: Metadata<Snapshot>,
    key: RoleKey,
    expiresMs: number,
  ): Promise<void> {
    const timestamp = await signed(
      new Timestamp({
        version: this.#newestVersion("timestamp") + 1,
        specVersion: SPEC_VERSION,
        expires: tufTime(expiresMs),
        snapshotMeta: metaFile(snapshot.signed.version, bytesOf(snapshot)),
      }),
      [key],
    );
    mustBeSigned(root as Metadata<Signed>, "timestamp", timestamp, "the timestamp's");
    this.#write("timestamp", timestamp);
  }

  #mustFollow(role: string, metadata: Metadata<Signed>): void {
    const wanted = this.#newestVersion(role) + 1;
    if (metadata.signed.version === wanted) return;
    throw new RepositoryError(
      "metadata",
      `this is version ${metadata.signed.version} of ${role}, the next is ${wanted}; draft it anew`,
    );
  }

  #targetsRoles(): string[] {
    const top = this.newest("targets");
    if (top === undefined) return [];
    const delegated = Object.values(top.signed.delegations?.roles ?? {})
      .filter((role) => (role.paths ?? []).length > 0).map((role) => role.name);
    for (const role of delegated) {
      if (this.#newestVersion(role) > 0) continue;
      // A client that follows a delegation to nothing has to give up.
      throw new RepositoryError(
        "metadata",
        `${role} has signed nothing yet; sign an empty one first`,
      );
    }
    return ["targets", ...delegated];
  }

  #newestVersion(role: string): number {
    if (role === "timestamp") {
      return this.#exists("timestamp.json") ? this.#read(role, "timestamp.json").signed.version : 0;
    }
    const end = `.${encodeURIComponent(role)}.json`;
    const versions = [...Deno.readDirSync(join(this.#folder, "metadata"))].flatMap(({ name }) => {
      const version = name.endsWith(end) ? Number(name.slice(0, -end.length)) : NaN;
      return Number.isSafeInteger(version) ? [version] : [];
    });
    return Math.max(0, ...versions);
  }

  #read(role: string, name: string): Metadata<Signed> {
    const kind = (["root", "snapshot", "timestamp"] as const).find((one) => one === role);
    try {
      return Metadata.fromJSON(
        (kind ?? "targets") as MetadataKind.Root,
        JSON.parse(Deno.readTextFileSync(this.#path(name))),
      ) as Metadata<Signed>;
    } catch (cause) {
      throw new RepositoryError(
        "metadata",
        `${this.#path(name)} is damaged; put it back from a copy: ${(cause as Error).message}`,
        { cause },
      );
    }
  }

  #write(role: string, metadata: Metadata<Signed>): void {
    const name = role === "timestamp" ? "timestamp.json" : nameOf(role, metadata.signed.version);
    writeFileDurably(this.#path(name), bytesOf(metadata), PUBLIC_MODE);
  }

  #exists(name: string): boolean {
    try {
      return Deno.statSync(this.#path(name)).isFile;
    } catch {
      return false;
    }
  }

  #path(name: string): string {
    return join(this.#folder, "metadata", name);
  }
}

function nameOf(role: string, version: number): string {
  return role === "timestamp" ? "timestamp.json" : `${version}.${encodeURIComponent(role)}.json`;
}

function metaFile(version: number, bytes: Uint8Array): MetaFile {
  return new MetaFile({ version, length: bytes.length, hashes: { sha256: sha256Of(bytes) } });
}

function mustBeSigned(
  delegator: Metadata<Signed>,
  role: string,
  metadata: Metadata<Signed>,
  whose: string,
): void {
  try {
    delegator.verifyDelegate(role, metadata);
  } catch (cause) {
    throw new RepositoryError(
      "signatures",
      `${whose} keys have not signed it often enough (${(cause as Error).message}); ` +
        `have more of them sign, then try again`,
      { cause },
    );
  }
}

/** Ids of the keys that have signed `metadata`. */
export function signersOf(metadata: Metadata<Signed>): readonly string[] {
  return Object.keys(metadata.signatures);
}
