import { languageAsked, type PageFacts, statusPage } from "./page.ts";
import type { BoxState } from "./state.ts";

const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "content-security-policy":
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};
const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/i;

/**
 * Answers a request for the page: `GET /` under the box's own name or address. A foreign page that has
 * its name point here learns nothing.
 */
export async function answerStatus(
  request: Request,
  state: BoxState,
  facts: PageFacts,
): Promise<Response> {
  await request.body?.cancel();
  const { pathname, hostname } = new URL(request.url);
  const names = [facts.name, `${facts.name}.local`, "localhost"];
  if (!names.includes(hostname) && !ADDRESS.test(hostname)) {
    return new Response("this is another machine\n", { status: 421 });
  }
  if (!["GET", "HEAD"].includes(request.method)) return new Response(null, { status: 405 });
  if (pathname !== "/") return new Response("there is only /\n", { status: 404 });
  const page = statusPage(state, facts, languageAsked(request.headers.get("accept-language")));
  return new Response(request.method === "HEAD" ? null : page, { headers: HEADERS });
}
