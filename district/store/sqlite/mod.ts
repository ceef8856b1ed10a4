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
  }

  addToken(secretHash: Uint8Array, expiresMs: number) {
    return settle(() => this.#boxes.addToken(secretHash, expiresMs));
  }

  enrol(request: Parameters<DistrictStore["enrol"]>[0], nowMs: number) {
    return settle(() => this.#boxes.enrol(request, nowMs));
  }

  box(boxId: string) {
    return settle(() => this.#boxes.box(boxId));
  }

  boxes() {
    return settle(() => this.#boxes.boxes());
  }

  noteSeen(boxId: string, lastSeenMs: number, status: BoxStatus | undefined) {
    return settle(() => this.#boxes.noteSeen(boxId, lastSeenMs, status));
  }

  revoke(boxId: string) {
    return settle(() => this.#boxes.revoke(boxId));
  }

  ingest(boxId: string, batches: readonly CheckedBatch[], nowMs: number) {
    return settle(() => this.#boxes.ingest(boxId, batches, nowMs));
  }

  cursor(boxId: string, epoch: number, lane: Lane) {
    return settle(() => this.#boxes.cursor(boxId, epoch, lane));
  }

  events(query: EventQuery) {
    return settle(() => this.#boxes.events(query));
  }

  verifyChains(boxId: string) {
    return settle(() => this.#boxes.verifyChains(boxId));
  }

  addCommand(command: CommandRow) {
    return settle(() => this.#commands.add(command));
  }

  command(id: string) {
    return settle(() => this.#commands.get(id));
  }

  pendingCommands(boxId: string, nowMs: number) {
    return settle(() => this.#commands.pending(boxId, nowMs));
  }

  setOperator(username: string, passwordHash: string) {
    return settle(() => this.#operators.set(username, passwordHash));
  }

  passwordHash(username: string) {
    return settle(() => this.#operators.passwordHash(username));
  }

  operatorCount() {
    return settle(() => this.#operators.count());
  }

  addSession(tokenHash: Uint8Array, session: SessionRow, nowMs: number) {
    return settle(() => this.#operators.addSession(tokenHash, session, nowMs));
  }

  session(tokenHash: Uint8Array, nowMs: number) {
    return settle(() => this.#operators.session(tokenHash, nowMs));
  }

  extendSession(tokenHash: Uint8Array, expiresMs: number) {
    return settle(() => this.#operators.extendSession(tokenHash, expiresMs));
  }

  endSession(tokenHash: Uint8Array) {
    return settle(() => this.#operators.endSession(tokenHash));
  }

  audit(row: AuditRow) {
    return settle(() => this.#operators.audit(row));
  }

  auditLog(limit: number) {
    return settle(() => this.#operators.auditLog(limit));
  }

  importCardholders(source: Uint8Array | readonly ImportRow[], dryRun: boolean) {
    return this.#jobs.write({ kind: "import", source, dryRun });
  }

  cardholders(query: Parameters<DistrictStore["cardholders"]>[0]) {
    return settle(() => this.#people.cardholders(query));
  }

  cardholderNames(ids: readonly number[]) {
    return settle(() => this.#people.names(ids));
  }

  settings() {
    return settle(() => this.#people.settings());
  }

  accessLevelsInUse() {
    return settle(() => this.#people.levelsInUse());
  }

  putSettings(settings: PolicySettings) {
    return this.#jobs.write({ kind: "settings", settings });
  }

  wantedVersion() {
    return settle(() => this.#people.wantedVersion());
  }

  policyVersion() {
    return settle(() => this.#policies.version());
  }

  policy() {
    return settle(() => this.#policies.newest());
  }

  putPolicy(policy: PolicyDocument) {
    return settle(() => this.#policies.put(policy));
  }

  policyCompiler(): PolicyCompiler {
    return new WorkerPolicyCompiler(this.#peoplePath);
  }

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
