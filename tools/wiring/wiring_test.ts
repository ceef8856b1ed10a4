import assert from "node:assert/strict";
import { drawings, FOLDER } from "./main.ts";

Deno.test("the diagrams in docs/installer are those of their source", () => {
  const drawn = drawings();
  const kept = [...Deno.readDirSync(FOLDER)].map((entry) => entry.name).sort();
  assert.deepEqual(kept, [...drawn.keys()].sort());
  for (const [name, svg] of drawn) {
    const current = Deno.readTextFileSync(new URL(name, FOLDER)) === svg;
    assert.ok(current, `${name}: run deno run -A tools/wiring/main.ts`);
  }
});

Deno.test("both languages draw the same things, and nothing leaves the picture", () => {
  const drawn = drawings();
  for (const [name, svg] of drawn) {
    const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number);
    for (
      const [, x, y] of svg.matchAll(
        /<(?:text|circle)[^>]*?\bc?x="([\d.-]+)"[^>]*?\bc?y="([\d.-]+)"/g,
      )
    ) {
      assert.ok(Number(x) >= 0 && Number(x) <= width!, `${name}: x ${x}`);
      assert.ok(Number(y) >= 0 && Number(y) <= height!, `${name}: y ${y}`);
    }
    const other = drawn.get(name.replace(".zh.", ".en."))!;
    const shapes = (text: string) => text.match(/<(?:path|rect|circle)/g)!.length;
    assert.equal(shapes(svg), shapes(other), name);
  }
});
