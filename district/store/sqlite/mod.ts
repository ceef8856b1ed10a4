/**
 * The embedded store: one SQLite file.
 *
 * @module
 */
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
import { openDatabase } from "./database.ts";
import { OperatorTables } from "./operator_tables.ts";
import { PeopleTables } from "./people_tables.ts";
import { WorkerPolicyCompiler } from "./policy_compiler.ts";

/**
 * SQLite behind the store's port. Its calls block the thread (a batch of 4,096 events for some tens
 * of ms); the promises are the port's, so that a store over a network can take its place.
 */
export class SqliteStore implements DistrictStore {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #commands: CommandTable;
  readonly #boxes: BoxTables;
  readonly #operators: OperatorTables;
  readonly #people: PeopleTables;
  #closed = false;

  /** Opens `path`, making or migrating it. @throws `DistrictError` `data` */
  constructor(path: string) {
    this.#path = path;
    this.#db = openDatabase(path);
    this.#commands = new CommandTable(this.#db);
    this.#boxes = new BoxTables(this.#db, this.#commands);
    this.#operators = new OperatorTables(this.#db);
    this.#people = new PeopleTables(this.#db);
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

  importCardholders(rows: readonly ImportRow[], dryRun: boolean) {
    return settle(() => this.#people.import(rows, dryRun));
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
    return settle(() => this.#people.putSettings(settings));
  }

  wantedVersion() {
    return settle(() => this.#people.wantedVersion());
  }

  policyVersion() {
    return settle(() => this.#people.policyVersion());
  }

  policy() {
    return settle(() => this.#people.policy());
  }

  putPolicy(policy: PolicyDocument) {
    return settle(() => this.#people.putPolicy(policy));
  }

  policyCompiler(): PolicyCompiler {
    return new WorkerPolicyCompiler(this.#path);
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) this.#db.close();
    this.#closed = true;
    return Promise.resolve();
  }
}

/** A promise of what `body` returns or throws. */
// deno-lint-ignore require-await
async function settle<T>(body: () => T): Promise<T> {
  return body();
}
