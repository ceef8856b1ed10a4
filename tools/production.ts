/**
 * Lays out one program as it is shipped: `deno run -A tools/production.ts ENTRY FOLDER [ARCH]`.
 *
 * The folder gets the modules that the entry point and its workers reach, the npm packages these
 * import, at the versions of `deno.lock`, the launcher, and a `deno.json` without import map: bare
 * names resolve in `node_modules`, which is laid already, so that nothing is looked up at start.
 * With `ARCH`, `x64` or `arm64`, packages with code of their own get that processor's.
 *
 * @module
 */
import { dirname, join } from "node:path";

interface ModuleInfo {
  readonly specifier: string;
  readonly dependencies?: readonly { readonly specifier: string }[];
}

const ROOT = new URL("..", import.meta.url).pathname;
const CONFIG = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));

async function deno(args: readonly string[], cwd: string): Promise<string> {
  const output = await new Deno.Command(Deno.execPath(), { args: [...args], cwd }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!output.success) throw new Error(`deno ${args.join(" ")}: ${decode(output.stderr)}`);
  return decode(output.stdout);
}

/** Local files that `entries` and their workers reach, and the bare names these import. */
async function reach(
  entries: readonly string[],
): Promise<{ files: Set<string>; names: Set<string> }> {
  const files = new Set<string>();
  const names = new Set<string>();
  const queue = [...entries];
  for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
    const info = JSON.parse(await deno(["info", "--json", "--no-remote", entry], ROOT));
    for (const module of info.modules as readonly ModuleInfo[]) {
      if (!module.specifier.startsWith(`file://${ROOT}`)) continue;
      const path = new URL(module.specifier).pathname.slice(ROOT.length);
      if (path.startsWith("node_modules/") || files.has(path)) continue;
      files.add(path);
      for (const { specifier } of module.dependencies ?? []) {
        if (!/^(\.|node:|file:)/.test(specifier)) names.add(importName(specifier));
      }
      const source = await Deno.readTextFile(ROOT + path);
      for (const [, worker] of source.matchAll(/new URL\(\s*"([^"]+\.ts)",\s*import\.meta\.url/g)) {
        queue.push(new URL(worker!, `file://${ROOT}${path}`).pathname.slice(ROOT.length));
      }
    }
  }
  return { files, names };
}

/** The line of the import map behind a specifier: `hono` for `hono/cookie`, where it has none itself. */
function importName(specifier: string): string {
  const parts = specifier.split("/");
  const name = parts.slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
  return specifier in CONFIG.imports ? specifier : name;
}

async function copy(path: string, folder: string): Promise<void> {
  await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
  await Deno.copyFile(ROOT + path, join(folder, path));
}

async function main([entry, folder, arch]: readonly string[]): Promise<number> {
  if (entry === undefined || folder === undefined || !/^(x64|arm64)?$/.test(arch ?? "")) {
    console.error("usage: deno run -A tools/production.ts ENTRY FOLDER [x64|arm64]");
    return 2;
  }
  const { files, names } = await reach([entry]);
  for (const file of [...files].filter((file) => file !== "deno.json")) await copy(file, folder);
  for (const file of ["gatehouse", "LICENSE", "deno.lock"]) await copy(file, folder);

  const imports = Object.fromEntries([...names].map((name) => [name, CONFIG.imports[name]]));
  for (const [name, target] of Object.entries(imports)) {
    if (target === undefined) throw new Error(`${name} is imported but not in deno.json`);
    // Without the import map nothing else leads from a name to its package.
    if (target.replace(/^npm:/, "").replace(/(?<=.)@[^/]*/, "") !== name) {
      throw new Error(`${name} stands for ${target}: only the package's own names can be shipped`);
    }
  }
  const write = (fields: object) =>
    Deno.writeTextFile(join(folder, "deno.json"), JSON.stringify(fields, null, 2) + "\n");
  const { version, permissions, compilerOptions, minimumDependencyAge } = CONFIG;
  await write({ version, minimumDependencyAge, nodeModulesDir: "auto", imports });
  const target = arch === undefined ? [] : ["--os", "linux", "--arch", arch];
  await deno(["install", "--quiet", ...target], folder);
  await write({ version, nodeModulesDir: "manual", compilerOptions, permissions });
  // The lock has done its work; without an import map Deno would find it out of date.
  await Deno.remove(join(folder, "deno.lock"));
  console.log(`${entry}: ${files.size} modules, ${names.size} imports of packages`);
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
