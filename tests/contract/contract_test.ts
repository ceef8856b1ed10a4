/**
 * Every driver of the registry against the contract that all of them keep. A new driver needs no edit
 * here: it brings `testdata/example.json` and its page.
 *
 * @module
 */
import assert from "node:assert/strict";
import { DRIVERS } from "../../drivers/registry.ts";
import type { AnyDriver } from "../../runtime/config/mod.ts";
import { CHECKS } from "./checks.ts";
import { examplesOf } from "./example.ts";

const LISTS = {
  "card-reader": "readers",
  "input": "inputs",
  "output": "outputs",
  "sensor": "sensors",
  "expander": "expanders",
  "patrol-baton": "batons",
} as const;

const read = (path: string) => Deno.readTextFileSync(new URL(`../../${path}`, import.meta.url));

for (const driver of DRIVERS as readonly AnyDriver[]) {
  const { kind, id } = driver;
  Deno.test(`${kind}/${id}: has an example, a page with its reference, and a published schema`, () => {
    const first = examplesOf(kind, id).find(({ name }) => name === "example.json");
    assert.equal(first?.only, undefined, "example.json must stand every check");
    let page = "";
    try {
      page = read(`docs/drivers/${id}.md`);
    } catch {
      assert.fail(
        `docs/drivers/${id}.md is missing: what it is, box.yaml, wiring, limits, datasheet`,
      );
    }
    assert.ok(
      page.includes(driver.reference),
      `docs/drivers/${id}.md must name the driver's reference word for word: ${driver.reference}`,
    );
    const schema = JSON.parse(read("docs/reference/box.schema.json"));
    const items: { properties: { driver: { const: string } } }[] =
      schema.properties[LISTS[kind]].items.anyOf;
    assert.ok(
      items.some(({ properties }) => properties.driver.const === id),
      "its options are not published; run: ./gatehouse check --schema > docs/reference/box.schema.json",
    );
  });

  let examples: ReturnType<typeof examplesOf> = [];
  try {
    examples = examplesOf(kind, id);
  } catch {
    // The test above says what is missing.
  }
  for (const example of examples) {
    for (const { name, fits, run } of CHECKS) {
      if (fits?.(driver, example) === false) continue;
      Deno.test(`${kind}/${id} ${example.name}: ${name}`, () => run(driver, example));
    }
  }
}

Deno.test("no two drivers of a kind have the same id", () => {
  const names = DRIVERS.map(({ kind, id }) => `${kind}/${id}`);
  assert.deepEqual(names, [...new Set(names)]);
});
