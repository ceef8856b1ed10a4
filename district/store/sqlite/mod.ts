/**
 * The embedded store: two SQLite files, one of boxes and operators, one of people.
 *
 * @module
 */
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import type {
  AuditRow,
  CheckedBatch,
  CommandRow,
  DistrictStore,
  EventQuery,
  ImportRow,
  PolicyCompiler,
  PolicyDocument,
  SessionRow,
} from "../contract.ts";
import type { PolicySettings } from "../../api/types.ts";
import type { BoxStatus, Lane } from "../../../sync/wire/mod.ts";
import { BoxTables } from "./box_tables.ts";
import { CommandTable } from "./command_table.ts";
import { openDistrictFile, openPeople } from "./database.ts";
import { Jobs, WorkerPolicyCompiler } from "./jobs.ts";
import { OperatorTables } from "./operator_tables.ts";
import { PeopleTables } from "./people_tables.ts";
import { PolicyTable } from "./policy_table.ts";
import { RolloutTables } from "./rollout_tables.ts";
import type { RolloutStore } from "../rollout_contract.ts";

/**
 * SQLite behind the store's port. Its calls block the thread (a batch of 4,096 events for some tens
 * of ms); the promises are the port's, so that a store over a network can take its place.
 */
export class SqliteStore implements DistrictStore {
  readonly #peoplePath: string;
  readonly #db: DatabaseSync;
  readonly #peopleDb: DatabaseSync;
  readonly #commands: CommandTable;
  readonly #boxes: BoxTables;
  readonly #operators: OperatorTables;
  readonly #policies: PolicyTable;
  readonly #people: PeopleTables;
  readonly #jobs: Jobs;
  /** See {@link DistrictStore.rollouts}. */
  readonly rollouts: RolloutStore;
  #closed = false;

  /** Opens `district.sqlite` and `people.sqlite` of `folder`, making or migrating them. @throws `DistrictError` `data` */
  constructor(folder: string) {
    this.#peoplePath = join(folder, "people.sqlite");
    this.#db = openDistrictFile(join(folder, "district.sqlite"));
    try {
      this.#peopleDb = openPeople(this.#peoplePath);
    } catch (error) {
      this.#db.close();
      throw error;
    }
    this.#commands = new CommandTable(this.#db);
    this.#boxes = new BoxTables(this.#db, this.#commands);
    this.#operators = new OperatorTables(this.#db);
    this.#policies = new PolicyTable(this.#db);
    this.#people = new PeopleTables(this.#peopleDb);
    this.#jobs = new Jobs(this.#peoplePath);
    this.rollouts = new RolloutTables(this.#db);
  }

  /** See {@link DistrictStore.addToken}. */
  addToken(secretHash: Uint8Array, expiresMs: number): ReturnType<DistrictStore["addToken"]> {
    return settle(() => this.#boxes.addToken(secretHash, expiresMs));
  }

  /** See {@link DistrictStore.enrol}. */
  enrol(
    request: Parameters<DistrictStore["enrol"]>[0],
    nowMs: number,
  ): ReturnType<DistrictStore["enrol"]> {
    return settle(() => this.#boxes.enrol(request, nowMs));
  }

  /** See {@link DistrictStore.box}. */
  box(boxId: string): ReturnType<DistrictStore["box"]> {
    return settle(() => this.#boxes.box(boxId));
  }

  /** See {@link DistrictStore.boxes}. */
  boxes(): ReturnType<DistrictStore["boxes"]> {
    return settle(() => this.#boxes.boxes());
  }

  /** See {@link DistrictStore.noteSeen}. */
  noteSeen(
    boxId: string,
    lastSeenMs: number,
    status: BoxStatus | undefined,
  ): ReturnType<DistrictStore["noteSeen"]> {
    return settle(() => this.#boxes.noteSeen(boxId, lastSeenMs, status));
  }

  /** See {@link DistrictStore.revoke}. */
  revoke(boxId: string): ReturnType<DistrictStore["revoke"]> {
    return settle(() => this.#boxes.revoke(boxId));
  }

  /** See {@link DistrictStore.ingest}. */
  ingest(
    boxId: string,
    batches: readonly CheckedBatch[],
    nowMs: number,
  ): ReturnType<DistrictStore["ingest"]> {
    return settle(() => this.#boxes.ingest(boxId, batches, nowMs));
  }

  /** See {@link DistrictStore.cursor}. */
  cursor(boxId: string, epoch: number, lane: Lane): ReturnType<DistrictStore["cursor"]> {
    return settle(() => this.#boxes.cursor(boxId, epoch, lane));
  }

  /** See {@link DistrictStore.events}. */
  events(query: EventQuery): ReturnType<DistrictStore["events"]> {
    return settle(() => this.#boxes.events(query));
  }

  /** See {@link DistrictStore.verifyChains}. */
  verifyChains(boxId: string): ReturnType<DistrictStore["verifyChains"]> {
    return settle(() => this.#boxes.verifyChains(boxId));
  }

  /** See {@link DistrictStore.addCommand}. */
  addCommand(command: CommandRow): ReturnType<DistrictStore["addCommand"]> {
    return settle(() => this.#commands.add(command));
  }

  /** See {@link DistrictStore.command}. */
  command(id: string): ReturnType<DistrictStore["command"]> {
    return settle(() => this.#commands.get(id));
  }

  /** See {@link DistrictStore.pendingCommands}. */
  pendingCommands(boxId: string, nowMs: number): ReturnType<DistrictStore["pendingCommands"]> {
    return settle(() => this.#commands.pending(boxId, nowMs));
  }

  /** See {@link DistrictStore.setOperator}. */
  setOperator(username: string, passwordHash: string): ReturnType<DistrictStore["setOperator"]> {
    return settle(() => this.#operators.set(username, passwordHash));
  }

  /** See {@link DistrictStore.passwordHash}. */
  passwordHash(username: string): ReturnType<DistrictStore["passwordHash"]> {
    return settle(() => this.#operators.passwordHash(username));
  }

  /** See {@link DistrictStore.operatorCount}. */
  operatorCount(): ReturnType<DistrictStore["operatorCount"]> {
    return settle(() => this.#operators.count());
  }

  /** See {@link DistrictStore.addSession}. */
  addSession(
    tokenHash: Uint8Array,
    session: SessionRow,
    nowMs: number,
  ): ReturnType<DistrictStore["addSession"]> {
    return settle(() => this.#operators.addSession(tokenHash, session, nowMs));
  }

  /** See {@link DistrictStore.session}. */
  session(tokenHash: Uint8Array, nowMs: number): ReturnType<DistrictStore["session"]> {
    return settle(() => this.#operators.session(tokenHash, nowMs));
  }

  /** See {@link DistrictStore.extendSession}. */
  extendSession(
    tokenHash: Uint8Array,
    expiresMs: number,
  ): ReturnType<DistrictStore["extendSession"]> {
    return settle(() => this.#operators.extendSession(tokenHash, expiresMs));
  }

  /** See {@link DistrictStore.endSession}. */
  endSession(tokenHash: Uint8Array): ReturnType<DistrictStore["endSession"]> {
    return settle(() => this.#operators.endSession(tokenHash));
  }

  /** See {@link DistrictStore.audit}. */
  audit(row: AuditRow): ReturnType<DistrictStore["audit"]> {
    return settle(() => this.#operators.audit(row));
  }

  /** See {@link DistrictStore.auditLog}. */
  auditLog(limit: number): ReturnType<DistrictStore["auditLog"]> {
    return settle(() => this.#operators.auditLog(limit));
  }

  /** See {@link DistrictStore.importCardholders}. */
  importCardholders(
    source: Uint8Array | readonly ImportRow[],
    dryRun: boolean,
  ): ReturnType<DistrictStore["importCardholders"]> {
    return this.#jobs.write({ kind: "import", source, dryRun });
  }

  /** See {@link DistrictStore.cardholders}. */
  cardholders(
    query: Parameters<DistrictStore["cardholders"]>[0],
  ): ReturnType<DistrictStore["cardholders"]> {
    return settle(() => this.#people.cardholders(query));
  }

  /** See {@link DistrictStore.cardholderNames}. */
  cardholderNames(ids: readonly number[]): ReturnType<DistrictStore["cardholderNames"]> {
    return settle(() => this.#people.names(ids));
  }

  /** See {@link DistrictStore.settings}. */
  settings(): ReturnType<DistrictStore["settings"]> {
    return settle(() => this.#people.settings());
  }

  /** See {@link DistrictStore.accessLevelsInUse}. */
  accessLevelsInUse(): ReturnType<DistrictStore["accessLevelsInUse"]> {
    return settle(() => this.#people.levelsInUse());
  }

  /** See {@link DistrictStore.putSettings}. */
  putSettings(settings: PolicySettings): ReturnType<DistrictStore["putSettings"]> {
    return this.#jobs.write({ kind: "settings", settings });
  }

  /** See {@link DistrictStore.wantedVersion}. */
  wantedVersion(): ReturnType<DistrictStore["wantedVersion"]> {
    return settle(() => this.#people.wantedVersion());
  }

  /** See {@link DistrictStore.policyVersion}. */
  policyVersion(): ReturnType<DistrictStore["policyVersion"]> {
    return settle(() => this.#policies.version());
  }

  /** See {@link DistrictStore.policy}. */
  policy(): ReturnType<DistrictStore["policy"]> {
    return settle(() => this.#policies.newest());
  }

  /** See {@link DistrictStore.putPolicy}. */
  putPolicy(policy: PolicyDocument): ReturnType<DistrictStore["putPolicy"]> {
    return settle(() => this.#policies.put(policy));
  }

  /** See {@link DistrictStore.policyCompiler}. */
  policyCompiler(): PolicyCompiler {
    return new WorkerPolicyCompiler(this.#peoplePath);
  }

  /** Waits for what is being written and closes the files; twice is fine. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#jobs[Symbol.asyncDispose]();
    this.#db.close();
    this.#peopleDb.close();
  }
}

/** A promise of what `body` returns or throws. */
// deno-lint-ignore require-await
async function settle<T>(body: () => T): Promise<T> {
  return body();
}
