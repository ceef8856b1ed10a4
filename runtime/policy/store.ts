/**
 * Where a box keeps its policy: `policy.db`, one row a policy, the newest is in force and the one
 * before it stays. A policy and its compiled form are written in one transaction, so that a box
 * starts with a whole policy or with the last good one, never with half of one.
 *
 * @module
 */
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import * as v from "valibot";
import {
  decodeCbor,
  encodeCbor,
  parsePolicy,
  type Policy,
  WIRE_LIMITS,
} from "../../sync/wire/mod.ts";
import {
  COMPILED_FORMAT,
  type CompiledPolicy,
  compilePolicy,
  packCompiled,
  PolicyError,
  unpackCompiled,
} from "./compile.ts";

/** Who a policy came from. Versions are compared within one source only. */
export type PolicySource = "district" | "file";

/** The policy in force. */
export interface StoredPolicy {
  readonly source: PolicySource;
  readonly compiled: CompiledPolicy;
}

/** What to put in force. */
export interface PolicyUpdate {
  readonly source: PolicySource;
  /** From the district its version; for a file `undefined`: one more than the last. */
  readonly version: number | undefined;
  /** zstd of the policy's CBOR. */
  readonly document: Uint8Array;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS policies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    version INTEGER NOT NULL,
    document BLOB NOT NULL,
    format INTEGER NOT NULL,
    compiled BLOB NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS newest (source TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT;
`;

/** Policies kept: the one in force and the one before it. */
const POLICIES_KEPT = 2;

/** A policy as the bytes that travel and are stored. */
export function packPolicy(policy: Policy): Uint8Array<ArrayBuffer> {
  return new Uint8Array(zstdCompressSync(encodeCbor(policy)));
}

/**
 * Reads and compiles a policy's bytes.
 *
 * @throws {@link PolicyError} naming what is wrong with it.
 */
export function compileDocument(document: Uint8Array, version: number): CompiledPolicy {
  let policy: Policy;
  try {
    const cbor = zstdDecompressSync(document, {
      maxOutputLength: WIRE_LIMITS.policyDecodedBytesMax,
    });
    policy = parsePolicy(decodeCbor(cbor, "policy", WIRE_LIMITS.policyDecodedBytesMax));
  } catch (cause) {
    if (cause instanceof v.ValiError) {
      const issue = cause.issues[0];
      throw new PolicyError(`policy: ${v.getDotPath(issue) ?? "top level"}: ${issue.message}`, {
        cause,
      });
    }
    throw new PolicyError(`policy ${version} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  return compilePolicy(policy, version);
}

/** The file with a box's policies. Cheap to open; close it with `using`. */
export class PolicyStore implements Disposable {
  readonly #db: DatabaseSync;
  readonly #onlyLook: boolean;
  #closed = false;

  /**
   * Opens or makes the file, or with `onlyLook` opens one for a look that needs no room on its disk.
   *
   * @throws the SQLite error when the file is no database: see {@link openPolicyStore}.
   */
  constructor(path: string, onlyLook = false) {
    this.#db = new DatabaseSync(path);
    this.#onlyLook = onlyLook;
    try {
      if (onlyLook) {
        // With this, and only with this, SQLite keeps the WAL's index in memory; a file opened to be
        // read only it would refuse to lock.
        this.#db.exec("PRAGMA locking_mode=EXCLUSIVE");
        return;
      }
      // A box process and `gatehouse policy load` may meet here.
      this.#db.exec("PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
      this.#db.exec(SCHEMA);
    } catch (error) {
      // Left open it would keep its locks.
      this.#db.close();
      throw error;
    }
  }

  /** Grows whenever another process has put a policy in force. */
  dataVersion(): number {
    return (this.#db.prepare("PRAGMA data_version").get() as { data_version: number }).data_version;
  }

  /** The policy in force, or `undefined` before the first. Compiles anew after an update of this program. */
  load(): StoredPolicy | undefined {
    const row = this.#db.prepare(
      "SELECT id, source, version, format, compiled FROM policies ORDER BY id DESC LIMIT 1",
    ).get() as
      | { id: number; source: PolicySource; version: number; format: number; compiled: Uint8Array }
      | undefined;
    if (row === undefined) return undefined;
    const compiled = row.format === COMPILED_FORMAT ? unpackCompiled(row.compiled) : undefined;
    if (compiled !== undefined) return { source: row.source, compiled };
    const { document } = this.#db.prepare("SELECT document FROM policies WHERE id=?").get(
      row.id,
    ) as { document: Uint8Array };
    const anew = compileDocument(document, row.version);
    if (!this.#onlyLook) {
      this.#db.prepare("UPDATE policies SET format=?, compiled=? WHERE id=?")
        .run(COMPILED_FORMAT, packCompiled(anew), row.id);
    }
    return { source: row.source, compiled: anew };
  }

  /**
   * Compiles `update` and puts it in force durably.
   *
   * @throws {@link PolicyError} when it is malformed, or not newer than the last one of its source;
   * the policy in force stays.
   */
  apply(update: PolicyUpdate): CompiledPolicy {
    const newest = (this.#db.prepare("SELECT version FROM newest WHERE source=?")
      .get(update.source) as { version: number } | undefined)?.version ?? 0;
    const inForce = this.#db.prepare("SELECT source FROM policies ORDER BY id DESC LIMIT 1")
      .get() as { source: PolicySource } | undefined;
    const version = update.version ?? newest + 1;
    // The same version again is taken only to replace a policy of another source.
    const again = version === newest && inForce?.source !== update.source;
    if (version <= newest && !again) {
      throw new PolicyError(`policy ${version} is not newer than ${newest}, which is in force`);
    }
    const compiled = compileDocument(update.document, version);
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      this.#db.prepare(
        "INSERT INTO policies (source, version, document, format, compiled) VALUES (?, ?, ?, ?, ?)",
      ).run(update.source, version, update.document, COMPILED_FORMAT, packCompiled(compiled));
      this.#db.prepare(
        "INSERT INTO newest VALUES (?, ?) ON CONFLICT DO UPDATE SET version=excluded.version",
      ).run(update.source, version);
      this.#db.prepare(
        "DELETE FROM policies WHERE id NOT IN (SELECT id FROM policies ORDER BY id DESC LIMIT ?)",
      ).run(POLICIES_KEPT);
      this.#db.exec("COMMIT");
    } catch (cause) {
      this.#db.exec("ROLLBACK");
      throw cause;
    }
    return compiled;
  }

  /** Closes the file; twice is fine. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#db.close();
  }
}

/** SQLite opens a file with a write-ahead log in less. */
const ROOM_BYTES = 1 << 20;

/**
 * Opens the store at `path`. One that is no database any more is set aside beside it, and `report`
 * gets the new name: the district sends its policy again. On a full disk it gets none: the
 * policy is read, and what comes after it is in memory until the next start.
 */
export function openPolicyStore(
  path: string,
  wallMs: number,
  report: (setAside: string | undefined, cause: Error) => void,
): { readonly store: PolicyStore; readonly policy: StoredPolicy | undefined } {
  const tryOpen = () => {
    const store = new PolicyStore(path);
    try {
      return { store, policy: store.load() };
    } catch (cause) {
      store[Symbol.dispose]();
      throw cause;
    }
  };
  try {
    return tryOpen();
  } catch (cause) {
    if (freeBytes(path) < ROOM_BYTES) {
      // A good policy on a full disk looks spoilt. It stays where it is and in force; another one
      // that the district sends meanwhile is kept in memory.
      report(undefined, cause as Error);
      return { store: new PolicyStore(":memory:"), policy: lookAt(path) };
    }
    const setAside = `${path}.${wallMs}.corrupt`;
    Deno.renameSync(path, setAside);
    for (const suffix of ["-wal", "-shm"]) removeIfThere(path + suffix);
    report(setAside, cause as Error);
    return tryOpen();
  }
}

/** The policy in a file that cannot be opened for writing. */
function lookAt(path: string): StoredPolicy | undefined {
  try {
    using store = new PolicyStore(path, true);
    return store.load();
  } catch {
    return undefined;
  }
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(dirname(path));
  return bavail * bsize;
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  }
}
