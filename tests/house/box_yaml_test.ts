import assert from "node:assert/strict";
import { DRIVERS } from "../../drivers/registry.ts";
import { boxJsonSchema } from "../../runtime/config/json_schema.ts";
import { parseBoxConfig } from "../../runtime/config/mod.ts";
import { parsePolicy } from "../../sync/wire/mod.ts";
import { parse as parseYaml } from "yaml";

const reference = (name: string) =>
  Deno.readTextFileSync(new URL(`../../docs/reference/${name}`, import.meta.url));

/** The first YAML block of a page. */
function yamlOf(page: string): string {
  const block = /```yaml\n([\s\S]*?)```/.exec(reference(page))?.[1];
  assert.ok(block, `${page} has a YAML block`);
  return block;
}

Deno.test("the published JSON Schema is the one that the box reads by", () => {
  assert.deepEqual(
    JSON.parse(reference("box.schema.json")),
    JSON.parse(JSON.stringify(boxJsonSchema(DRIVERS))),
    "run: ./gatehouse check --schema > docs/reference/box.schema.json",
  );
});

Deno.test("the box.yaml of the reference is good", () => {
  const config = parseBoxConfig(yamlOf("box-yaml.md"), "box-yaml.md", DRIVERS);
  assert.equal(config.readers.length, 2);
  assert.equal(config.doors[0]!.requestToExit, "exit-button");
});

Deno.test("the policy of the reference is good", () => {
  assert.equal(parsePolicy(parseYaml(yamlOf("policy.md"))).credentials.length, 2);
});

Deno.test("the examples are good", () => {
  const folder = new URL("../../docs/examples/", import.meta.url);
  const names = Array.from(Deno.readDirSync(folder), (entry) => entry.name).sort();
  assert.deepEqual(names, ["box-gate.yaml", "box-simulated.yaml", "policy.yaml"]);
  for (const name of names) {
    const text = Deno.readTextFileSync(new URL(name, folder));
    if (name.startsWith("box")) assert.ok(parseBoxConfig(text, name, DRIVERS).doors.length > 0);
    else assert.ok(parsePolicy(parseYaml(text)).credentials.length > 0);
  }
});
