import type { Context, Hono } from "hono";
import type { ControllerView, ReleaseView, RolloutView, TargetView } from "../api/types.ts";
import { DistrictError } from "../errors.ts";
import type { UpdateRepository } from "../rollouts/repository.ts";
import type { RolloutVerb, Updates } from "../rollouts/updates.ts";
import type {
  ControllerRow,
  DistrictStore,
  ReleaseRow,
  RolloutAuditRow,
  RolloutRow,
  TargetRow,
} from "../store/contract.ts";
import { apiError, type ConsoleEnv } from "./guard.ts";
import { answer, check, describe } from "./route.ts";
import * as schemas from "./update_schemas.ts";

/** What the calls about updates need. */
export interface UpdateRoutesHost {
  readonly store: DistrictStore;
  readonly updates: Updates;
  readonly repository: UpdateRepository;
}

/** Of years; a page of the console shows the newest. */
const ROLLOUTS_MAX = 200;
const VERBS: readonly RolloutVerb[] = ["submit", "approve", "reject", "pause", "resume", "abort"];

/** Adds the calls about releases, controllers and rollouts; the session has been checked. */
export function updateRoutes(app: Hono<ConsoleEnv>, host: UpdateRoutesHost): void {
  const { store: { rollouts }, updates, repository } = host;
  app.get(
    "/api/releases",
    describe("Lists releases, newest first", schemas.ReleasesSchema),
    async (c) => answer(c, (await rollouts.releases()).map(releaseView)),
  );
  app.get(
    "/api/releases/published",
    describe("Lists what the update repository holds", schemas.PublishedSchema),
    async (c) => answer(c, await repository.targets()),
  );
  app.post(
    "/api/releases",
    describe("Takes a published file as a release", schemas.ReleaseSchema, 201),
    check("json", schemas.ReleaseRequestSchema),
    async (c) => {
      const { path } = c.req.valid("json");
      await updates.addRelease(path, c.get("session").username);
      const row = (await rollouts.releases()).find((each) => each.path === path)!;
      return answer(c, releaseView(row), 201);
    },
  );
  app.get(
    "/api/controllers",
    describe("Lists who asks for updates", schemas.ControllersSchema),
    async (c) => answer(c, (await rollouts.controllers()).map(controllerView)),
  );
  app.post(
    "/api/controllers",
    describe(
      "Lets a device ask for updates; its token is shown once",
      schemas.ControllerTokenSchema,
      201,
    ),
    check("json", schemas.ControllerRequestSchema),
    async (c) => {
      const { id, labels = {} } = c.req.valid("json");
      const token = await updates.addController(id, labels, c.get("session").username);
      return answer(c, { id, token }, 201);
    },
  );
  app.delete(
    "/api/controllers/:id",
    describe("Ends a device's token; what it has not told counts as failed", undefined, 204),
    async (c) => {
      await updates.withdrawController(c.req.param("id"), c.get("session").username);
      return c.body(null, 204);
    },
  );
  app.get(
    "/api/rollouts",
    describe("Lists rollouts, newest first", schemas.RolloutsSchema),
    async (c) => answer(c, (await rollouts.rollouts(ROLLOUTS_MAX)).map((row) => rolloutView(row))),
  );
  app.post(
    "/api/rollouts",
    describe("Makes a rollout, as a draft", schemas.RolloutSchema, 201),
    check("json", schemas.RolloutRequestSchema),
    async (c) => {
      const row = await updates.draft(c.req.valid("json"), c.get("session").username);
      return answer(c, rolloutView(row), 201);
    },
  );
  app.get(
    "/api/rollouts/:id",
    describe("Shows a rollout with its audit", schemas.RolloutSchema),
    async (c) => {
      const id = idOf(c);
      const row = await rollouts.rollout(id);
      if (row === undefined) throw new DistrictError("not-found", `there is no rollout ${id}`);
      return answer(c, rolloutView(row, await rollouts.rolloutAudit(id)));
    },
  );
  app.get(
    "/api/rollouts/:id/targets",
    describe("Lists where a rollout's targets stand", schemas.TargetsSchema),
    check("query", schemas.TargetsQuerySchema),
    async (c) => {
      const { after, state, limit } = c.req.valid("query");
      const rows = await rollouts.targets({
        rolloutId: idOf(c),
        afterActionId: after,
        ...(state === undefined ? {} : { state }),
        limit,
      });
      return answer(c, rows.map(targetView));
    },
  );
  app.post(
    "/api/rollouts/:id/roll-back",
    describe("Ends a rollout and brings its boxes back", schemas.RollBackSchema),
    async (c) => {
      const back = await updates.rollBack(idOf(c), c.get("session").username);
      if (typeof back === "string") return apiError(c, 409, "conflict", back);
      const view = { rollouts: back.rollouts.map((row) => rolloutView(row)), left: back.left };
      return answer(c, view);
    },
  );
  for (const verb of VERBS) {
    app.post(
      `/api/rollouts/:id/${verb}`,
      describe(`Rollout: ${verb}`, schemas.RolloutSchema),
      async (c) => {
        const moved = await updates.step(idOf(c), verb, c.get("session").username);
        if (typeof moved === "string") return apiError(c, 409, "conflict", moved);
        return answer(c, rolloutView(moved));
      },
    );
  }
}

function idOf(c: Context): number {
  const text = c.req.param("id") ?? "";
  if (!/^\d{1,15}$/.test(text)) throw new DistrictError("not-found", "a rollout has a number");
  return Number(text);
}

function releaseView({ path, kind, version, bytes, sha256, addedMs }: ReleaseRow): ReleaseView {
  return { path, kind, version, bytes, sha256, addedMs };
}

function controllerView({ id, addedMs, labels, attributes }: ControllerRow): ControllerView {
  return { id, addedMs, labels, attributes };
}

function targetView(row: TargetRow): TargetView {
  const { rolloutId: _, ...view } = row;
  return view;
}

function rolloutView(row: RolloutRow, audit?: readonly RolloutAuditRow[]): RolloutView {
  const { id, name, releasePath, createdMs, rollout } = row;
  const { status, createdBy, groups, counts, window, standing, silentAfterHours } = rollout;
  return {
    id,
    name,
    release: releasePath,
    createdBy,
    createdMs,
    status: status.at,
    ...(status.at === "running" || status.at === "paused" ? { group: status.group } : {}),
    ...(status.at === "paused" ? { pausedBy: status.reason } : {}),
    groups: groups.map((plan, index) => ({
      ...{ ...plan, ...counts[index]! },
      ...(index === standing?.group ? { joined: true } : {}),
    })),
    ...(window === undefined ? {} : { window }),
    ...(standing === undefined ? {} : { standing: true }),
    ...(silentAfterHours === undefined ? {} : { silentAfterHours }),
    ...(audit === undefined ? {} : { audit }),
  };
}
