import { deepEqual, equal, ok } from "node:assert/strict";
import { dirname, join } from "node:path";
import { exists, projectFiles, ROOT } from "./copy.ts";

const pages = (await projectFiles()).filter((path) => path.endsWith(".md"));
const text = (path: string) => Deno.readTextFile(join(ROOT, path));

Deno.test("every link of the documentation leads to a file", async () => {
  ok(pages.length > 10);
  const broken: string[] = [];
  for (const page of pages) {
    for (const [, link] of (await text(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^(https?:|#|mailto:)/.test(link!)) continue;
      const target = join(ROOT, dirname(page), link!.replace(/#.*$/, ""));
      if (!exists(target)) broken.push(`${page}: ${link}`);
    }
  }
  deepEqual(broken, []);
});

Deno.test("decisions are numbered once, and no page names this machine's folders", async () => {
  const numbers = pages.map((path) => /^docs\/adr\/(\d{4})-/.exec(path)?.[1]).filter(Boolean);
  equal(new Set(numbers).size, numbers.length);
  const here = ROOT.replace(/\/$/, "");
  for (const page of pages) ok(!(await text(page)).includes(here), page);
});

Deno.test("both READMEs name the two commands and every commands page names every command", async () => {
  for (const page of ["README.md", "README.zh-CN.md"]) {
    const first = (await text(page)).split("\n").slice(0, 40).join("\n");
    ok(first.includes("./gatehouse demo") && first.includes("./gatehouse test"), page);
  }
  const cli = await text("docs/reference/cli.md");
  const launcher = await text("gatehouse");
  const commands = [...launcher.matchAll(/^ {2}(\w+) {2,}\w/gm)].map(([, name]) => name!);
  ok(commands.length >= 10, commands.join());
  for (const command of commands) {
    ok(cli.includes(`\`${command}`), `docs/reference/cli.md: ${command}`);
  }
});

Deno.test("the pinned Deno is the same in launcher and decision", async () => {
  const pinned = /^DENO_VERSION=(\S+)$/m.exec(await text("gatehouse"))![1]!;
  ok((await text("docs/adr/0001-deno-pinned-from-npm.md")).includes(`Deno ${pinned}`));
  equal(Deno.version.deno, pinned);
});
