import { join } from "node:path";
import { run } from "./run.ts";

interface Component {
  readonly type: "library" | "application" | "operating-system";
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licenses: readonly { readonly license: { readonly name: string } }[];
}

/** Licence lines of a Debian copyright file (machine-readable copyright format 1.0). */
const LICENCE = /^License:[ \t]*(\S.*)$/gm;
/** A file without them says it in prose; where to read it is said instead. */
const IN_PROSE = "see /usr/share/doc";

/** What is in the root file system `root`: a CycloneDX 1.6 document with each part's licences. */
export async function billOfMaterials(
  root: string,
  version: string,
  epochS: number,
): Promise<string> {
  const components = [...await debianPackages(root), ...await npmPackages(root)];
  return JSON.stringify(
    {
      bomFormat: "CycloneDX",
      specVersion: "1.6",
      version: 1,
      metadata: {
        timestamp: new Date(epochS * 1_000).toISOString(),
        component: { type: "firmware", name: "gatehouse", version },
      },
      components,
    },
    null,
    1,
  ) + "\n";
}

async function debianPackages(root: string): Promise<Component[]> {
  const format = "${Package}\\t${Version}\\t${Architecture}\\n";
  const list = await run("dpkg-query", [`--admindir=${root}/var/lib/dpkg`, "-W", "-f", format]);
  return await Promise.all(
    list.trim().split("\n").map(async (line): Promise<Component> => {
      const [name, version, arch] = line.split("\t") as [string, string, string];
      const licences = await licencesOf(join(root, "usr/share/doc", name, "copyright"));
      return {
        type: "library",
        name,
        version,
        purl: `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${arch}`,
        licenses: licences.map((licence) => ({ license: { name: licence } })),
      };
    }),
  );
}

async function licencesOf(path: string): Promise<string[]> {
  try {
    const text = await Deno.readTextFile(path);
    const found = [...text.matchAll(LICENCE)].map(([, name]) => name!.trim());
    return found.length > 0 ? [...new Set(found)].sort() : [IN_PROSE];
  } catch {
    return [IN_PROSE];
  }
}

/** Packages below `node_modules/.deno`, where Deno keeps each once. */
async function npmPackages(root: string): Promise<Component[]> {
  const store = join(root, "usr/lib/gatehouse/node_modules/.deno");
  const found = new Map<string, Component>();
  for await (const { name: folder, isDirectory } of Deno.readDir(store)) {
    if (!isDirectory || folder === "node_modules") continue;
    const at = folder.lastIndexOf("@");
    const name = folder.slice(0, at).replace("+", "/");
    const path = join(store, folder, "node_modules", name, "package.json");
    const { version, license } = JSON.parse(await Deno.readTextFile(path));
    found.set(`${name}@${version}`, {
      type: "library",
      name,
      version,
      purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
      licenses: [{ license: { name: typeof license === "string" ? license : IN_PROSE } }],
    });
  }
  return [...found.keys()].sort().map((key) => found.get(key)!);
}
