import { type Context, Hono } from "hono";
import { deleteCookie, setCookie } from "hono/cookie";
import { describeRoute, openAPIRouteHandler } from "hono-openapi";
import type { Clock } from "../../hal/mod.ts";
import type { Sessions } from "../auth/sessions.ts";
import { BodyError, readBody } from "../body.ts";
import type { Core } from "../core.ts";
import { DistrictError } from "../errors.ts";
import type { LiveHub } from "../live/hub.ts";
import { faultFields, type Log } from "../log.ts";
import type { UpdateRepository } from "../rollouts/repository.ts";
import type { Updates } from "../rollouts/updates.ts";
import { IMPORT_BYTES_MAX } from "../people/read.ts";
import type { DistrictStore } from "../store/contract.ts";
import { apiError, type ConsoleEnv, COOKIE, refuseForeign, requireSession } from "./guard.ts";
import { liveOwner, liveResponse } from "./live.ts";
import { answer, check, describe, json } from "./route.ts";
import * as schemas from "./schemas.ts";
import { updateRoutes } from "./updates.ts";
import { eventViews } from "./views.ts";

/** What the console's side of a district needs. */
export interface ConsoleApiHost {
  readonly store: DistrictStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly core: Core;
  readonly hub: LiveHub;
  readonly sessions: Sessions;
  readonly updates: Updates;
  readonly repository: UpdateRepository;
  readonly districtName: string;
  readonly version: string;
}

/** Settings with a thousand schedules fit; everything else is far smaller. */
const JSON_BYTES_MAX = 1 << 20;
const BODY_TIMEOUT_MS = 15_000;
/** 32 MiB over 3 Mbit/s. */
const IMPORT_TIMEOUT_MS = 90_000;
const LOGIN_PATH = "/api/session";

/** The routes of `district/api/types.ts`. */
export function consoleApi(host: ConsoleApiHost): Hono<ConsoleEnv> {
  const { store, clock, core, hub, sessions, districtName, log } = host;
  const app = new Hono<ConsoleEnv>();
  app.onError((error, c) => failed(c, error, log));
  app.notFound((c) => apiError(c, 404, "not-found", `there is no ${c.req.method} ${c.req.path}`));
  app.use(refuseForeign(LOGIN_PATH));
  app.use(boundJson(clock));

  app.post(
    "/api/session",
    describe("Logs in", schemas.SessionSchema),
    check("json", schemas.LoginSchema),
    async (c) => {
      const { username, password } = c.req.valid("json");
      const outcome = await sessions.login(username, password, c.env.address);
      if (outcome.kind === "limited") {
        c.header("retry-after", String(Math.ceil(outcome.waitMs / 1000)));
        return apiError(c, 429, "rate-limited", "too many attempts; wait a few minutes");
      }
      if (outcome.kind === "wrong") {
        log.warn("log-in refused", { address: c.env.address });
        await core.audit("", "login.refused", `${username} from ${c.env.address}`);
        return apiError(c, 401, "unauthenticated", "wrong name or password");
      }
      await core.audit(username, "login", `from ${c.env.address}`);
      setCookie(c, COOKIE, outcome.token, {
        path: "/",
        httpOnly: true,
        secure: true,
        sameSite: "Strict",
      });
      return answer(c, { username, districtName });
    },
  );
  app.get(
    "/api/openapi.json",
    openAPIRouteHandler(app, {
      documentation: {
        info: { title: "Gatehouse district", version: host.version },
        components: {
          securitySchemes: { session: { type: "apiKey", in: "cookie", name: COOKIE } },
        },
        security: [{ session: [] }],
      },
    }),
  );
  app.use("/api/*", requireSession(sessions));

  app.get(
    "/api/session",
    describe("Says who is logged in", schemas.SessionSchema),
    (c) => answer(c, { username: c.get("session").username, districtName }),
  );
  app.delete("/api/session", describe("Logs out", undefined, 204), async (c) => {
    await sessions.logout(c.get("session"));
    hub.end(liveOwner(c.get("session")));
    deleteCookie(c, COOKIE, { path: "/", secure: true });
    return c.body(null, 204);
  });
  app.get(
    "/api/boxes",
    describe("Lists boxes", schemas.BoxesSchema),
    async (c) => answer(c, await core.boxes()),
  );
  app.post(
    "/api/enrolment-tokens",
    describe("Makes a one-time token for a box", schemas.TokenSchema),
    async (c) => {
      const { token, expiresMs } = await core.createToken(c.get("session").username);
      const { origin } = new URL(c.req.url);
      const command = `./gatehouse enrol --district ${origin} --token ${token}`;
      return answer(c, { token, expiresMs, command });
    },
  );
  app.post(
    "/api/boxes/:boxId/commands",
    describe("Commands a box", schemas.CommandSchema, 202),
    check("json", schemas.CommandRequestSchema),
    async (c) => {
      const { command, lifeMs } = c.req.valid("json");
      const { username } = c.get("session");
      return answer(c, await core.issue(c.req.param("boxId"), command, username, lifeMs), 202);
    },
  );
  app.get(
    "/api/commands/:id",
    describe("Shows a command", schemas.CommandSchema),
    async (c) => answer(c, await core.command(c.req.param("id"))),
  );
  app.get(
    "/api/events",
    describe("Lists events, newest first", schemas.EventsSchema),
    check("query", schemas.EventsQuerySchema),
    async (c) => {
      const { box, lane, beforeId, limit } = c.req.valid("query");
      const rows = await store.events({
        ...(box === undefined ? {} : { boxId: box }),
        ...(lane === undefined ? {} : { lane }),
        ...(beforeId === undefined ? {} : { beforeId }),
        limit,
      });
      return answer(c, await eventViews(rows, store, await core.boxNames()));
    },
  );
  app.get("/api/live", describe("Streams what happens (server-sent events)"), (c) => {
    const response = liveResponse(hub, sessions, c.get("session"), clock);
    return response ?? apiError(c, 503, "busy", "too many consoles are open");
  });
  app.get(
    "/api/cardholders",
    describe("Lists cardholders", schemas.CardholderPageSchema),
    check("query", schemas.CardholdersQuerySchema),
    async (c) => answer(c, await store.cardholders(c.req.valid("query"))),
  );
  app.post(
    "/api/cardholders/import",
    describeRoute({
      summary: "Imports cardholders from CSV, whole or not at all",
      requestBody: { content: { "text/csv": { schema: { type: "string" } } } },
      responses: {
        200: { description: "Imported", content: json(schemas.ImportReportSchema) },
        422: { description: "All faults", content: json(schemas.ImportReportSchema) },
      },
    }),
    check("query", schemas.ImportQuerySchema),
    async (c) => {
      if (!/^text\/csv\b/.test(c.req.header("content-type") ?? "")) {
        return apiError(c, 415, "invalid", "send content-type: text/csv");
      }
      const { dryRun } = c.req.valid("query");
      const limit = { bytesMax: IMPORT_BYTES_MAX, timeoutMs: IMPORT_TIMEOUT_MS };
      const csv = await readBody(c.req.raw, limit, clock);
      const isDry = dryRun === "true" || dryRun === "1";
      const report = await core.importCardholders(csv, isDry, c.get("session").username);
      return answer(c, report, report.faults.length > 0 ? 422 : 200);
    },
  );
  app.get(
    "/api/policy",
    describe("Shows the policy's settings", schemas.SettingsSchema),
    async (c) => answer(c, await store.settings()),
  );
  app.put(
    "/api/policy",
    describe("Replaces the policy's settings", schemas.SettingsSchema),
    check("json", schemas.SettingsSchema, 422),
    async (c) => answer(c, await core.putSettings(c.req.valid("json"), c.get("session").username)),
  );
  updateRoutes(app, host);
  return app;
}

/** Reads JSON bodies with a bound on size and time, before anything else touches them. */
function boundJson(clock: Clock) {
  return async (c: Context<ConsoleEnv>, next: () => Promise<void>) => {
    const { method } = c.req;
    if (method === "GET" || method === "HEAD" || c.req.path === "/api/cardholders/import") {
      return await next();
    }
    const body = await readBody(
      c.req.raw,
      { bytesMax: JSON_BYTES_MAX, timeoutMs: BODY_TIMEOUT_MS },
      clock,
    );
    if (body.length > 0 && !/^application\/json\b/.test(c.req.header("content-type") ?? "")) {
      return apiError(c, 415, "invalid", "send content-type: application/json");
    }
    const { url, headers } = c.req.raw;
    c.req.raw = new Request(url, { method, headers, ...(body.length > 0 ? { body } : {}) });
    await next();
  };
}

function failed(c: Context, error: Error, log: Log): Response {
  if (error instanceof BodyError) {
    return apiError(c, error.kind === "too-large" ? 413 : 408, "invalid", error.message);
  }
  if (error instanceof DistrictError) {
    switch (error.kind) {
      case "invalid":
        return apiError(c, 422, "invalid", error.message);
      case "not-found":
        return apiError(c, 404, "not-found", error.message);
      case "busy":
        c.header("retry-after", "5");
        return apiError(c, 503, "busy", error.message);
      case "data":
      case "store":
        break;
      default:
        error.kind satisfies never;
    }
  } else if ("getResponse" in error && "status" in error && error.status === 400) {
    return apiError(c, 400, "invalid", "the body is no JSON");
  }
  log.error("a request failed", { path: c.req.path, ...faultFields(error) });
  return apiError(c, 500, "internal", "the district failed; its log says why");
}
