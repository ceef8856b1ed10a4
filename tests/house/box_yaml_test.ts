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
  assert.deepEqual(names, ["box-gate.yaml", "box-simulated.yaml", "box-yard.yaml", "policy.yaml"]);
  for (const name of names) {
    const text = Deno.readTextFileSync(new URL(name, folder));
    if (name.startsWith("box")) assert.ok(parseBoxConfig(text, name, DRIVERS).doors.length > 0);
    else assert.ok(parsePolicy(parseYaml(text)).credentials.length > 0);
  }
});

Deno.test("turnstiles, barriers, signals and emergencies name what there is, each output once", () => {
  const yard = Deno.readTextFileSync(new URL("../../docs/examples/box-yard.yaml", import.meta.url));
  const parse = (text: string) => parseBoxConfig(text, "box.yaml", DRIVERS);
  const fault = (from: string, to: string) => {
    assert.equal(yard.split(from).length > 1, true, from);
    try {
      parse(yard.replace(from, to));
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };
  const { doors, signals } = parse(yard);
  assert.ok(doors[0]?.kind === "turnstile" && doors[1]?.kind === "barrier");
  assert.equal(doors[1].queueMax, 1);
  assert.equal(signals[0]?.forMs, 180_000);
  assert.match(fault("loop: boom-loop", "contact: boom-loop"), /doors\.1\.loop: .*missing/);
  assert.match(fault("lower: boom-down", "lower: boom-up"), /lower: boom-up is the lock of door/);
  assert.match(fault("output: lamp", "output: horn"), /signals\.1\.output: horn is the output/);
  assert.match(fault("passageOut:", "passage:"), /doors\.0\.passage: it is for both ways/);
  assert.match(fault("pulseMs: 500", "pulseMs: 7000"), /pulseMs: expected at most holdMs, 6000/);
  assert.match(fault("queueMax: 2", "queueMax: 11"), /queueMax: expected 0 to 10/);
  assert.match(fault("[emergency, forced]", "[fire]"), /signals\.0\.on\.0: expected one of/);
  assert.match(fault("reset: panic-key", "reset: horn"), /emergency\.0\.reset: no input/);
  assert.match(fault("silence: hush", "silence: lamp"), /signals\.0\.silence: no input/);
  assert.match(fault("normally: closed", "normally: shut"), /normally: expected open or closed/);
  assert.match(fault("direction: out", "direction: up"), /direction: expected in or out/);
});
