import { equal } from "node:assert/strict";
import { run } from "./copy.ts";

/** What `deno task ok` checks besides unit tests, which are a group of their own. */
const STEPS: Readonly<Record<string, readonly string[]>> = {
  "every file is formatted": ["fmt", "--check"],
  "lint finds nothing": ["task", "--quiet", "lint"],
  "types are right": ["task", "--quiet", "check"],
  "no promise floats": ["task", "--quiet", "lint:types"],
  "every export is documented": ["task", "--quiet", "lint:docs"],
};

for (const [name, args] of Object.entries(STEPS)) {
  Deno.test(name, async () => {
    const ran = await run([Deno.execPath(), ...args], {});
    equal(ran.code, 0, ran.text);
  });
}
