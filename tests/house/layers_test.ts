import { equal, match, ok } from "node:assert/strict";
import { join } from "node:path";
import { LAYERS } from "../../tools/lint/layers.ts";
import { copyOfTree, ROOT, run } from "./copy.ts";

/** Commands of `deno task ok` that the faults below must fail, run as that task runs them. */
const LINT = [Deno.execPath(), "task", "--quiet", "lint"];
const LINT_TYPES = [Deno.execPath(), "task", "--quiet", "lint:types"];

const FAULTS: readonly { name: string; path: string; text: string; rule: RegExp }[] = [
  {
    name: "an import from drivers to runtime",
    path: "drivers/planted.ts",
    text:
      `import { decide } from "../runtime/policy/mod.ts";\n/** Planted. */\nexport const planted: unknown = decide;\n`,
    rule: /gatehouse\/layers[^]*drivers may not import runtime/,
  },
  {
    name: "a re-export from runtime to district",
    path: "runtime/planted.ts",
    text: `export type * from "../district/api/types.ts";\n`,
    rule: /gatehouse\/layers[^]*runtime may not import district api/,
  },
  {
    name: "a dynamic import from drivers to hal/linux",
    path: "drivers/planted.ts",
    text:
      `/** Planted. */\nexport const planted: Promise<unknown> = import("../hal/linux/mod.ts");\n`,
    rule: /gatehouse\/layers[^]*drivers may not import hal\/linux/,
  },
  {
    name: "a worker of another layer",
    path: "sync/planted.ts",
    text:
      `/** Planted. */\nexport const planted: Worker = new Worker(new URL("../runtime/policy/worker.ts", import.meta.url));\n`,
    rule: /gatehouse\/layers[^]*sync may not import runtime/,
  },
  {
    name: "Date.now",
    path: "runtime/planted.ts",
    text: `/** Planted. */\nexport const planted: number = Date.now();\n`,
    rule: /gatehouse\/clock-only-in-hal/,
  },
  {
    name: "a bare timer",
    path: "sync/planted.ts",
    text: `/** Planted. */\nexport const planted: unknown = globalThis.setTimeout(() => {}, 1);\n`,
    rule: /gatehouse\/clock-only-in-hal/,
  },
  {
    name: "new Date()",
    path: "district/planted.ts",
    text: `/** Planted. */\nexport const planted: Date = new Date();\n`,
    rule: /gatehouse\/clock-only-in-hal/,
  },
  {
    name: "a system call",
    path: "runtime/planted.ts",
    text: `/** Planted. */\nexport const planted: unknown = Deno.dlopen("libc.so.6", {});\n`,
    rule: /gatehouse\/os-only-in-hal/,
  },
  {
    name: "a default export",
    path: "hal/planted.ts",
    text: `/** Planted. */\nexport default class Planted {}\n`,
    rule: /gatehouse\/no-default-export/,
  },
];

Deno.test("the tree as it is passes the lint step", async () => {
  using copy = await copyOfTree();
  const ran = await run(LINT, { cwd: copy.path });
  equal(ran.code, 0, ran.text);
});

for (const fault of FAULTS) {
  Deno.test(`${fault.name} fails the lint step, by its rule's name`, async () => {
    using copy = await copyOfTree();
    await Deno.writeTextFile(join(copy.path, fault.path), fault.text);
    const ran = await run(LINT, { cwd: copy.path });
    equal(ran.code, 1, ran.text);
    match(ran.text, fault.rule);
    match(ran.text, new RegExp(fault.path.replace(".", "\\.")));
  });
}

Deno.test("a floating promise, its function imported through a door, fails the typed lint", async () => {
  using copy = await copyOfTree();
  await Deno.symlink(join(ROOT, "node_modules"), join(copy.path, "node_modules"));
  const clean = await run(LINT_TYPES, { cwd: copy.path });
  equal(clean.code, 0, clean.text);
  await Deno.mkdir(join(copy.path, "runtime/planted"));
  await Deno.writeTextFile(
    join(copy.path, "runtime/planted/later.ts"),
    `/** Planted. */\nexport async function later(): Promise<number> {\n  return await Promise.resolve(1);\n}\n`,
  );
  await Deno.writeTextFile(
    join(copy.path, "runtime/planted/mod.ts"),
    `export * from "./later.ts";\n`,
  );
  await Deno.writeTextFile(
    join(copy.path, "runtime/planted_use.ts"),
    `import { later } from "./planted/mod.ts";\n/** Planted. */\nexport function planted(): void {\n  later();\n}\n`,
  );
  const ran = await run(LINT_TYPES, { cwd: copy.path });
  equal(ran.code, 1, ran.text);
  match(ran.text, /planted_use\.ts:4[^]*noFloatingPromises/);
});

Deno.test("deno task ok runs every check, one after the other", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const steps = tasks.ok.command.split(" && ");
  for (
    const step of ["deno fmt --check", "deno task lint", "deno task check", "deno task lint:types"]
  ) {
    ok(steps.includes(step), step);
  }
  ok(steps.includes("deno task lint:docs") && steps.includes("deno task unit"));
});

Deno.test("docs/architecture.md shows the table that the rule enforces", async () => {
  const page = await Deno.readTextFile(join(ROOT, "docs/architecture.md"));
  for (const layer of LAYERS.filter((layer) => layer.name !== "project")) {
    const may = layer.mayImport[0] === "*" ? ["everything"] : [
      ...layer.mayImport.filter((name) => name !== "project"),
      ...(layer.typesOnly ?? []).map((name) => `types of ${name}`),
    ];
    const row = `| ${layer.name} | ${layer.paths.map((path) => `\`${path}\``).join(", ")} | ${
      may.join(", ") || "nothing"
    } |`;
    ok(page.includes(row), `docs/architecture.md lacks the row\n${row}`);
  }
});
