/**
 * Runs `deno doc --lint` on every door, contract and entry point of the project.
 *
 * Everything but one thing is an error: a field of an exported type needs a comment only where
 * its name, type and the type's own comment leave something open, which no tool can judge. A
 * compulsory "The epoch." above `epoch` would hide the comments that say something. And a type of
 * a library is no private type of ours.
 *
 * @module
 */

const ROOT = new URL("..", import.meta.url).pathname;
const FOLDERS = ["hal", "drivers", "sync", "runtime", "ota", "district", "demo", "bench", "tools"];
/** Besides each folder's `mod.ts`: what is imported by its own name, or run. */
const NAMED = /(^|\/)(mod|contract|registry|main|row|types|doc_lint|layers)\.ts$/;

function* doors(folder: string): Generator<string> {
  for (const entry of Deno.readDirSync(ROOT + folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory && entry.name !== "testdata") yield* doors(path);
    if (entry.isFile && NAMED.test(path)) yield path;
  }
}

const files = FOLDERS.filter((folder) => {
  try {
    return Deno.statSync(ROOT + folder).isDirectory;
  } catch {
    return false;
  }
}).flatMap((folder) => [...doors(folder)]).sort();

const output = await new Deno.Command(Deno.execPath(), {
  args: ["doc", "--quiet", "--lint", ...files],
  cwd: ROOT,
  env: { NO_COLOR: "1" },
  stdout: "null",
  stderr: "piped",
}).output();

const report = new TextDecoder().decode(output.stderr);
const faults = report.split(/\n(?=(?:error|warning)\[)/).filter((part) => /^\w+\[/.test(part));
const isField = (fault: string) =>
  fault.startsWith("error[missing-jsdoc]") && !/^ *--> .*:1$/m.test(fault) &&
  /^ *\d+ \| +(?:(?:static|readonly|declare|override) )*[\w$"]+[?!]?(?::| =|;)/m.test(fault);
const isForeign = (fault: string) => {
  const name = /^error\[private-type-ref\].* private type '([\w$.]+)'/.exec(fault)?.[1];
  const file = /--> (.*?):\d+:\d+$/m.exec(fault)?.[1];
  if (name === undefined || file === undefined) return false;
  return !new RegExp(
    // At the begin of a line: `import { type Name }` names a library's.
    `^(?:export )?(?:declare |abstract )*(?:type|interface|class|enum|const|let|function) ${
      RegExp.escape(name)
    }\\b`,
    "m",
  )
    .test(Deno.readTextFileSync(file));
};
const kept = faults.filter((fault) => !isField(fault) && !isForeign(fault)).map((fault) =>
  fault.replace(/\n\nerror: Found[^]*/, "")
);

if (!output.success && faults.length === 0) {
  console.error(report);
  Deno.exit(1);
}
for (const fault of kept) console.error(fault + "\n");
console.log(`Doc lint: ${files.length} doors, ${kept.length} undocumented or untyped`);
Deno.exit(kept.length === 0 ? 0 : 1);
