/**
 * The layer table as data: which folder may import which. `docs/architecture.md` shows the same
 * table to people, and `tests/house/layers_test.ts` keeps the two alike.
 *
 * @module
 */

/** A part of the tree with its own rule. */
export interface Layer {
  /** What the table and messages call it. */
  readonly name: string;
  /** Paths from the root: a folder ends in `/`, anything else is one file. The longest match wins. */
  readonly paths: readonly string[];
  /** Layers it may import besides itself. */
  readonly mayImport: readonly string[];
  /** Layers of which it may import types only: nothing of them is in the running program. */
  readonly typesOnly?: readonly string[];
  /** Layers that its tests, `*_test.ts`, may import as well. */
  readonly testsMayImport?: readonly string[];
}

/** Where no path of the table matches; such a file may import nothing of the project. */
export const UNKNOWN_LAYER: Layer = { name: "unknown", paths: [], mayImport: [] };

const EVERYTHING = ["*"] as const;
/** Hosts that tests beside the code may stand on, in whatever layer. */
const TEST_HOSTS = ["hal", "hal/linux", "hal/sim"] as const;

/** Every layer. What is not listed here is forbidden. */
export const LAYERS: readonly Layer[] = [
  { name: "hal", paths: ["hal/"], mayImport: [] },
  { name: "hal/linux", paths: ["hal/linux/"], mayImport: ["hal"] },
  { name: "hal/sim", paths: ["hal/sim/"], mayImport: ["hal"] },
  { name: "drivers/contract", paths: ["drivers/contract.ts"], mayImport: ["hal"] },
  { name: "drivers", paths: ["drivers/"], mayImport: ["hal", "drivers/contract"] },
  { name: "sync/wire", paths: ["sync/wire/"], mayImport: ["hal"] },
  {
    name: "journal contract",
    paths: ["runtime/journal/contract.ts"],
    mayImport: ["hal", "sync/wire"],
  },
  { name: "setup", paths: ["runtime/setup/"], mayImport: [] },
  { name: "firmware order", paths: ["ota/firmware/order.ts"], mayImport: ["hal"] },
  {
    name: "runtime",
    paths: ["runtime/"],
    mayImport: [
      "hal",
      "drivers/contract",
      "sync/wire",
      "journal contract",
      "firmware order",
      "project",
    ],
  },
  {
    name: "sync",
    paths: ["sync/"],
    mayImport: ["hal", "sync/wire"],
    typesOnly: ["journal contract"],
    testsMayImport: ["runtime"],
  },
  { name: "ota manifest", paths: ["ota/manifest/"], mayImport: ["sync/wire"] },
  { name: "ota repository", paths: ["ota/repository/"], mayImport: ["hal"] },
  {
    name: "ota",
    paths: ["ota/"],
    mayImport: ["hal", "sync/wire", "ota manifest", "ota repository", "firmware order"],
  },
  {
    name: "district api",
    paths: ["district/api/types.ts"],
    mayImport: [],
    typesOnly: ["sync/wire"],
  },
  {
    name: "district",
    paths: ["district/"],
    mayImport: ["hal", "sync/wire", "ota repository", "district api", "project"],
    typesOnly: ["ota manifest"],
  },
  { name: "web", paths: ["web/"], mayImport: [], typesOnly: ["district api"] },
  {
    name: "box program",
    paths: ["runtime/main.ts", "runtime/cli/"],
    mayImport: [
      "hal",
      "hal/linux",
      "hal/sim",
      "drivers/contract",
      "drivers",
      "sync/wire",
      "journal contract",
      "setup",
      "runtime",
      "sync",
      "ota",
      "command line",
      "project",
    ],
  },
  {
    name: "district program",
    paths: ["district/main.ts", "district/cli/"],
    mayImport: [
      "hal",
      "hal/linux",
      "sync/wire",
      "ota repository",
      "ota",
      "district api",
      "district",
      "command line",
      "project",
    ],
  },
  {
    name: "ota program",
    paths: ["ota/main.ts", "ota/cli/"],
    mayImport: [
      "hal",
      "hal/linux",
      "sync/wire",
      "ota manifest",
      "ota repository",
      "ota",
      "command line",
      "project",
    ],
  },
  {
    name: "images",
    paths: ["images/"],
    mayImport: ["hal", "hal/linux", "setup", "command line", "project"],
  },
  {
    name: "flash",
    paths: ["flash/"],
    mayImport: ["hal", "drivers/contract", "drivers", "setup", "runtime", "command line"],
  },
  { name: "command line", paths: ["cli/"], mayImport: [] },
  { name: "demo", paths: ["demo/"], mayImport: EVERYTHING },
  { name: "tests", paths: ["tests/"], mayImport: EVERYTHING },
  { name: "bench", paths: ["bench/"], mayImport: EVERYTHING },
  { name: "tools", paths: ["tools/"], mayImport: [] },
  { name: "project", paths: ["deno.json"], mayImport: [] },
];

/** The layer a file belongs to. `path` is relative to the root, with `/`. */
export function layerOf(path: string): Layer {
  let found = UNKNOWN_LAYER;
  let length = 0;
  for (const layer of LAYERS) {
    for (const prefix of layer.paths) {
      const matches = prefix.endsWith("/") ? path.startsWith(prefix) : path === prefix;
      if (matches && prefix.length > length) [found, length] = [layer, prefix.length];
    }
  }
  return found;
}

/** Whether a file is a test beside the code. */
export function isTest(path: string): boolean {
  return /(^|[/_.])test\.tsx?$/.test(path);
}

/**
 * Says what is wrong with the import of `to` in `from`, both relative to the root; `undefined` if
 * it is allowed.
 */
export function importFault(from: string, to: string, typeOnly: boolean): string | undefined {
  const [source, target] = [layerOf(from), layerOf(to)];
  if (source === target && source !== UNKNOWN_LAYER) return undefined;
  const allowed = new Set(source.mayImport);
  if (allowed.has("*") || allowed.has(target.name)) return undefined;
  if (isTest(from)) {
    for (const name of [...TEST_HOSTS, ...source.typesOnly ?? [], ...source.testsMayImport ?? []]) {
      allowed.add(name);
    }
    if (allowed.has(target.name)) return undefined;
  }
  if (source.typesOnly?.includes(target.name)) {
    if (typeOnly) return undefined;
    return `${source.name} may import types only from ${target.name} (${to})`;
  }
  const names = [...allowed, ...(source.typesOnly ?? []).map((name) => `types of ${name}`)];
  return `${source.name} may not import ${target.name} (${to}); it may import ${
    names.join(", ") || "nothing"
  }`;
}
