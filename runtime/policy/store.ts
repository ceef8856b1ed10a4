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
import {
  NO_STAND_INS,
  settingsHash,
  type StandIn,
  standIn,
  type StandIns,
  type Stood,
} from "./stand_in.ts";

/** Who a policy came from. Versions are compared within one source only. */
export type PolicySource = "district" | "file";

/** The policy in force. */
export interface StoredPolicy {
  readonly source: PolicySource;
  readonly compiled: CompiledPolicy;
  /**
   * Which settings its document has, as the policy that they came with: `district:7`. They keep the name as
   * long as they stay the same, and never get it again.
   */
  readonly settings: string;
  /** Where the settings are from that stand in for them; empty for its own. */
  readonly bundle: string;
  /** Why others that were to stand in do not. */
  readonly fault?: string;
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
  -- Tables of their own: a box that goes back to an earlier program keeps its policy.
  CREATE TABLE IF NOT EXISTS settings (
    policy INTEGER PRIMARY KEY,
    hash TEXT NOT NULL,
    name TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS stood_in (
    policy INTEGER PRIMARY KEY,
    bundle TEXT NOT NULL,
    format INTEGER NOT NULL,
    compiled BLOB NOT NULL
  ) STRICT;
`;

/** Policies kept: the one in force and the one before it. */
const POLICIES_KEPT = 2;

/** A policy as the bytes that travel and are stored. */
export function packPolicy(policy: Policy): Uint8Array<ArrayBuffer> {
  return new Uint8Array(zstdCompressSync(encodeCbor(policy)));
}

/**
 * Reads a policy's bytes.
 *
 * @throws {@link PolicyError} naming what is wrong with it.
 */
function readDocument(document: Uint8Array, version: number): Policy {
  try {
    const cbor = zstdDecompressSync(document, {
      maxOutputLength: WIRE_LIMITS.policyDecodedBytesMax,
    });
    return parsePolicy(decodeCbor(cbor, "policy", WIRE_LIMITS.policyDecodedBytesMax));
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
}

/** A policy's row, without its bytes. */
interface Row {
  readonly id: number;
  readonly source: PolicySource;
  readonly version: number;
  readonly format: number;
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

  /**
   * The policy in force, with the first of `standIns` that fits; `undefined` before the first policy. Compiles
   * anew after an update of this program.
   */
  load(standIns: StandIns = NO_STAND_INS): StoredPolicy | undefined {
    const row = this.#newest();
    if (row === undefined) return undefined;
    const { source } = row;
    const settings = this.#settings(row)?.name ?? "";
    let stood: Stood | undefined;
    let fault: string | undefined;
    for (const candidate of standIns.candidates) {
      if (stood !== undefined || candidate.base !== settings) continue;
      try {
        stood = this.#stand(row, candidate, standIns);
      } catch (cause) {
        if (!(cause instanceof PolicyError)) throw cause;
        fault ??= cause.message;
      }
    }
    const { bundle, compiled } = stood ?? { bundle: "", compiled: this.#own(row) };
    return { source, settings, bundle, compiled, ...fault === undefined ? {} : { fault } };
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
    const before = this.#newest();
    const version = update.version ?? newest + 1;
    // The same version again is taken only to replace a policy of another source.
    const again = version === newest && before?.source !== update.source;
    if (version <= newest && !again) {
      throw new PolicyError(`policy ${version} is not newer than ${newest}, which is in force`);
    }
    const policy = readDocument(update.document, version);
    const compiled = compilePolicy(policy, version);
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const { lastInsertRowid } = this.#db.prepare(
        "INSERT INTO policies (source, version, document, format, compiled) VALUES (?, ?, ?, ?, ?)",
      ).run(update.source, version, update.document, COMPILED_FORMAT, packCompiled(compiled));
      const row = { id: Number(lastInsertRowid), source: update.source, version };
      this.#name(row, settingsHash(policy), before);
      this.#db.prepare(
        "INSERT INTO newest VALUES (?, ?) ON CONFLICT DO UPDATE SET version=excluded.version",
      ).run(update.source, version);
      this.#db.prepare(
        "DELETE FROM policies WHERE id NOT IN (SELECT id FROM policies ORDER BY id DESC LIMIT ?)",
      ).run(POLICIES_KEPT);
      for (const table of ["settings", "stood_in"]) {
        this.#db.exec(`DELETE FROM ${table} WHERE policy NOT IN (SELECT id FROM policies)`);
      }
      this.#db.exec("COMMIT");
    } catch (cause) {
      this.#db.exec("ROLLBACK");
      throw cause;
    }
    return compiled;
  }

  #newest(): Row | undefined {
    return this.#db.prepare(
      "SELECT id, source, version, format FROM policies ORDER BY id DESC LIMIT 1",
    ).get() as Row | undefined;
  }

  #policy({ id, version }: Row): Policy {
    const { document } = this.#db.prepare("SELECT document FROM policies WHERE id=?").get(id) as {
      document: Uint8Array;
    };
    return readDocument(document, version);
  }

  /** As it is compiled with its own settings. */
  #own(row: Row): CompiledPolicy {
    if (row.format === COMPILED_FORMAT) {
      const { compiled } = this.#db.prepare("SELECT compiled FROM policies WHERE id=?")
        .get(row.id) as { compiled: Uint8Array };
      const unpacked = unpackCompiled(compiled);
      if (unpacked !== undefined) return unpacked;
    }
    const anew = compilePolicy(this.#policy(row), row.version);
    if (!this.#onlyLook) {
      this.#db.prepare("UPDATE policies SET format=?, compiled=? WHERE id=?")
        .run(COMPILED_FORMAT, packCompiled(anew), row.id);
    }
    return anew;
  }

  /** What its settings are called; an earlier program that stored it did not say. */
  #settings(row: Row): { readonly hash: string; readonly name: string } | undefined {
    const known = () =>
      this.#db.prepare("SELECT hash, name FROM settings WHERE policy=?").get(row.id) as
        | { hash: string; name: string }
        | undefined;
    if (!this.#onlyLook) {
      if (known() === undefined) this.#name(row, this.#hash(row), undefined);
      return known();
    }
    try {
      return known();
    } catch {
      // No table of that name, and no room for one.
      return undefined;
    }
  }

  #hash(row: Row): string {
    try {
      return settingsHash(this.#policy(row));
    } catch (cause) {
      // What it was compiled to is still good for the door.
      if (cause instanceof PolicyError) return "";
      throw cause;
    }
  }

  #name(row: Omit<Row, "format">, hash: string, before: Row | undefined): void {
    const last = before === undefined ? undefined : this.#settings(before);
    const own = `${row.source}:${row.version}`;
    const name = last?.hash === hash && before?.source === row.source ? last.name : own;
    this.#db.prepare("INSERT INTO settings VALUES (?, ?, ?)").run(row.id, hash, name);
  }

  /** As it is compiled with `candidate`: that is kept for the next start. */
  #stand(row: Row, candidate: StandIn, standIns: StandIns): Stood {
    const kept = this.#stood(row);
    const { bundle } = candidate;
    if (kept?.bundle === bundle) return kept;
    const compiled = standIn(this.#policy(row), this.#own(row), candidate, standIns);
    this.#keep(row, { bundle, compiled });
    return { bundle, compiled };
  }

  /** How it was last compiled with others' settings. */
  #stood({ id }: Row): Stood | undefined {
    const row = this.#db.prepare("SELECT bundle, format, compiled FROM stood_in WHERE policy=?")
      .get(id) as { bundle: string; format: number; compiled: Uint8Array } | undefined;
    if (row?.format !== COMPILED_FORMAT) return undefined;
    const compiled = unpackCompiled(row.compiled);
    return compiled && { bundle: row.bundle, compiled };
  }

  /** For the next start, which is slower without it. */
  #keep({ id }: Row, { bundle, compiled }: Stood): void {
    if (this.#onlyLook) return;
    try {
      this.#db.prepare("INSERT OR REPLACE INTO stood_in VALUES (?, ?, ?, ?)")
        .run(id, bundle, COMPILED_FORMAT, packCompiled(compiled));
    } catch {
      // A full disk: what is in force is not the worse for it.
    }
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
  standIns: StandIns = NO_STAND_INS,
): { readonly store: PolicyStore; readonly policy: StoredPolicy | undefined } {
  const tryOpen = () => {
    const store = new PolicyStore(path);
    try {
      return { store, policy: store.load(standIns) };
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
      return { store: new PolicyStore(":memory:"), policy: lookAt(path, standIns) };
    }
    const setAside = `${path}.${wallMs}.corrupt`;
    Deno.renameSync(path, setAside);
    for (const suffix of ["-wal", "-shm"]) removeIfThere(path + suffix);
    report(setAside, cause as Error);
    return tryOpen();
  }
}

/** The policy in a file that cannot be opened for writing. */
function lookAt(path: string, standIns: StandIns): StoredPolicy | undefined {
  try {
    using store = new PolicyStore(path, true);
    return store.load(standIns);
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
