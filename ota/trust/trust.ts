import { join } from "node:path";
import { Buffer } from "node:buffer";
import { isDeepStrictEqual } from "node:util";
import { Metadata, MetadataKind, type TargetFile, type Targets } from "@tufjs/models";
import { Updater } from "tuf-js";
import { ExpiredMetadataError, PersistError } from "tuf-js/dist/error.js";
import type { Clock } from "../../hal/mod.ts";
import { type Assignment, ASSIGNMENT_BYTES_MAX, type TrustedTarget } from "./assignment.ts";
import { TrustError } from "./errors.ts";
import { BoundedFetcher, METADATA_URL, type RepositorySource } from "./fetcher.ts";
import { MetadataStore } from "./metadata_store.ts";
import type { TimeFloor } from "./time_floor.ts";

/** Bounds of `tuf-js`, each some ten times what a district's repository has. */
const BOUNDS = {
  /** Versions of root passed in one go: a box that was away for a decade of yearly rotations. */
  maxRootRotations: 64,
  maxDelegations: 32,
  rootMaxLength: 64 << 10,
  timestampMaxLength: 16 << 10,
  snapshotMaxLength: 256 << 10,
  targetsMaxLength: 2 << 20,
} as const;
/** The last assignment that was accepted, beside the metadata. */
const ASSIGNMENT_FILE = "assignment.json";

/** What `tuf-js` keeps to itself, and has to be told or asked. */
interface Innards {
  readonly trustedSet: {
    referenceTime: Date;
    readonly targets: Metadata<Targets> | undefined;
    readonly root: { readonly signed: { readonly version: number } };
  };
}

/** What is trusted during one {@link UpdateTrust.look}. */
export interface TrustedView {
  /** The target at `path`, or `undefined` when no role that may speak for it names it. @throws {@link TrustError} */
  target(path: string): Promise<TrustedTarget | undefined>;
  /**
   * Checks an assignment: what this box is to install. It must be signed by the role `role` as
   * `targets` delegates it, be for `boxId`, not older than the last one, not expired, and name only
   * targets that the repository names too, with the same length and hash (Uptane §5.4.4.2).
   *
   * @throws {@link TrustError}
   */
  assignment(role: string, boxId: string, bytes: Uint8Array): Promise<Assignment>;
}

/** What {@link UpdateTrust} is made of. */
export interface TrustOptions {
  /** Folder of its own for the metadata. */
  readonly dir: string;
  /** Root metadata that came with the program. */
  readonly root: Uint8Array;
  readonly source: RepositorySource;
  readonly clock: Clock;
  readonly floor: TimeFloor;
}

/**
 * Decides what a box may install: a TUF 1.0 client (`tuf-js`) on an atomic store, with bounds on
 * what a source may send and a time that cannot be set back. Nothing that it says is older than
 * what it said before.
 */
export class UpdateTrust {
  readonly #options: TrustOptions;
  #store: MetadataStore;

  /** Opens the store. @throws {@link TrustError} `store`; an error of `tuf-js` when `root` is no root. */
  constructor(options: TrustOptions) {
    this.#options = options;
    this.#store = MetadataStore.open(options.dir, options.root);
    try {
      new Updater({ metadataDir: this.#store.folder, metadataBaseUrl: METADATA_URL });
    } catch {
      // What is stored was spoilt: trust begins anew at the program's root, or not at all.
      Deno.removeSync(options.dir, { recursive: true });
      this.#store = MetadataStore.open(options.dir, options.root);
      new Updater({ metadataDir: this.#store.folder, metadataBaseUrl: METADATA_URL });
    }
  }

  /**
   * Brings the metadata up to date and lets `use` ask it. What was verified on the way is kept, also
   * when something later fails: a new root counts from then on.
   *
   * @throws {@link TrustError}; the signal's reason; what `use` throws.
   */
  async look<T>(signal: AbortSignal, use: (view: TrustedView) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const { source, clock, floor } = this.#options;
    const work = this.#inStore(() => this.#store.begin());
    const fetcher = new BoundedFetcher(source, clock, signal);
    const updater = new Updater({
      metadataDir: work,
      metadataBaseUrl: METADATA_URL,
      fetcher,
      config: BOUNDS,
    });
    const { trustedSet } = updater as unknown as Innards;
    trustedSet.referenceTime = new Date(floor.nowMs());
    const guarded = async <R>(ask: () => Promise<R>): Promise<R> => {
      try {
        return await ask();
      } catch (error) {
        signal.throwIfAborted();
        throw fetcher.fault ?? trustErrorOf(error, floor);
      }
    };
    const target = (path: string) =>
      guarded(async () => {
        const found = await updater.getTargetInfo(path);
        return found && trustedTarget(found);
      });
    try {
      await guarded(() => updater.refresh());
      return await use({
        target,
        assignment: async (role, boxId, bytes) => {
          const checked = await this.#assignment(trustedSet, work, role, boxId, bytes, target);
          return checked;
        },
      });
    } finally {
      this.#inStore(() => this.#keep(work));
    }
  }

  async #assignment(
    trustedSet: Innards["trustedSet"],
    work: string,
    role: string,
    boxId: string,
    bytes: Uint8Array,
    target: (path: string) => Promise<TrustedTarget | undefined>,
  ): Promise<Assignment> {
    const refuse = (why: string, options?: ErrorOptions) =>
      new TrustError("refused", `assignment for this box: ${why}`, options);
    if (bytes.length > ASSIGNMENT_BYTES_MAX) {
      throw new TrustError("too-large", `assignment: more than ${ASSIGNMENT_BYTES_MAX} bytes`);
    }
    let assigned: Metadata<Targets>;
    try {
      assigned = parseAssignment(bytes);
      trustedSet.targets!.verifyDelegate(role, assigned);
    } catch (cause) {
      throw refuse((cause as Error).message, { cause });
    }
    const { signed } = assigned;
    if (signed.unrecognizedFields.box !== boxId) throw refuse("it is another box's");
    if (signed.isExpired(trustedSet.referenceTime)) {
      throw new TrustError("expired", `assignment for this box: expired on ${signed.expires}`);
    }
    const last = lastAssignment(work);
    if (last !== undefined && signed.version < last.signed.version) {
      throw refuse(`version ${signed.version} is older than ${last.signed.version}`);
    }
    if (
      last !== undefined && signed.version === last.signed.version &&
      !isDeepStrictEqual(signed.toJSON(), last.signed.toJSON())
    ) {
      throw refuse(`there are two versions ${signed.version}`);
    }
    const targets: TrustedTarget[] = [];
    for (const [path, file] of Object.entries(signed.targets)) {
      const named = await target(path);
      if (named === undefined) throw refuse(`${path} is not in the repository`);
      if (file.length !== named.lengthBytes || file.hashes.sha256 !== named.sha256) {
        throw refuse(`${path} is another file than the repository's`);
      }
      targets.push(named);
    }
    Deno.writeFileSync(join(work, ASSIGNMENT_FILE), bytes);
    return { version: signed.version, expires: signed.expires, targets };
  }

  /** Keeps what changed; a copy like the original is thrown away, for the card's sake. */
  #keep(work: string): void {
    const { folder } = this.#store;
    const names = [...Deno.readDirSync(work)].map(({ name }) => name);
    const same = names.every((name) => {
      try {
        return Buffer.compare(
          Deno.readFileSync(join(work, name)),
          Deno.readFileSync(join(folder, name)),
        ) === 0;
      } catch {
        return false;
      }
    });
    if (same) Deno.removeSync(work, { recursive: true });
    else this.#store.commit(work);
  }

  #inStore<T>(act: () => T): T {
    try {
      return act();
    } catch (cause) {
      const { dir } = this.#options;
      throw new TrustError("store", `${dir}: ${(cause as Error).message}; check the disk`, {
        cause,
      });
    }
  }
}

function parseAssignment(bytes: Uint8Array): Metadata<Targets> {
  return Metadata.fromJSON(
    MetadataKind.Targets,
    JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)),
  ) as Metadata<Targets>;
}

function lastAssignment(work: string): Metadata<Targets> | undefined {
  try {
    return parseAssignment(Deno.readFileSync(join(work, ASSIGNMENT_FILE)));
  } catch {
    // None yet, or spoilt: the signature of the next one still counts.
    return undefined;
  }
}

function trustedTarget({ path, length, hashes, custom }: TargetFile): TrustedTarget {
  const { sha256 } = hashes;
  if (sha256 === undefined || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new TrustError("refused", `${path}: its metadata has no SHA-256`);
  }
  return { path, lengthBytes: length, sha256, custom };
}

function trustErrorOf(error: unknown, floor: TimeFloor): TrustError {
  if (error instanceof TrustError) return error;
  const { message } = error as Error;
  // A role below the first is told by text only, for `tuf-js` wraps its error.
  if (error instanceof ExpiredMetadataError || /is expired/.test(message)) {
    const now = new Date(floor.nowMs()).toISOString();
    return new TrustError(
      "expired",
      `${message}, judged at ${now}; if that is not the time, set this box's clock right, ` +
        `otherwise the district's publisher has to sign anew`,
      { cause: error },
    );
  }
  const kind = error instanceof PersistError ? "store" : "refused";
  return new TrustError(kind, message, { cause: error });
}
