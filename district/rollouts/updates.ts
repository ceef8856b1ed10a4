import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import type { Clock } from "../../hal/mod.ts";
import type { RolloutRequest } from "../api/types.ts";
import { DistrictError } from "../errors.ts";
import type { DistrictStore, RollBackOutcome, RolloutRow } from "../store/contract.ts";
import type { OperatorEvent } from "./machine.ts";
import { planGroups } from "./plan.ts";
import type { UpdateRepository } from "./repository.ts";
import { windowFault } from "./window.ts";

/** What operators' doings with updates need. */
export interface UpdatesHost {
  readonly store: DistrictStore;
  readonly clock: Clock;
  readonly repository: UpdateRepository;
}

/** What an operator does to a rollout. */
export type RolloutVerb = OperatorEvent["kind"];

const TOKEN_BYTES = 32;

/** SHA-256 of a target token, as it is stored. */
export function tokenHashOf(token: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(Buffer.from(token)).digest());
}

/** What operators can do about updates. Everything is audited. */
export class Updates {
  readonly #host: UpdatesHost;

  /** Does nothing by itself. */
  constructor(host: UpdatesHost) {
    this.#host = host;
  }

  /**
   * Takes a published target as a release, after reading its file from end to end.
   *
   * @throws {@link DistrictError} `not-found`, or `invalid` when the file is not what was signed.
   */
  async addRelease(path: string, operator: string): Promise<void> {
    const { store, clock, repository } = this.#host;
    const target = (await repository.targets()).find((each) => each.path === path);
    if (target === undefined) {
      throw new DistrictError("not-found", `${path} is not published in the repository`);
    }
    const known = (await store.rollouts.releases()).find((each) => each.path === path);
    if (known !== undefined && known.sha256 !== target.sha256) {
      throw new DistrictError("invalid", `${path} was published with other content before`);
    }
    const sha1 = await repository.check(target);
    await store.rollouts.addRelease({ ...target, sha1, addedMs: clock.wallMs() });
    await this.#audit(operator, "release.added", `${path} ${target.sha256}`);
  }

  /** Lets `id` ask for updates. @returns its target token, which is kept nowhere. */
  async addController(
    id: string,
    labels: Readonly<Record<string, string>>,
    operator: string,
  ): Promise<string> {
    const { store, clock } = this.#host;
    const token = randomBytes(TOKEN_BYTES).toString("base64url");
    const tokenHash = tokenHashOf(token);
    await store.rollouts.putController({ id, tokenHash, labels, addedMs: clock.wallMs() });
    await this.#audit(operator, "controller.added", id);
    return token;
  }

  /** Ends a controller's token for good. @throws {@link DistrictError} `not-found` */
  async withdrawController(id: string, operator: string): Promise<void> {
    const { store, clock } = this.#host;
    if (!await store.rollouts.withdrawController(id, clock.wallMs())) {
      throw new DistrictError("not-found", `there is no controller ${id.slice(0, 64)}`);
    }
    await this.#audit(operator, "controller.withdrawn", id);
  }

  /** Makes a draft. @throws {@link DistrictError} `not-found`, `invalid` */
  async draft(request: RolloutRequest, operator: string): Promise<RolloutRow> {
    const { store, clock } = this.#host;
    const { name, release, filter, groups, window, standing = false, silentAfterHours } = request;
    const fault = (window && windowFault(window)) ??
      (standing && filter?.ids !== undefined
        ? "a rollout that stays open is for labels, not for ids: nobody joins a list"
        : undefined);
    if (fault !== undefined) throw new DistrictError("invalid", fault);
    if (!(await store.rollouts.releases()).some(({ path }) => path === release)) {
      throw new DistrictError("not-found", `${release} is no release; add it first`);
    }
    const members = planGroups(name, await store.rollouts.controllers(), groups, filter);
    const id = await store.rollouts.addRollout(
      {
        name,
        releasePath: release,
        createdBy: operator,
        groups: members,
        ...window === undefined ? {} : { window },
        ...silentAfterHours === undefined ? {} : { silentAfterHours },
        ...standing ? { standing: { labels: filter?.labels ?? {} } } : {},
      },
      clock.wallMs(),
    );
    await this.#audit(operator, "rollout.made", `${id} ${release}`);
    return (await store.rollouts.rollout(id))!;
  }

  /** Moves a rollout on. @returns it, or why it cannot be. @throws {@link DistrictError} `not-found` */
  async step(id: number, verb: RolloutVerb, operator: string): Promise<RolloutRow | string> {
    const { store, clock } = this.#host;
    const event = { kind: verb, by: operator };
    const step = await store.rollouts.stepRollout(id, event, clock.wallMs());
    if (step === undefined) throw new DistrictError("not-found", `there is no rollout ${id}`);
    if (!step.ok) return step.why;
    await this.#audit(operator, `rollout.${verb}`, String(id));
    return step.row;
  }

  /**
   * Takes a rollout back: boxes that it reached get what they had before. @returns the rollouts that do
   * it, and which boxes they leave; or why it cannot be. @throws {@link DistrictError} `not-found`
   */
  async rollBack(
    id: number,
    operator: string,
  ): Promise<Extract<RollBackOutcome, { ok: true }> | string> {
    const { store, clock, repository } = this.#host;
    const releases = new Map((await store.rollouts.releases()).map((each) => [each.path, each]));
    const published = (await repository.targets())
      .filter(({ path, sha256 }) => releases.get(path)?.sha256 === sha256)
      .map(({ path }) => path);
    const nowMs = clock.wallMs();
    const outcome = await store.rollouts.rollBack(id, operator, new Set(published), nowMs);
    if (outcome === undefined) throw new DistrictError("not-found", `there is no rollout ${id}`);
    if (!outcome.ok) return outcome.why;
    const { rollouts, left } = outcome;
    const how = `${id} by ${rollouts.map((back) => back.id).join(", ")}; ${left.length} left`;
    await this.#audit(operator, "rollout.roll-back", how);
    return outcome;
  }

  async #audit(operator: string, action: string, detail: string): Promise<void> {
    const { store, clock } = this.#host;
    await store.audit({ atMs: clock.wallMs(), operator, action, detail });
  }
}
