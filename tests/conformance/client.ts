/**
 * The box's TUF client behind the command line of the public suite `tuf-conformance`, so that anyone
 * who has the suite can run it: see README.md. The code that decides is the box's own (`ota/trust`,
 * `ota/fetch`); this only brings its store into the form that the suite looks at.
 *
 *     client --metadata-dir DIR init ROOT
 *     client --metadata-dir DIR --metadata-url URL refresh
 *     client --metadata-dir DIR --metadata-url URL --target-name T --target-base-url URL --target-dir DIR download
 *
 * Exit codes: 0 done, 1 refused or failed, 2 bad usage.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { processClock } from "../../hal/linux/mod.ts";
import { download } from "../../ota/fetch/mod.ts";
import { type RepositorySource, TimeFloor, UpdateTrust } from "../../ota/trust/mod.ts";

/** The box's own store, out of the suite's sight. */
const STORE = ".gatehouse";
const clock = processClock();
const never = new AbortController().signal;

/** The repository's two bases as the one source that a box has. */
function source(metadataUrl: string, targetsUrl: string): RepositorySource {
  const urlOf = (path: string) =>
    path.startsWith("metadata/")
      ? `${metadataUrl.replace(/\/$/, "")}/${path.slice("metadata/".length)}`
      : `${targetsUrl.replace(/\/$/, "")}/${path.slice("targets/".length)}`;
  return {
    async get(path, signal, fromByte = 0) {
      const headers: HeadersInit = fromByte === 0 ? {} : { range: `bytes=${fromByte}-` };
      const { status, body } = await fetch(urlOf(path), { signal, headers, redirect: "error" });
      return { status, body };
    },
  };
}

/** Puts what is trusted now where the suite looks for it, under its plain names. */
function show(metadataDir: string): void {
  const trust = join(metadataDir, STORE, "trust");
  const current = join(trust, Deno.readTextFileSync(join(trust, "current")));
  for (const { name } of Deno.readDirSync(current)) {
    if (name.endsWith(".json")) Deno.copyFileSync(join(current, name), join(metadataDir, name));
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      "metadata-dir": { type: "string" },
      "metadata-url": { type: "string" },
      "target-name": { type: "string" },
      "target-base-url": { type: "string" },
      "target-dir": { type: "string" },
    },
  });
  const [command, root] = positionals;
  const dir = values["metadata-dir"];
  if (dir === undefined) return 2;
  const store = join(dir, STORE);
  if (command === "init" && root !== undefined) {
    Deno.mkdirSync(store, { recursive: true });
    Deno.copyFileSync(root, join(store, "shipped.json"));
    Deno.copyFileSync(root, join(dir, "root.json"));
    return 0;
  }
  const url = values["metadata-url"];
  if (url === undefined || (command !== "refresh" && command !== "download")) return 2;
  const from = source(url, values["target-base-url"] ?? "");
  const trust = new UpdateTrust({
    dir: join(store, "trust"),
    root: Deno.readFileSync(join(store, "shipped.json")),
    source: from,
    clock,
    floor: new TimeFloor(join(store, "floor"), 0, clock),
  });
  try {
    if (command === "refresh") {
      await trust.look(never, () => Promise.resolve());
      return 0;
    }
    const { "target-name": name, "target-dir": folder } = values;
    if (name === undefined || folder === undefined) return 2;
    return await trust.look(never, async (view) => {
      const target = await view.target(name);
      if (target === undefined) throw new Error(`${name} is not in the repository`);
      const file = join(store, encodeURIComponent(name));
      await download(target, { source: from, clock, file }, never);
      Deno.copyFileSync(file, join(folder, encodeURIComponent(name)));
      return 0;
    });
  } catch (error) {
    console.error(`client: ${(error as Error).message}`);
    return 1;
  } finally {
    show(dir);
  }
}

Deno.exit(await main());
