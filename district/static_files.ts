import { join, normalize } from "node:path";
import { SECURITY_HEADERS } from "./console_api/guard.ts";

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  json: "application/json",
  svg: "image/svg+xml",
  png: "image/png",
  ico: "image/x-icon",
  webmanifest: "application/manifest+json",
  woff2: "font/woff2",
  txt: "text/plain; charset=utf-8",
};

const NOT_BUILT = `<!doctype html><meta charset="utf-8"><title>Gatehouse</title>
<h1>The console is not built</h1><p>Run <code>deno task web:build</code> in the program's folder, or start
the district with <code>./gatehouse district</code>, which builds it.</p>
<p>控制台尚未构建：请在程序目录运行 <code>deno task web:build</code>。</p>`;

/** Serves the built console from `folder`; paths without a file are the page's own routes. */
export async function serveConsole(request: Request, folder: string): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response("method not allowed", { status: 405, headers: { allow: "GET, HEAD" } });
  }
  const { pathname } = new URL(request.url);
  const path = safePath(pathname);
  const file = path === undefined ? undefined : await read(join(folder, path));
  // A file that is named but missing must not be answered with a page.
  if (file !== undefined && path !== "") return respond(request, file, path!, 200);
  if (/\.[a-z0-9]+$/i.test(pathname)) return new Response("not found", { status: 404 });
  const page = await read(join(folder, "index.html"));
  if (page !== undefined) return respond(request, page, "index.html", 200);
  return respond(request, new TextEncoder().encode(NOT_BUILT), "not-built.html", 404);
}

/** The path below the folder; `undefined` for one that tries to leave it. */
function safePath(pathname: string): string | undefined {
  let decoded: string;
  try {
    decoded = decodeURIComponent(pathname);
  } catch {
    return undefined;
  }
  if (decoded.includes("\0") || decoded.includes("\\")) return undefined;
  const path = normalize(decoded).replace(/^\/+/, "");
  return path.split("/").some((part) => part.startsWith(".")) ? undefined : path;
}

async function read(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return await Deno.readFile(path);
  } catch {
    // Missing, a folder, or not readable: all the same to a visitor.
    return undefined;
  }
}

function respond(
  request: Request,
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
  status: number,
): Response {
  // Vite puts a hash of the content into the names below assets/.
  const isHashed = path.startsWith("assets/");
  return new Response(request.method === "HEAD" ? null : bytes, {
    status,
    headers: {
      ...SECURITY_HEADERS,
      "content-type": TYPES[path.slice(path.lastIndexOf(".") + 1)] ?? "application/octet-stream",
      "cache-control": isHashed ? "public, max-age=31536000, immutable" : "no-cache",
    },
  });
}
