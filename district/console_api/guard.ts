import type { Context, MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import type { CurrentSession, Sessions } from "../auth/sessions.ts";

/** The session's cookie. `__Host-` binds it to this very host, over TLS (RFC 6265bis, 4.1.3.2). */
export const COOKIE = "__Host-gatehouse";
/** A foreign page cannot send this header without this origin's consent, which nobody gets. */
export const CSRF_HEADER = "x-gatehouse-request";

/** What handlers find beside a request. */
export interface ConsoleEnv {
  readonly Bindings: { readonly address: string };
  readonly Variables: { session: CurrentSession };
}

/** An error's answer. */
export function apiError(
  c: Context,
  status: 400 | 401 | 403 | 404 | 408 | 409 | 413 | 415 | 422 | 429 | 500 | 503,
  code: string,
  message: string,
): Response {
  return c.json({ error: { code, message } }, status, { "cache-control": "no-store" });
}

function changes(method: string): boolean {
  return method !== "GET" && method !== "HEAD";
}

/** Whether a browser says that another site's page makes this request. */
function isForeign(c: Context): boolean {
  const site = c.req.header("sec-fetch-site");
  if (site !== undefined && site !== "same-origin" && site !== "none") return true;
  const origin = c.req.header("origin");
  if (origin === undefined) return false;
  // A proxy may end TLS: the host counts, not the scheme.
  try {
    return new URL(origin).host !== new URL(c.req.url).host;
  } catch {
    return true;
  }
}

/** Refuses what a foreign page sends: by its origin, and for want of the header where a session counts. */
export function refuseForeign(loginPath: string): MiddlewareHandler<ConsoleEnv> {
  return async (c, next) => {
    if (changes(c.req.method)) {
      const isLogin = c.req.method === "POST" && c.req.path === loginPath;
      if (isForeign(c) || (!isLogin && c.req.header(CSRF_HEADER) !== "1")) {
        return apiError(c, 403, "foreign", `calls that change something need ${CSRF_HEADER}: 1`);
      }
    }
    await next();
  };
}

/** Lets only those who are logged in pass. */
export function requireSession(sessions: Sessions): MiddlewareHandler<ConsoleEnv> {
  return async (c, next) => {
    const session = await sessions.current(getCookie(c, COOKIE));
    if (session === undefined) return apiError(c, 401, "unauthenticated", "log in first");
    c.set("session", session);
    await next();
  };
}

/** Headers of every answer to a browser. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=()",
  // Ant Design writes its styles into the page; scripts come from files alone.
  "content-security-policy":
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; object-src 'none'; " +
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
};
