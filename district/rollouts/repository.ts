import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import * as v from "valibot";
import { DistrictError } from "../errors.ts";

/** A target as the repository's published metadata names it. */
export interface PublishedTarget {
  readonly path: string;
  readonly kind: string;
  readonly version: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** What a publisher signs is some hundred KB at most. */
const METADATA_BYTES_MAX = 8 << 20;
/** As `gatehouse ota` names targets: nothing in it can lead out of the folder. */
const TARGET_PATH = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}(\/[A-Za-z0-9_-][A-Za-z0-9._-]{0,95}){1,5}$/;
const VERSION_CHARS_MAX = 64;
/** What a TUF client asks for; neither drafts nor what is being written, whose names begin with dots. */
const PUBLISHED =
  /^(metadata\/[A-Za-z0-9_-][A-Za-z0-9._%-]{0,199}\.json|targets(\/[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}){2,8})$/;

const whole = v.pipe(v.number(), v.integer(), v.minValue(0));
const roleVersion = v.object({ version: v.pipe(whole, v.minValue(1)) });
const MetaSchema = v.object({
  signed: v.object({ meta: v.record(v.pipe(v.string(), v.maxLength(200)), roleVersion) }),
});
const TargetsSchema = v.object({
  signed: v.object({
    targets: v.record(
      v.string(),
      v.object({
        length: v.pipe(whole, v.minValue(1)),
        hashes: v.object({ sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)) }),
        custom: v.optional(v.object({ version: v.optional(v.string()) })),
      }),
    ),
  }),
});

/**
 * The TUF repository that a district serves, in the layout of `gatehouse ota`: its latest published
 * snapshot, and the files it names.
 *
 * Signatures are not verified here: whoever can write this folder could replace the program as well.
 * Boxes verify everything, and trust nothing that the district says.
 */
export class UpdateRepository {
  readonly #folder: string;

  /** The repository in `folder`, which need not be there yet. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Everything that is published now. @throws {@link DistrictError} `not-found`, `invalid` */
  async targets(): Promise<readonly PublishedTarget[]> {
    const timestamp = await this.#read("timestamp.json", MetaSchema);
    const snapshotVersion = timestamp.signed.meta["snapshot.json"]?.version ?? 0;
    const snapshot = await this.#read(`${snapshotVersion}.snapshot.json`, MetaSchema);
    const found: PublishedTarget[] = [];
    for (const [name, { version }] of Object.entries(snapshot.signed.meta)) {
      const role = encodeURIComponent(name.slice(0, -".json".length));
      const { signed } = await this.#read(`${version}.${role}.json`, TargetsSchema);
      for (const [path, { length, hashes, custom }] of Object.entries(signed.targets)) {
        if (!TARGET_PATH.test(path)) continue;
        const [kind, second] = path.split("/");
        // What is for one model of readers, or one district, takes no other's place.
        const own = kind === "firmware" || kind === "policy" ? `${kind}/${second}` : kind!;
        found.push({
          path,
          kind: own,
          version: (custom?.version ?? second!).slice(0, VERSION_CHARS_MAX),
          bytes: length,
          sha256: hashes.sha256,
        });
      }
    }
    return found;
  }

  /**
   * Reads a target's file from end to end. @returns its SHA-1 in hex.
   *
   * @throws {@link DistrictError} `not-found`; `invalid` when it is not what the metadata says.
   */
  async check(target: Pick<PublishedTarget, "path" | "bytes" | "sha256">): Promise<string> {
    const [sha1, sha256] = [createHash("sha1"), createHash("sha256")];
    using file = await this.open(target);
    const buffer = new Uint8Array(1 << 16);
    for (;;) {
      const count = await file.read(buffer);
      if (count === null) break;
      sha1.update(buffer.subarray(0, count));
      sha256.update(buffer.subarray(0, count));
    }
    if (sha256.digest("hex") !== target.sha256) {
      throw new DistrictError(
        "invalid",
        `${target.path}: the file is not what its metadata says; copy the repository here again`,
      );
    }
    return sha1.digest("hex");
  }

  /** A target's file. The caller closes it. @throws {@link DistrictError} as {@link UpdateRepository.check} */
  async open(target: Pick<PublishedTarget, "path" | "bytes" | "sha256">): Promise<Deno.FsFile> {
    const { path, bytes, sha256 } = target;
    const name = `${sha256}.${basename(path)}`;
    let file: Deno.FsFile;
    try {
      file = await Deno.open(join(this.#folder, "targets", dirname(path), name));
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) throw cause;
      throw new DistrictError("not-found", `${path}: its file is not in the repository`, { cause });
    }
    const { size } = await file.stat();
    if (size === bytes) return file;
    file.close();
    throw new DistrictError(
      "invalid",
      `${path}: the file has ${size} bytes instead of ${bytes}; copy the repository here again`,
    );
  }

  /**
   * A file as TUF clients ask for it: `metadata/…` or `targets/…`. The caller closes it. `undefined`:
   * there is none.
   */
  async openPublished(path: string): Promise<
    | { readonly file: Deno.FsFile; readonly bytes: number; readonly etag: string }
    | undefined
  > {
    if (!PUBLISHED.test(path)) return undefined;
    let file: Deno.FsFile;
    try {
      file = await Deno.open(join(this.#folder, path));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
    const { isFile, size, mtime } = await file.stat();
    if (isFile) return { file, bytes: size, etag: `"${size}-${mtime?.getTime() ?? 0}"` };
    file.close();
    return undefined;
  }

  async #read<S extends v.GenericSchema>(name: string, schema: S): Promise<v.InferOutput<S>> {
    const path = join(this.#folder, "metadata", name);
    try {
      if ((await Deno.stat(path)).size > METADATA_BYTES_MAX) throw new Error("it is too large");
      return v.parse(schema, JSON.parse(await Deno.readTextFile(path)));
    } catch (cause) {
      if (cause instanceof Deno.errors.NotFound) {
        throw new DistrictError(
          "not-found",
          `${path} is not there; copy what gatehouse ota published into ${this.#folder}`,
          { cause },
        );
      }
      const why = (cause as Error).message;
      throw new DistrictError("invalid", `${path}: not the metadata of a repository: ${why}`, {
        cause,
      });
    }
  }
}
