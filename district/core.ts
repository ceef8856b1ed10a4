import { createHash, randomUUID } from "node:crypto";
import type { Cancel, Clock } from "../hal/mod.ts";
import {
  type BoxCommand,
  commandTarget,
  makeToken,
  newTokenSecret,
  parsePolicy,
  settingsFaults,
  WIRE_LIMITS,
} from "../sync/wire/mod.ts";
import type {
  BoxView,
  CommandView,
  ImportReport,
  LiveMessage,
  PolicySettings,
} from "./api/types.ts";
import type { BoxLinks } from "./box_api/links.ts";
import { boxView, commandView, eventViews } from "./console_api/views.ts";
import { DistrictError } from "./errors.ts";
import type { LiveHub } from "./live/hub.ts";
import { faultFields, type Log } from "./log.ts";
import type { Publisher } from "./policy/publisher.ts";
import type { BoxRow, DistrictStore, IngestResult } from "./store/contract.ts";

/** What the district's doings need. */
export interface CoreHost {
  readonly store: DistrictStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly hub: LiveHub;
  readonly links: BoxLinks;
  readonly publisher: Publisher;
  readonly caPem: string;
}

/** An installer walks to the box within a day. */
export const TOKEN_LIFE_MS = 24 * 3600 * 1000;
/** Whoever clicks a door expects it to move now, or not at all. */
const COMMAND_LIFE_MS = 30_000;
/** Of one upload; a backlog that drains must not fill every queue. */
const LIVE_EVENTS_MAX = 200;
/** Statuses of one box within this time show as one. */
const BOX_DEBOUNCE_MS = 100;
/** A school has tens of boxes, a district hundreds; names are looked up for each event shown. */
const BOX_NAMES_MAX = 10_000;

/** What operators can do, whoever asks: the console or a program in this process. Everything is audited. */
export class Core implements Disposable {
  readonly #host: CoreHost;
  readonly #names = new Map<string, string>();
  readonly #boxTimers = new Map<string, Cancel>();
  readonly #expiries = new Set<Cancel>();

  /** Does nothing by itself. */
  constructor(host: CoreHost) {
    this.#host = host;
  }

  /** Makes a one-time token for `gatehouse enrol`. */
  async createToken(operator: string): Promise<{ token: string; expiresMs: number }> {
    const { store, clock, caPem } = this.#host;
    const secret = newTokenSecret();
    const expiresMs = clock.wallMs() + TOKEN_LIFE_MS;
    await store.addToken(
      new Uint8Array(createHash("sha256").update(secret).digest()),
      expiresMs,
    );
    await this.audit(operator, "token.created", new Date(expiresMs).toISOString());
    return { token: makeToken(secret, caPem), expiresMs };
  }

  /** All boxes. Withdrawn ones are not shown. */
  async boxes(): Promise<BoxView[]> {
    const { store, links } = this.#host;
    const [rows, wanted] = await Promise.all([store.boxes(), store.wantedVersion()]);
    return rows.filter((row) => !row.revoked).map((row) => boxView(row, links, wanted));
  }

  /**
   * Issues a command: stored first, then sent; to a box that is away when it comes back in time.
   *
   * @throws {@link DistrictError} `not-found`, or `invalid`.
   */
  async issue(
    boxId: string,
    command: BoxCommand,
    operator: string,
    lifeMs: number = COMMAND_LIFE_MS,
  ): Promise<CommandView> {
    const { store, clock, links, hub } = this.#host;
    if (!(lifeMs >= 1_000 && lifeMs <= WIRE_LIMITS.commandLifeMsMax)) {
      throw new DistrictError("invalid", "lifeMs: expected 1,000 ms to 24 hours");
    }
    const box = await store.box(boxId);
    if (box === undefined || box.revoked) {
      throw new DistrictError("not-found", `there is no box ${boxId}`);
    }
    const issuedMs = clock.wallMs();
    const row = {
      id: randomUUID(),
      boxId,
      command,
      operator,
      issuedMs,
      expiresMs: issuedMs + lifeMs,
      outcome: undefined,
      detail: undefined,
    };
    await store.addCommand(row);
    await this.audit(
      operator,
      `command.${command.name}`,
      `${boxId} ${commandTarget(command)} ${row.id}`,
    );
    links.send({
      kind: "command",
      boxId,
      id: row.id,
      issuedWallMs: row.issuedMs,
      expiresWallMs: row.expiresMs,
      command,
    });
    const view = commandView(row, issuedMs);
    hub.publish([{ kind: "command", command: view }]);
    const cancel = clock.schedule(lifeMs, () => {
      this.#expiries.delete(cancel);
      this.#run("expiry of a command", async () => {
        const now = await store.command(row.id);
        if (now === undefined || now.outcome !== undefined) return;
        hub.publish([{ kind: "command", command: commandView(now, row.expiresMs) }]);
      });
    });
    this.#expiries.add(cancel);
    return view;
  }

  /** A command and how it went. @throws {@link DistrictError} `not-found` */
  async command(id: string): Promise<CommandView> {
    const row = await this.#host.store.command(id);
    if (row === undefined) throw new DistrictError("not-found", `there is no command ${id}`);
    return commandView(row, this.#host.clock.wallMs());
  }

  /** Imports cardholders from CSV: all, or nothing and every fault. */
  async importCardholders(
    csv: Uint8Array,
    dryRun: boolean,
    operator: string,
  ): Promise<ImportReport> {
    const { store, publisher } = this.#host;
    const outcome = await store.importCardholders(csv, dryRun);
    const { policyVersion, ...report } = outcome;
    if (dryRun || outcome.faults.length > 0) return report;
    await this.audit(
      operator,
      "cardholders.imported",
      `added ${outcome.added}, changed ${outcome.changed}, unchanged ${outcome.unchanged}`,
    );
    publisher.publish();
    return { ...report, ...(policyVersion === undefined ? {} : { policyVersion }) };
  }

  /** Replaces the settings of the policy. @throws {@link DistrictError} `invalid` with all faults. */
  async putSettings(settings: PolicySettings, operator: string): Promise<PolicySettings> {
    const { store, publisher } = this.#host;
    const { holidays, schedules, accessLevels } = parsePolicy({ schema: 1, ...settings });
    const parsed = { holidays, schedules, accessLevels };
    const faults = settingsFaults(parsed, await store.accessLevelsInUse());
    if (faults.length > 0) throw new DistrictError("invalid", faults.slice(0, 20).join("; "));
    const version = await store.putSettings(parsed);
    await this.audit(operator, "policy.changed", `version ${version}`);
    publisher.publish();
    return parsed;
  }

  /** Withdraws a box. @throws {@link DistrictError} `not-found` */
  async revoke(boxId: string, operator: string): Promise<void> {
    const { store, links } = this.#host;
    if (!await store.revoke(boxId)) {
      throw new DistrictError("not-found", `there is no box ${boxId}`);
    }
    // What it was to install it will not: no rollout waits for it.
    await store.rollouts.withdrawController(boxId, this.#host.clock.wallMs());
    await this.audit(operator, "box.revoked", boxId);
    links.drop(boxId, "revoked");
  }

  /** Writes down what an operator did. */
  async audit(operator: string, action: string, detail: string): Promise<void> {
    const { store, clock } = this.#host;
    await store.audit({ atMs: clock.wallMs(), operator, action, detail });
  }

  /** Shows an upload to whoever watches. */
  ingested(box: BoxRow, result: IngestResult): void {
    const { hub, store, clock } = this.#host;
    if (hub.listeners === 0) return;
    if (result.commands.length > 0) {
      const nowMs = clock.wallMs();
      hub.publish(result.commands.map((row): LiveMessage => ({
        kind: "command",
        command: commandView(row, nowMs),
      })));
    }
    if (result.stored.length === 0) return;
    // A backlog that drains would only push the present out of the queues.
    const shown = result.stored.slice(-LIVE_EVENTS_MAX);
    this.#names.set(box.id, box.name);
    this.#run("live events", async () => {
      const views = await eventViews(shown, store, () => box.name);
      hub.publish(views.map((event): LiveMessage => ({ kind: "event", event })));
    });
  }

  /** Shows a box's state to whoever watches, soon. */
  boxChanged(boxId: string): void {
    const { hub, store, links, clock } = this.#host;
    if (hub.listeners === 0 || this.#boxTimers.has(boxId)) return;
    const cancel = clock.schedule(BOX_DEBOUNCE_MS, () => {
      this.#boxTimers.delete(boxId);
      this.#run("live box", async () => {
        const [row, wanted] = await Promise.all([store.box(boxId), store.wantedVersion()]);
        if (row === undefined || row.revoked) return;
        hub.publish([{ kind: "box", box: boxView(row, links, wanted) }]);
      });
    });
    this.#boxTimers.set(boxId, cancel);
  }

  /** Shows every box anew, for instance as each wants a new policy. */
  allBoxesChanged(): void {
    const { hub, store } = this.#host;
    if (hub.listeners === 0) return;
    this.#run("live boxes", async () => {
      for (const { id } of await store.boxes()) this.boxChanged(id);
    });
  }

  /** Name of a box for its events. */
  async boxNames(): Promise<(boxId: string) => string> {
    if (this.#names.size > BOX_NAMES_MAX) this.#names.clear();
    for (const { id, name } of await this.#host.store.boxes()) this.#names.set(id, name);
    return (boxId) => this.#names.get(boxId) ?? boxId;
  }

  /** Cancels what was scheduled. */
  [Symbol.dispose](): void {
    for (const cancel of [...this.#boxTimers.values(), ...this.#expiries]) cancel();
    this.#boxTimers.clear();
    this.#expiries.clear();
  }

  #run(what: string, body: () => Promise<void>): void {
    body().catch((error) => this.#host.log.error(`${what} failed`, faultFields(error)));
  }
}
